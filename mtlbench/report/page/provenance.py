"""Where the numbers come from, without anything that names a person or a place: no path, user or host."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from mtlbench.scores.frame import HASH_DIGITS
from mtlbench.storage.store import RESULT_VERSION, Cell

T = TypeVar("T")
MOST_VALUES = 4
DIGITS = 12
PACKAGES = (
    "mtlbench",
    "python",
    "torch",
    "torchvision",
    "numpy",
    "timm",
    "segmentation-models-pytorch",
    "transformers",
)


def provenance(cells: Sequence[Cell]) -> list[tuple[str, str]]:
    """Names and values, for people. Only what is listed here is told: a cell also records host and paths."""
    about = [cell.provenance for cell in cells]
    times = sorted(str(one["time"]) for one in about if isinstance(one.get("time"), str))
    rows = [
        ("Results", f"{len(cells)} stored cells of result version {RESULT_VERSION}"),
        ("Computed", f"{times[0]} to {times[-1]}" if times else ""),
        ("Devices", _values(about, lambda one: one.get("device_name"))),
        ("Commit", _values(about, lambda one: _commit(str(one.get("commit", ""))))),
        *((package, _values(about, partial(_version, package))) for package in PACKAGES),
        ("Dataset, fingerprint of its files", _values(cells, _dataset)),
        ("Seeds of the trainings", _values(cells, lambda cell: cell.identity.get("seed"))),
        ("Precision", _values(cells, lambda cell: cell.identity.get("precision", "fp32"))),
        ("Computed by", _values(about, lambda one: one.get("computed_by"))),
    ]
    return [(name, value) for name, value in rows if value]


def _commit(text: str) -> str:
    """The first digits, and whether the code had changes."""
    digits, plus, changes = text.partition("+")
    return digits[:DIGITS] + plus + changes


def _version(package: str, about: Mapping[str, Any]) -> object:
    versions = about.get("versions")
    return versions.get(package) if isinstance(versions, Mapping) else None


def _dataset(cell: Cell) -> str:
    one = cell.identity
    images = one.get("n_images")
    return f"{one.get('dataset')} {one.get('split')}, {images} images, {str(one.get('fingerprint'))[:HASH_DIGITS]}"


def _values(among: Iterable[T], value: Callable[[T], object]) -> str:
    """The different values, the first few of them; empty if there is none."""
    found = list(dict.fromkeys(str(v) for one in among if (v := value(one)) not in (None, "")))
    more = f"; and {len(found) - MOST_VALUES} more" if len(found) > MOST_VALUES else ""
    return "; ".join(found[:MOST_VALUES]) + more
