"""How much the tasks of each network share, as measured on it (see `models.measured`): the numbers and the pairs."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from mtlbench.constants import NO_ATTACK
from mtlbench.options import is_number
from mtlbench.storage.store import Cell

NAMES = ("dataset", "model", "training", "sharing", "seed")
NUMBERS = ("shared_path", "shared_params", "unused")


def sharing_frame(cells: Iterable[Cell]) -> pd.DataFrame:
    """A row for each task of each network.

    Args:
        cells: clean ones are read; arrays are not.

    Returns:
        Columns `NAMES`, ``task``, `NUMBERS` (shares, 0 to 1), ``blind`` (whether the task's prediction depends on no
        image), and for each task a column ``with TASK``: the Jaccard index of the weight tensors on the two tasks'
        paths. Networks that nothing was measured of have no row.
    """
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for cell in cells:
        measured: Any = cell.provenance.get("sharing_measured")
        if cell.identity["attack"] != NO_ATTACK or not _sound(measured):
            continue
        for task, shares in zip(measured["tasks"], measured["jaccard"], strict=True):
            named = {name: cell.identity.get(name) for name in NAMES} | {"task": task}
            numbers = {name: float(measured[name]) for name in NUMBERS}
            pairs = {f"with {other}": float(share) for other, share in zip(measured["tasks"], shares, strict=True)}
            row = named | numbers | {"blind": task in measured["blind"]} | pairs
            rows.setdefault((*named.values(), cell.identity.get("weights")), row)
    return pd.DataFrame(list(rows.values()))


def _sound(measured: Any) -> bool:
    """Whether it is what `models.measured` records; cells of others may hold anything."""
    if not isinstance(measured, Mapping) or not all(is_number(measured.get(name), 0, 1) for name in NUMBERS):
        return False
    tasks, pairs, blind = measured.get("tasks"), measured.get("jaccard"), measured.get("blind")
    if not (isinstance(tasks, list) and isinstance(pairs, list) and isinstance(blind, list)) or not tasks:
        return False
    square = len(pairs) == len(tasks) and all(isinstance(row, list) and len(row) == len(tasks) for row in pairs)
    return (
        square
        and all(isinstance(task, str) for task in tasks)
        and all(is_number(share, 0, 1) for row in pairs for share in row)
    )
