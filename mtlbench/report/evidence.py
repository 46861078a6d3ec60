"""What studies and alarms read of an index, and of the arrays of those cells that they compare."""

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, product

import numpy as np
import pandas as pd

from mtlbench.constants import NO_ATTACK, SAMPLE_OF
from mtlbench.report.gathering import Cells, clean_of, load, read_cells
from mtlbench.report.index import rows_of
from mtlbench.scores import arp, damage, over_seeds, relative_drops
from mtlbench.scores.alarms import checks_frame
from mtlbench.scores.converged import of_all_images
from mtlbench.scores.derived import CELL_LEVELS
from mtlbench.scores.frame import LEVELS, SCORE_SETS, metrics_frame, shared_path
from mtlbench.storage.store import Cell, Store
from mtlbench.studies import Evidence
from mtlbench.studies.base import POINT

CELLS_AT_ONCE = 20
"""Attacked cells of a model whose metrics are read together; 200 kB each."""

ORDER = "ORDER BY length(file) DESC, file, id"
"""Of the cells in frames: as they lie in the store."""


@dataclass(frozen=True)
class StoredCells:
    """The cells of an index without their arrays, made anew each time: all of a large store do not fit into memory.

    Attributes:
        db: of the index.
        keys: of the attacked cells, beside all clean ones; None for all.
        naming: only cells in whose identity, provenance or tasks this text stands.
        clean: only clean ones.
    """

    db: sqlite3.Connection
    keys: Collection[str] | None = None
    naming: str = ""
    clean: bool = False

    def __iter__(self) -> Iterator[Cell]:
        query = f'SELECT description, "cell", attack FROM chosen WHERE instr(description, ?) {ORDER}'
        for text, key, attack in self.db.execute(query, (self.naming,)):
            if attack == NO_ATTACK or not (self.clean or (self.keys is not None and key not in self.keys)):
                identity, provenance, tasks = json.loads(text)
                yield Cell(identity, provenance, tasks, {})


def shared_paths_of(db: sqlite3.Connection) -> dict[str, float]:
    """Cell -> shared part of a task's path, where it was measured."""
    cells = StoredCells(db, naming="sharing_measured")
    return {cell.key: path for cell in cells if (path := shared_path(cell)) is not None}


def sample_cells(store: Store, db: sqlite3.Connection) -> Iterator[Cell]:
    """The cells of some of the images, see `scores.converged`; they are in no table."""
    query = f'SELECT file, "cell" FROM cell WHERE "{SAMPLE_OF}" != \'\' {ORDER}'
    return (load(store, file, key) for file, key in db.execute(query).fetchall())


def checks_of(db: sqlite3.Connection) -> pd.DataFrame:
    """The diagnostics of every cell, see `scores.alarms`."""
    return checks_frame([json.loads(text) for (text,) in db.execute(f"SELECT checks FROM chosen {ORDER}")])


def arp_of(db: sqlite3.Connection) -> pd.DataFrame:
    """Columns cell and arp_percent, in the standard scores, a row for each attacked cell."""
    query = (
        "SELECT chosen.\"cell\", arp_percent FROM chosen JOIN arp ON arp.cell = chosen.id WHERE scores = 'standard'"
    )
    return pd.DataFrame(db.execute(query).fetchall(), columns=["cell", "arp_percent"]).astype({"arp_percent": float})


def compared(store: Store, db: sqlite3.Connection, keys: Collection[str], paper_batch: int) -> pd.DataFrame:
    """A wide frame of the metrics of some attacked cells and of their clean ones."""
    index = read_cells(db)
    clean, rows = clean_of(index), [row for row, key in enumerate(index.key) if key in keys]
    wanted = sorted({*rows, *(one for row in rows for one in clean[row])})
    loaded = (load(store, index.file[row], index.key[row]) for row in wanted)
    return of_all_images(metrics_frame(loaded, paper_batch=paper_batch))


class StoredEvidence(Evidence):
    """Evidence that is read from the store when a study asks for it.

    Args:
        store: holds the cells.
        db: of its index.
        paper_batch: images per batch of the paper's batch means.
        alarms: cell -> text of its alarms.
        checks: the diagnostics of all cells.
        keys: see `Evidence.some`; None for all.
        levels: see `Evidence.of`.
    """

    def __init__(
        self,
        store: Store,
        db: sqlite3.Connection,
        paper_batch: int,
        alarms: Mapping[str, str],
        checks: pd.DataFrame,
        keys: Collection[str] | None = None,
        **levels: str,
    ) -> None:
        self.store, self.db, self.paper_batch, self.levels = store, db, paper_batch, levels
        self.alarms, self.checks, self.keys = alarms, checks, keys

    def of(self, **levels: str) -> "StoredEvidence":
        """See `Evidence.of`."""
        return self._part(self.keys, **{**self.levels, **levels})

    def some(self, keys: Collection[str]) -> "StoredEvidence":
        """See `Evidence.some`."""
        return self._part(frozenset(keys), **self.levels)

    def _part(self, keys: Collection[str] | None, **levels: str) -> "StoredEvidence":
        return StoredEvidence(self.store, self.db, self.paper_batch, self.alarms, self.checks, keys, **levels)

    @cached_property
    def points(self) -> pd.DataFrame:
        """See `Evidence.points`; read from the index."""
        columns = ", ".join(f'chosen."{name}"' for name in CELL_LEVELS)
        query = (
            f"SELECT {columns}, scores, {', '.join(POINT)} FROM chosen JOIN arp ON arp.cell = chosen.id "
            f"{ORDER}, scores DESC"
        )
        found = pd.DataFrame(rows_of(self.db, query), columns=[*CELL_LEVELS, "scores", *POINT])
        return found.astype(dict.fromkeys(POINT[:3], float))

    def task_points(self, keys: Collection[str]) -> pd.DataFrame:
        """See `Evidence.task_points`; read from the index."""
        query = (
            'SELECT chosen."cell", scores, task, damage_percent FROM chosen '
            'JOIN damage ON damage.cell = chosen.id WHERE chosen."cell" IN (SELECT value FROM json_each(?))'
        )
        rows = self.db.execute(query, (json.dumps(sorted(keys)),)).fetchall()
        found = pd.DataFrame(rows, columns=["cell", "scores", "task", "damage_percent"])
        return found.astype({"damage_percent": float})

    @cached_property
    def clean_points(self) -> pd.DataFrame:
        """See `Evidence.clean_points`; read from the index."""
        columns = ", ".join(f'chosen."{name}"' for name in CELL_LEVELS)
        values: dict[int, dict[tuple[str, str, str], float | None]] = {}
        query = (
            "SELECT chosen.id, scores, task, metric, attacked FROM chosen JOIN metric ON metric.cell = chosen.id "
            "JOIN kind ON kind.id = metric.kind WHERE attack = ?"
        )
        for number, *name, value in self.db.execute(query, (NO_ATTACK,)):
            values.setdefault(number, {})[tuple(name)] = value
        rows = []
        query = f"SELECT chosen.id, description, {columns} FROM chosen WHERE attack = ? {ORDER}"
        for number, description, *cell in self.db.execute(query, (NO_ATTACK,)):
            own = values.get(number, {})
            for scores, (task, metrics) in product(SCORE_SETS, json.loads(description)[2].items()):
                known = [metric for metric in metrics if (scores, task, metric) in own]
                rows += [(*cell, scores, task, metric, own[scores, task, metric]) for metric in known[:1]]
        found = pd.DataFrame(rows, columns=[*CELL_LEVELS, "scores", "task", "metric", "value"])
        return found.astype({"value": float})

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """See `Evidence.metrics`. Takes 200 kB a cell."""
        index = read_cells(self.db)
        rows = [row for row, clean in enumerate(index.is_clean) if clean] + self._attacked
        return self._frame([(index.file[row], index.key[row]) for row in sorted(rows)])

    @property
    def cells(self) -> Iterable[Cell]:
        """See `Evidence.cells`."""
        return StoredCells(self.db, self.keys)

    @cached_property
    def clean_cells(self) -> list[Cell]:
        """See `Evidence.clean_cells`."""
        index = read_cells(self.db)
        rows = zip(index.file, index.key, index.is_clean, strict=True)
        return [load(self.store, file, key).light() for file, key, clean in rows if clean]

    @cached_property
    def damages(self) -> pd.DataFrame:
        """See `Evidence.damages`."""
        return self._ordered(list(self._pieces()))

    @cached_property
    def arps(self) -> pd.DataFrame:
        """See `Evidence.arps`."""
        return over_seeds(self._ordered([arp(piece) for piece in self._pieces()]))

    @cached_property
    def _attacked(self) -> list[int]:
        """Rows of the attacked cells, see `read_cells`."""
        conditions = "".join(f' AND "{name}" = ?' for name in self.levels)
        query = f"SELECT id FROM chosen WHERE attack != '{NO_ATTACK}'{conditions}"
        found = {number for (number,) in self.db.execute(query, tuple(self.levels.values()))}
        cells, keys = read_cells(self.db), self.keys
        return [row for row, n in enumerate(cells.id) if n in found and (keys is None or cells.key[row] in keys)]

    def _pieces(self) -> Iterator[pd.DataFrame]:
        """Damages, a wide frame for some cells of one model at a time."""
        index = read_cells(self.db)
        clean = clean_of(index)
        rows = sorted(self._attacked, key=lambda row: (clean[row], row))
        for match, some in groupby(rows, key=lambda row: clean[row]):
            kept, left = self._kept(index, list(some))
            if kept is not None:
                yield kept
            reference = self._frame([(index.file[row], index.key[row]) for row in match if left])
            for start in range(0, len(left), CELLS_AT_ONCE):
                own = self._frame([(index.file[row], index.key[row]) for row in left[start : start + CELLS_AT_ONCE]])
                yield damage(relative_drops(pd.concat([reference, own])))

    def _kept(self, index: Cells, rows: Sequence[int]) -> tuple[pd.DataFrame | None, list[int]]:
        """Damages that the files of some cells hold, if any, and the rows of those whose files do not."""
        names = [name for name in LEVELS if name != SAMPLE_OF]
        columns = ", ".join(f'"{name}"' for name in names if name != "scores")
        query = f"SELECT file, replicates, damages, {columns} FROM cell WHERE id = ?"
        place = names.index("scores")
        found, data, left = [], [], []
        for row in rows:
            file, checksum, damages, *own = self.db.execute(query, (index.id[row],)).fetchone()
            kept = self.store.replicates(file, checksum) if checksum else None
            if kept is None:
                left.append(row)
                continue
            data.append(kept)
            for scores, task, status in json.loads(damages):
                found.append((*own[:place], scores, *own[place:], task, status))
        if not data:
            return None, left
        levels = pd.MultiIndex.from_tuples(found, names=(*names, "task", "status"))
        return pd.DataFrame(np.concatenate(data), levels), left

    def _frame(self, cells: Sequence[tuple[str, str]]) -> pd.DataFrame:
        loaded = (load(self.store, file, key) for file, key in cells)
        return of_all_images(metrics_frame(loaded, paper_batch=self.paper_batch, weights=self._weights))

    @cached_property
    def _weights(self) -> dict[int, np.ndarray]:
        return {}

    def _ordered(self, pieces: list[pd.DataFrame]) -> pd.DataFrame:
        """The pieces as one frame, cells as they lie in the store."""
        if not pieces:
            return damage(relative_drops(self._frame([])))
        every = pd.concat(pieces)
        keys = read_cells(self.db).key
        place = {key: at for at, key in enumerate(keys)}
        order = np.argsort([place[key] for key in every.index.get_level_values("cell")], kind="stable")
        return every.iloc[order]
