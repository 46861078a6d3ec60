"""Where the numbers come from, without anything that names a person or a place: no path, user or host."""

from collections.abc import Iterable, Iterator, Mapping

from mtlbench.scores.frame import HASH_DIGITS
from mtlbench.storage.store import RESULT_VERSION, Cell

MOST_VALUES = 4
DIGITS = 12
PACKAGES = (
    *("mtlbench", "python", "torch", "torchvision", "numpy", "timm", "segmentation-models-pytorch"),
    "transformers",
)


def provenance(cells: Iterable[Cell]) -> list[tuple[str, str]]:
    """Names and values, for people. Only what is listed here is told: a cell also records host and paths."""
    values: dict[str, dict[str, None]] = {}
    times: list[str] = []
    number = 0
    for cell in cells:
        number += 1
        for name, value in _told(cell):
            if value not in (None, ""):
                values.setdefault(name, {})[str(value)] = None
        time = cell.provenance.get("time")
        if isinstance(time, str):
            times = sorted({min([time, *times]), max([time, *times])})
    rows = [("Results", f"{number} stored cells of result version {RESULT_VERSION}")]
    rows += [("Computed", " to ".join(times))] if times else []
    return [*rows, *((name, _listed(list(found))) for name, found in values.items())]


def _told(cell: Cell) -> Iterator[tuple[str, object]]:
    identity, about = cell.identity, cell.provenance
    versions = about.get("versions")
    versions = versions if isinstance(versions, Mapping) else {}
    images = f"{identity.get('n_images')} images, {str(identity.get('fingerprint'))[:HASH_DIGITS]}"
    yield "Devices", about.get("device_name")
    yield "Commit", _commit(str(about.get("commit", "")))
    for package in PACKAGES:
        yield package, versions.get(package)
    yield "Dataset, fingerprint of its files", f"{identity.get('dataset')} {identity.get('split')}, {images}"
    yield "Seeds of the trainings", identity.get("seed")
    yield "Precision", identity.get("precision", "fp32")
    yield "Computed by", about.get("computed_by")


def _commit(text: str) -> str:
    """The first digits, and whether the code had changes."""
    digits, plus, changes = text.partition("+")
    return digits[:DIGITS] + plus + changes


def _listed(found: list[str]) -> str:
    """The first few of some values."""
    more = f"; and {len(found) - MOST_VALUES} more" if len(found) > MOST_VALUES else ""
    return "; ".join(found[:MOST_VALUES]) + more
