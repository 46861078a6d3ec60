"""What a cell from elsewhere must be before it joins a store: intact is not enough, its content must fit ours.

A file proves by its checksums only that nobody changed it by accident. One identity of another type would break the
tables of all cells, and a name of control characters would reach the terminal.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mtlbench.constants import SAMPLE_OF
from mtlbench.errors import DataError
from mtlbench.options import is_number, is_whole
from mtlbench.scores.alarms import numbers_of
from mtlbench.scores.certificate import of_cell
from mtlbench.scores.frame import details, metrics_frame
from mtlbench.storage.store import Cell

LONGEST = 20_000
"""Characters of any text of an identity."""

Check = Callable[[object], bool]


def _text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and len(value) <= LONGEST


def _whole(value: object) -> bool:
    return is_whole(value, 0)


def _number(value: object) -> bool:
    return is_number(value, 0)


def _mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_text, value))


REQUIRED: Mapping[str, Check] = {
    **dict.fromkeys(("dataset", "split", "fingerprint", "model", "training", "sharing", "tree", "weights"), _text),
    **dict.fromkeys(("attack", "target", "step"), _text),
    **dict.fromkeys(("seed", "n_images", "steps", "shared_blocks"), _whole),
    **dict.fromkeys(("objective", "step_options"), _mapping),
    "eps": _number,
    "tasks": _texts,
}
OPTIONAL: Mapping[str, Check] = {
    **dict.fromkeys(("norm", "logits", "precision", SAMPLE_OF), _text),
    **dict.fromkeys(("starts", "defence"), _mapping),
    "model_version": lambda value: is_whole(value, 1),
}
"""Field of an identity -> whether a value is one that mtlbench writes."""

PROVENANCE: Mapping[str, Check] = {
    **dict.fromkeys(("time", "commit", "device", "device_name", "computed_by"), _text),
    **dict.fromkeys(("gradients_per_image", "pass_seconds"), _number),
    **dict.fromkeys(("batch_size", "cells_in_pass", "parameters"), _whole),
    **dict.fromkeys(("recipe", "config", "sharing_measured"), _mapping),
    "versions": lambda value: isinstance(value, Mapping) and all(map(_text, value.values())),
}
"""What is taken over of a provenance; the rest, such as the name of the host, is not."""


def accepted(cell: Cell, computed_by: str | None = None) -> Cell:
    """The cell as it may be stored: with what is known of its provenance only.

    Args:
        cell: intact, as the store of others gives it.
        computed_by: a name for those who computed it, recorded unless the cell has one already.

    Raises:
        DataError: it is not what mtlbench computes; the message says what is wrong.
    """
    wrong = [name for name, check in REQUIRED.items() if not check(cell.identity.get(name))]
    wrong += [name for name, check in OPTIONAL.items() if name in cell.identity and not check(cell.identity[name])]
    if wrong:
        raise DataError(f"its {wrong[0]} is {str(cell.identity.get(wrong[0]))[:60]!r}, which mtlbench does not write")
    unprintable = [text for text in _all_texts([cell.identity, cell.tasks, cell.formulas]) if not text.isprintable()]
    if unprintable:
        raise DataError(f"it has a name with characters that cannot be printed, {unprintable[0][:60]!r}")
    own = {name: cell.provenance[name] for name, check in PROVENANCE.items() if check(cell.provenance.get(name))}
    if computed_by is not None:
        own = {"computed_by": computed_by, **own}
    cell = replace(cell, provenance=own)
    try:
        metrics_frame([cell], replicates=0)
        details(cell)
        numbers_of(cell)
        of_cell(cell)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise DataError(f"it cannot be scored ({type(error).__name__}: {error})") from error
    return cell


def _all_texts(value: Any) -> list[str]:
    """Every text in nested JSON values, keys included."""
    if isinstance(value, Mapping):
        return [text for pair in value.items() for one in pair for text in _all_texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in _all_texts(one)]
    return [value] if isinstance(value, str) else []
