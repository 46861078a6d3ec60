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

from mtlbench.constants import NO_ATTACK, SAMPLE_OF
from mtlbench.errors import DataError
from mtlbench.metrics import PAPER_BATCH
from mtlbench.metrics.base import RATIO
from mtlbench.scores.alarms import numbers_of
from mtlbench.scores.capped import capped_damage
from mtlbench.scores.damage import damage, relative_drops
from mtlbench.scores.frame import LEVELS, REPLICATES, details, metrics_frame, names
from mtlbench.scores.tables import ARP_VALUES, DAMAGE_VALUES, METRIC_VALUES, arp_table, damage_table, metrics_table
from mtlbench.scores.wide import SAME_MODEL, block, levels
from mtlbench.storage.derived import Derived
from mtlbench.storage.store import Cell, Store, content_of

VERSION = 3
"""Increment it whenever the same cells give other rows; `tests/scores/test_derived.py` notices most such changes."""

SINGLE = "single"
"""The attack whose damages other cells are divided by, so that its replicates are kept."""

LONG_PROVENANCE = ("config", "probe")
"""What no table says of the provenance."""

ROWS = {
    "metrics": ("scores", "task", "metric", *METRIC_VALUES),
    "damage": ("scores", "task", *DAMAGE_VALUES),
    "arp": ("scores", *ARP_VALUES),
}
"""Result table -> its columns in derived rows."""

SHOWN = ("attack", "eps", "scores", "cell")
"""Levels that tell a cell and its clean cell apart."""

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
        frame: `frame_of` each of them.
        paper_batch: of the frame.

    Returns:
        ``rows``: ``against`` (see there); ``names`` (`CELL_LEVELS`); ``cell`` (identity, provenance, tasks),
        ``checks`` and ``details``, which are JSON texts; ``metrics``, ``damage`` and ``arp``, the rows of the result
        tables with the columns `ROWS`; ``damages``: scores, task and status of the replicates.
        ``replicates``: of the damages, for an attack on a single task.

    Raises:
        ValueError: a clean cell is of another model or other images.
    """
    identity, clean = names(cell), [*clean]
    if any(_model(names(one)) != _model(identity) for one in clean):
        raise ValueError(f"{cell.key} is compared with a cell of another model")
    about = {name: value for name, value in cell.provenance.items() if name not in LONG_PROVENANCE}
    points = metrics_table(frame.iloc[:, :1])
    rows: dict[str, Any] = {
        "against": against({one.key: content_of(one) for one in clean}),
        "names": {name: identity[name] for name in CELL_LEVELS},
        "cell": json.dumps([cell.identity, about, cell.tasks]),
        "checks": json.dumps(numbers_of(cell)),
        "details": json.dumps(details(cell)),
        "metrics": _rows(points[points["cell"] == cell.key], ROWS["metrics"]),
        "damage": [],
        "arp": [],
        "damages": [],
    }
    replicates = None
    if cell.identity["attack"] != NO_ATTACK:
        drops = relative_drops(frame)
        drops = drops[drops.index.get_level_values("cell") == cell.key]
        damages, capped = damage(drops), capped_damage(drops)
        rows["damage"] = _rows(damage_table(drops, damages, capped), ROWS["damage"])
        rows["arp"] = _rows(arp_table(damages, capped), ROWS["arp"])
        if cell.identity["attack"] == SINGLE:
            replicates = block(damages)
            rows["damages"] = _rows(levels(damages), ("scores", "task", "status"))
    return Derived(settings(paper_batch), rows, replicates)


def frame_of(cell: Cell, weights: dict[int, np.ndarray], paper_batch: int = PAPER_BATCH) -> pd.DataFrame:
    """`metrics_frame` of a cell with few levels: to carry along all of them takes longer than what is computed."""
    return metrics_frame([cell], paper_batch=paper_batch, weights=weights, shown=SHOWN)


def _model(identity: Mapping[str, Any]) -> list[Any]:
    """What a cell and its clean cell have in common."""
    return [identity[name] for name in SAME_MODEL if name != "scores"]


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
        if not keeps(cell) or SAMPLE_OF in cell.identity:  # a sample is in no table
            return None
        try:
            own = frame_of(cell, self._weights)
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
                self._known = cell, frame_of(cell, self._weights)
        return self._known


def _rows(table: pd.DataFrame, columns: Sequence[str]) -> list[list[Any]]:
    return [list(row) for row in zip(*(_values(table[name]) for name in columns), strict=True)]


def _values(column: pd.Series) -> list[Any]:
    """None for NaN, which JSON lacks."""
    return [None if value != value else value for value in column.tolist()]
