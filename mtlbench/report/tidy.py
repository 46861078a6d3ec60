"""The four result tables from an index, whole or in pieces; rows and columns as `scores.tables` makes them."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from sys import intern
from typing import Any

import numpy as np
import pandas as pd

from mtlbench.constants import NO_ATTACK
from mtlbench.report.index import LEVEL_COLUMNS, rows_of
from mtlbench.scores.derived import CELL_LEVELS, SINGLE
from mtlbench.scores.tables import ALARMED, ARP_VALUES, DAMAGE_VALUES, METRIC_VALUES, by_sharing, differing, rank
from mtlbench.scores.tables import TEXTS as TEXT_VALUES
from mtlbench.scores.transferability import COLUMNS
from mtlbench.scores.wide import IDENTITY, OK

CELLS_AT_ONCE = 2000
"""Of a piece; the table of metrics has some 24 rows for each."""

VALUES = {
    "metrics": ("task", "metric", *METRIC_VALUES),
    "damage": ("task", *DAMAGE_VALUES),
    "arp": ARP_VALUES,
    "transferability": COLUMNS,
}
"""Table -> its columns behind what names a cell."""

KEYS = {"metrics": ("task", "metric"), "damage": ("task",), "arp": (), "transferability": COLUMNS[:2]}
"""Table -> the columns that tell rows of a cell apart, by which they are sorted."""

ROWS = {"metrics": "metric", "damage": "damage", "arp": "arp", "transferability": "transfer"}
"""Table -> where its rows are in the index."""

OF_KIND = ("task", "metric", "unit", "higher_is_better")
"""Columns of metrics that the index holds once for all cells."""

TEXTS = frozenset({*TEXT_VALUES, "scores", "task", "metric", *COLUMNS[:2], "status", "normalised_status"})
OBJECTS = frozenset(name for name in TEXTS if name.endswith("status"))


class Tidy(Mapping[str, pd.DataFrame]):
    """The tables by name, each made when it is asked for.

    Args:
        db: of an index that is up to date.
        alarms: cell -> text for the status of defined ARPs.
        paths: see `scores.tables.tables`.
    """

    def __init__(
        self, db: sqlite3.Connection, alarms: Mapping[str, str], paths: Mapping[str, float] | None = None
    ) -> None:
        self.db, self.alarms, self.paths = db, alarms, paths or {}
        self._made: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._made:
            cells = self._cells_of(name)
            self._made[name] = self._piece(name, cells, 0, len(cells))
        return self._made[name]

    def none(self, name: str) -> pd.DataFrame:
        """A table without its rows."""
        return self._piece(name, self.cells.iloc[:0].assign(group=np.zeros(0, np.intp)), 0, 0)

    def __iter__(self) -> Iterator[str]:
        return iter(VALUES)

    def __len__(self) -> int:
        return len(VALUES)

    def size(self, name: str) -> int:
        """Number of rows of a table."""
        found: int = self.db.execute(f"SELECT count(*) FROM {ROWS[name]}").fetchone()[0]
        return found

    def pieces(self, name: str) -> Iterator[pd.DataFrame]:
        """A table in pieces that fit into memory, at least one."""
        cells, start = self._cells_of(name), 0
        groups = cells["group"].to_numpy()
        while True:
            end = min(start + CELLS_AT_ONCE, len(cells))
            while end < len(cells) and groups[end] == groups[end - 1]:  # rows of equal cells are sorted together
                end += 1
            yield self._piece(name, cells, start, end)
            if end == len(cells):
                return
            start = end

    @cached_property
    def cells(self) -> pd.DataFrame:
        """The cells in the order of the tables: identifying columns, those that distinguish them, id and group."""
        query = f"SELECT id, {LEVEL_COLUMNS} FROM chosen ORDER BY length(file) DESC, file, id"
        rows = rows_of(self.db, query)
        keys = pd.MultiIndex.from_tuples([row[1:] for row in rows], names=CELL_LEVELS).to_frame(index=False)
        names = [name for name in IDENTITY if name != "scores"]
        hidden = [name for name in CELL_LEVELS if name not in names]
        ordered = keys.assign(id=[row[0] for row in rows]).sort_values([*names, *hidden], kind="stable")
        more = differing(keys.set_index("cell")[names], self._details(keys["cell"])).set_axis(keys.index)
        cells = pd.concat([ordered[[*names, "cell", "id"]], more.loc[ordered.index].add_prefix("more ")], axis=1)
        return cells.reset_index(drop=True)

    def _cells_of(self, name: str) -> pd.DataFrame:
        """The cells that have rows in a table, of one model those that share least first; see `tables.by_sharing`."""
        attack = self.cells["attack"]
        has = {"metrics": attack.notna(), "transferability": attack == SINGLE}.get(name, attack != NO_ATTACK)
        cells = by_sharing(self.cells[has], self.paths)
        names = [name for name in IDENTITY if name != "scores"]
        shared = cells["cell"].map(self.paths).astype(float)
        group = cells[names].assign(shared=shared).groupby([*names, "shared"], dropna=False, sort=False).ngroup()
        return cells.assign(group=group)

    def _details(self, cells: pd.Series) -> pd.DataFrame:
        """What may distinguish cells, a row for each; equal texts are kept once."""
        columns: dict[str, list[str]] = {}
        query = "SELECT details FROM chosen ORDER BY length(file) DESC, file, id"
        for row, (text,) in enumerate(self.db.execute(query)):
            for name, value in json.loads(text).items():
                column = columns.setdefault(name, [])
                column += [""] * (row - len(column))
                column.append(intern(value))
        padded = {name: column + [""] * (len(cells) - len(column)) for name, column in columns.items()}
        return pd.DataFrame({name: _texts(column) for name, column in padded.items()}).set_axis(pd.Index(cells))

    def _piece(self, name: str, cells: pd.DataFrame, start: int, end: int) -> pd.DataFrame:
        """The rows of the cells from `start` to `end`."""
        cells = cells.iloc[start:end]
        columns = VALUES[name]
        self.db.execute("CREATE TEMP TABLE IF NOT EXISTS piece (at INTEGER PRIMARY KEY, cell INTEGER)")
        self.db.execute("DELETE FROM piece")
        self.db.executemany("INSERT INTO piece VALUES (?, ?)", enumerate(cells["id"].tolist()))
        if name == "metrics":
            numbers = [column for column in columns if column not in OF_KIND]
            found = self._query(f"piece JOIN {ROWS[name]} AS own ON own.cell = piece.cell", ["at", "kind", *numbers])
            kinds = self._query("kind", ["id", "scores", *OF_KIND]).set_index("id")
            found = found.join(kinds, on="kind")
        else:
            found = self._query(f"piece JOIN {ROWS[name]} AS own ON own.cell = piece.cell", ["at", "scores", *columns])
        place = found["at"].to_numpy()
        by = [rank(found[key]) for key in KEYS[name]]
        order = _order([cells["group"].to_numpy()[place], found["scores"], place, *by])
        return self._arranged(cells, found.iloc[order], columns)

    def _query(self, source: str, columns: Sequence[str]) -> pd.DataFrame:
        rows = self.db.execute(f"SELECT {', '.join(columns)} FROM {source}")
        values = list(zip(*rows, strict=True)) or [()] * len(columns)
        return pd.DataFrame({name: _column(name, found) for name, found in zip(columns, values, strict=True)})

    def _arranged(self, cells: pd.DataFrame, found: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
        own = cells.iloc[found["at"].to_numpy()].reset_index(drop=True)
        found = found.reset_index(drop=True)
        names = [name for name in IDENTITY if name != "scores"]
        more = own[[name for name in map(str, own) if name.startswith("more ")]]
        more.columns = pd.Index([name.removeprefix("more ") for name in map(str, more)])
        table = pd.concat([own[names], found["scores"], more, found[list(columns)], own["cell"]], axis=1)
        for name in ALARMED if columns == ARP_VALUES else ():
            raised = own["cell"].map(lambda cell: self.alarms.get(cell, OK))
            table[name] = table[name].where(table[name] != OK, raised)
        return table


def _column(name: str, values: Any) -> Any:
    if name in TEXTS:
        return pd.Series(values, dtype=object) if name in OBJECTS else _texts(values)
    kinds = {"at": np.intp, "id": np.intp, "kind": np.intp, "higher_is_better": bool}
    return np.array(values, dtype=kinds.get(name, np.float64))


def _texts(values: Sequence[Any]) -> pd.Series:
    """As pandas stores text, also where there is none."""
    return pd.Series([*values, ""]).iloc[:-1]


def _order(columns: list[Any]) -> np.ndarray:
    """The order of rows sorted by the columns, the first one first."""
    codes = [pd.factorize(pd.Series(column), sort=True)[0] for column in columns]
    return np.lexsort(codes[::-1])
