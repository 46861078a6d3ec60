"""Missing images of a split: printed in one line, and recorded with every number computed without them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mtlbench.data.base import MultiTaskDataset

EXAMPLES = 3
KEPT = 100


class LeftOut(NamedTuple):
    """An image that is left out, and why."""

    what: str
    why: str


class NotThere(LeftOut):
    """A missing part of a split, with an unknown number of images."""


def line(dataset: MultiTaskDataset) -> str:
    """The images left out of `dataset` in one line, with a few examples; empty if there are none."""
    images, parts = _kinds(dataset)
    said = []
    if images:
        said.append(f"{len(images)} of {dataset.listed + len(images)} images left out: {_reasons(images)}")
    if parts:
        said.append(f"{len(parts)} part{'s are' if len(parts) > 1 else ' is'} missing: {_reasons(parts)}")
    return f"{dataset.name} {dataset.split}: {'; '.join(said)}" if said else ""


def record(dataset: MultiTaskDataset) -> dict[str, object]:
    """The same as an entry of a cell's provenance, with up to `KEPT` names; no entry if nothing is left out."""
    images, _ = _kinds(dataset)
    if not dataset.skipped:
        return {}
    first = [f"{what}: {why}" for what, why in dataset.skipped[:KEPT]]
    more = len(dataset.skipped) - len(first)
    return {
        "left_out": {"images": len(images), "of": dataset.listed + len(images), "first": first, "more": more},
    }


def _kinds(dataset: MultiTaskDataset) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Images, and parts of the split."""
    parts = [entry for entry in dataset.skipped if isinstance(entry, NotThere)]
    return [entry for entry in dataset.skipped if not isinstance(entry, NotThere)], list(parts)


def _reasons(entries: Iterable[tuple[str, str]]) -> str:
    grouped: dict[str, list[str]] = {}
    for what, why in entries:
        grouped.setdefault(why, []).append(what)
    return ", ".join(f"{why} ({_some(names)})" for why, names in grouped.items())


def _some(names: Sequence[str]) -> str:
    more = len(names) - EXAMPLES
    return ", ".join(names[:EXAMPLES]) + (f" and {more} more" if more > 0 else "")
