"""The layout of the outputs folder. No other module knows these names."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtlbench.storage.claims import remove_dead_claims
from mtlbench.storage.files import remove_leftovers
from mtlbench.storage.images import Images
from mtlbench.storage.store import Store


@dataclass(frozen=True)
class Outputs:
    """The folder for all output.

    Args:
        path: of the folder; it need not exist yet.
    """

    path: Path

    @staticmethod
    def of(config: Mapping[str, Any]) -> "Outputs":
        """The outputs folder of a configuration."""
        return Outputs(Path(config["outputs"]))

    def __str__(self) -> str:
        return str(self.path)

    @property
    def store(self) -> Store:
        """The cells, from which all tables are derived."""
        return Store(self.path / "store")

    @property
    def index(self) -> Path:
        """What a report gathered from the cells; may be deleted at any time."""
        return self.path / "store" / "index.sqlite"

    @property
    def images(self) -> Images:
        """A few images of the cells, clean and attacked, for pictures."""
        return Images(self.path / "images")

    @property
    def checkpoints(self) -> Path:
        """A folder for each trained model."""
        return self.path / "checkpoints"

    @property
    def datasets(self) -> Path:
        """Generated rooms."""
        return self.path / "datasets"

    @property
    def fingerprints(self) -> Path:
        """Cached hashes of dataset files, so that they are not read again."""
        return self.datasets / "fingerprints.json"

    @property
    def page(self) -> Path:
        """All results as a page."""
        return self.path / "report.html"

    @property
    def tables(self) -> Path:
        """Tables: tidy as .csv, as papers print them as .tex, .md and .html."""
        return self.path / "tables"

    @property
    def plots(self) -> Path:
        """Plots of studies."""
        return self.path / "plots"

    @property
    def bench(self) -> Path:
        """Measured costs of attack steps."""
        return self.path / "bench"

    def tidy(self) -> None:
        """Remove leftovers of killed runs; the store removes its own."""
        remove_leftovers(self.path)
        for pattern in ("tables", "plots", "checkpoints", "checkpoints/*", "datasets", "runs/*", "runs/*/*"):
            for folder in self.path.glob(pattern):
                remove_leftovers(folder)
        self.images.tidy()
        for claimed in (self.checkpoints, self.datasets):
            remove_dead_claims(claimed)
