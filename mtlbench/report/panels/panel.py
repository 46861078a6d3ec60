"""One panel: an image of one model at one epsilon, clean and under each attack."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2

from mtlbench.errors import DataError
from mtlbench.report.panels.rows import rows
from mtlbench.storage.images import SavedImages

TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Column:
    """An attack of a panel.

    Attributes:
        label: plain text.
        key: of its cell.
    """

    label: str
    key: str


@dataclass(frozen=True)
class Panel:
    """One image of one model at one epsilon, clean and under each attack.

    The HTML is a self-contained ``<figure class="panel" id=...>``: images are data URIs, all text is escaped, there is
    neither inline script nor inline style. The page includes ``report/page/panels.css`` and ``panels.js``.

    Attributes:
        load: (set, key) -> the saved images of a cell.
        chosen: the set.
        clean: key of the clean cell.
        columns: the attacks, the strongest first.
        index: of the image in the set.
        eps: in grey levels of 255.
        model: in words.
        weaker: number of attacks that are not shown.
    """

    load: Callable[[str, str], SavedImages]
    chosen: str
    clean: str
    columns: tuple[Column, ...]
    index: int
    eps: float
    model: str
    weaker: int = 0

    @property
    def id(self) -> str:
        """Of the figure, unique in the page."""
        text = f"{self.chosen} {self.clean} {self.eps} {self.index}"
        return f"panel-{hashlib.sha256(text.encode()).hexdigest()[:10]}"

    @property
    def title(self) -> str:
        """Plain text, for a table of contents."""
        return f"{self.model}, eps {self.eps:g}"

    @cached_property
    def html(self) -> str:
        """The figure; rendered on first use, which takes a second at 321 x 321."""
        try:
            clean = self.load(self.chosen, self.clean)
            attacked = [self.load(self.chosen, column.key) for column in self.columns]
        except DataError as error:  # damaged after it was listed
            reason = f"{Path(str(error).partition(': ')[0]).name}: {str(error).partition(': ')[2]}"
            return TEMPLATES.get_template("missing.html").render(panel=self, reason=reason)
        drawn = rows(self.index, clean, attacked)
        return TEMPLATES.get_template("panel.html").render(
            panel=self, groups=drawn.groups, factor=f"{drawn.factor:.3g}", place=self._place(clean.about)
        )

    @property
    def bytes(self) -> int:
        """Size of `html` in UTF-8."""
        return len(self.html.encode())

    def _place(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """Why this image is shown."""
        role = about["roles"][self.index]
        return {
            "name": about["names"][self.index],
            "role": role,
            "rank": about["ranks"][self.index],
            "images": about["n_images"],
            "attacks": about["over"],
        }
