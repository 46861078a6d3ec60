"""The derived rows of a cell: what tables say of it that needs no other cell but its clean one.

Computed by the functions that evaluate a whole store, so that the numbers are the same bit for bit. They are kept in
the cell's file when it is stored (`Deriving`) and gathered by a report, which derives them itself where they are
missing, of other `SETTINGS`, or of another clean cell.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mtlbench.constants import NO_ATTACK
from mtlbench.errors import DataError
from mtlbench.metrics import PAPER_BATCH
from mtlbench.metrics.base import RATIO
from mtlbench.scores.alarms import numbers_of
from mtlbench.scores.bootstrap import interval
from mtlbench.scores.damage import about_metric, arp, damage, drops_and_clean
from mtlbench.scores.frame import LEVELS, REPLICATES, details, metrics_frame, names
from mtlbench.scores.wide import ABOUT_METRIC, block, levels
from mtlbench.storage.derived import Derived
from mtlbench.storage.store import Cell, Store, content_of

VERSION = 1
"""Increment it whenever the same cells give other rows; `tests/scores/test_derived.py` notices most such changes."""

SINGLE = "single"
"""The attack whose damages other cells are divided by, so that its replicates are kept."""

LONG_PROVENANCE = ("config", "probe")
"""What no table says of the provenance."""

CELL_LEVELS = tuple(name for name in LEVELS if name != "scores")
UNSCORABLE = (DataError, ArithmeticError, LookupError, MemoryError, TypeError, ValueError)
log = logging.getLogger(__name__)


def settings(paper_batch: int = PAPER_BATCH) -> dict[str, int]:
    """Everything that derived rows depend on beside the cells."""
    return {"version": VERSION, "replicates": REPLICATES, "seed": 0, "paper_batch": paper_batch}


def keeps(cell: Cell) -> bool:
    """Whether rows may be kept: not if a metric is code of a plugin, which may change without our knowing."""
    return all(made.get("formula") == RATIO for metrics in cell.formulas.values() for made in metrics.values())


def derive(cell: Cell, clean: Iterable[Cell], frame: pd.DataFrame, paper_batch: int = PAPER_BATCH) -> Derived:
    """The derived rows of a cell.

    Args:
        cell: the cell.
        clean: the clean cells that it is compared with, itself if it is one.
        frame: `metrics_frame` of all of them, with `REPLICATES`.
        paper_batch: of the frame.

    Returns:
        ``rows``: ``against`` (see there); ``names`` (`CELL_LEVELS`); ``cell`` (identity, provenance, tasks), ``checks`` and ``details``, which are JSON texts; ``metrics``: scores, task, metric, unit,
        higher_is_better, clean, attacked, drop; ``scores``: scores, task (empty: ARP), percent, low, high, status.
        ``replicates``: of the damages, in their order, for an attack on a single task.
    """
    drops, reference = drops_and_clean(frame)
    own = (frame.index.get_level_values("cell") == cell.key).tolist()
    drops, values, reference = drops[own], frame[own], reference[own]
    identity = names(cell)
    about = {name: value for name, value in cell.provenance.items() if name not in LONG_PROVENANCE}
    rows: dict[str, Any] = {
        "against": against({one.key: content_of(one) for one in clean}),
        "names": {name: identity[name] for name in CELL_LEVELS},
        "cell": json.dumps([cell.identity, about, cell.tasks]),
        "checks": json.dumps(numbers_of(cell)),
        "details": json.dumps(details(cell)),
        "metrics": _metric_rows(values, reference, drops),
        "scores": [],
    }
    replicates = None
    if cell.identity["attack"] != NO_ATTACK:
        damages = damage(drops)
        rows["scores"] = [*_score_rows(damages), *_score_rows(arp(damages))]
        replicates = block(damages) if cell.identity["attack"] == SINGLE else None
    return Derived(settings(paper_batch), rows, replicates)


def against(clean: Mapping[str, str]) -> str:
    """The clean cells that a cell is compared with, key -> checksum of their arrays, as one text."""
    return json.dumps(clean, sort_keys=True)


class Deriving:
    """Derives the rows of cells of one model that are about to be stored.

    Args:
        store: holds their clean cell, or will before they come.
        clean: keys of the clean cells of the model.
    """

    def __init__(self, store: Store, clean: Sequence[str]) -> None:
        self.store, self.clean = store, clean
        self._known: tuple[Cell, pd.DataFrame] | None = None
        self._weights: dict[int, np.ndarray] = {}

    def __call__(self, cell: Cell) -> Derived | None:
        """The rows; None where they cannot be had now: a report will derive them, or say why not."""
        if not keeps(cell):
            return None
        try:
            own = metrics_frame([cell], weights=self._weights)
            if cell.identity["attack"] == NO_ATTACK:
                self._known = cell, own
                return derive(cell, [cell], own)
            clean = self._known or self._load()
            return derive(cell, [clean[0]], pd.concat([clean[1], own])) if clean else None
        except UNSCORABLE as error:
            log.info("%s: nothing derived (%s)", cell.key, error)
            return None

    def _load(self) -> tuple[Cell, pd.DataFrame] | None:
        for key in self.clean:
            if key in self.store:
                cell = self.store.load(key)
                self._known = cell, metrics_frame([cell], weights=self._weights)
        return self._known


def _metric_rows(values: pd.DataFrame, reference: np.ndarray, drops: pd.DataFrame) -> list[list[Any]]:
    keys = levels(values)
    about = [about_metric(keys, name).tolist() for name in ABOUT_METRIC]
    numbers = [reference[:, 0], block(values)[:, 0], block(drops)[:, 0]]
    columns = [*(keys[name].tolist() for name in ("scores", "task", "metric")), *about, *map(_numbers, numbers)]
    return [list(row) for row in zip(*columns, strict=True)]


def _score_rows(frame: pd.DataFrame) -> list[list[Any]]:
    keys, bounds = levels(frame), interval(frame).to_numpy()
    task = keys["task"].tolist() if "task" in keys else [""] * len(keys)
    numbers = map(_numbers, (block(frame)[:, 0], *bounds.T))
    return [list(row) for row in zip(keys["scores"].tolist(), task, *numbers, keys["status"].tolist(), strict=True)]


def _numbers(values: np.ndarray) -> list[float | None]:
    """None for NaN, which JSON lacks."""
    return [None if np.isnan(value) else value for value in values.tolist()]
