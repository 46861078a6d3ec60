"""Brings an index up to date with the store: reads the files that are new or changed since, and no others.

Derived rows that a file holds are taken over. Those that are missing, of other settings or of another clean cell are
derived from the arrays here.
"""

import json
import logging
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mtlbench.constants import NO_ATTACK, SAMPLE_OF
from mtlbench.errors import DamagedCellError, DataError, OldCellError
from mtlbench.report.families import renew_transfer
from mtlbench.report.index import AGAIN, CHANGING, LEVEL_COLUMNS, Index, rows_of
from mtlbench.scores.derived import CELL_LEVELS, ROWS, against, derive, frame_of, keeps, settings
from mtlbench.scores.frame import REPLICATES, STRANGE, names, unscorable
from mtlbench.scores.wide import SAME_MODEL
from mtlbench.storage.derived import Derived, Kept
from mtlbench.storage.store import Cell, Store, content_key, content_of

SECONDS_TOO_NEW = 2.0
"""A file may change again without a new time; one as young as this is read again by the next report."""

log = logging.getLogger(__name__)
FRAMES_KEPT = 4
REPLICATES_KEPT = 2000
"""Cells whose replicates wait in memory for the transfer ratios; 50 kB each. Those of the others are read again."""

OF_CELL = (("metric", "cell"), ("damage", "cell"), ("arp", "cell"), ("cell", "id"))
"""Tables with rows of a cell, and where its number is."""

TEXTS = ("against", "cell", "checks", "details")
"""Of derived rows, stored as they are."""

OF_MODEL = tuple(name for name in SAME_MODEL if name != "scores")
Stamp = tuple[int, int]


@dataclass
class Gathered:
    """An index that is up to date.

    Attributes:
        index: the index.
        refused: errors of cells that are damaged or of another result version.
        read: number of files that were read.
    """

    index: Index
    refused: list[DamagedCellError | OldCellError]
    read: int = 0


def gather(store: Store, path: Path | None, paper_batch: int, keys: Collection[str] | None = None) -> Gathered:
    """The index of the cells `keys` (None: of all).

    Args:
        store: the store.
        path: of the index; None keeps it in memory.
        paper_batch: images per batch of the paper's batch means.
        keys: of the cells to read, if they exist.

    Raises:
        DataError: a cell cannot be read, is of a newer version, or cannot be scored.
    """
    work = _Gathering(store, Index(path, settings(paper_batch)), paper_batch)
    try:
        return work(_stamps(store, keys))
    except sqlite3.Error as error:  # a full disk
        work.index.drop()
        if path is None:
            raise
        log.info("%s: the index is made in memory (%s)", path, error)
        return gather(store, None, paper_batch, keys)
    except BaseException:
        work.index.drop()
        raise


def _stamps(store: Store, keys: Collection[str] | None) -> dict[str, Stamp]:
    """Key -> size and time of every file, those before which hold the same cells in an old format."""
    found = {}
    for key in sorted(store.keys() if keys is None else set(keys), key=lambda key: (-len(key), key)):
        try:
            status = store.path(key).stat()
        except FileNotFoundError:  # another process set it aside, or it was never there
            continue
        found[key] = status.st_size, status.st_mtime_ns
    return found


@dataclass
class _Gathering:
    store: Store
    index: Index
    paper_batch: int
    weights: dict[int, np.ndarray] = field(default_factory=dict)
    frames: "OrderedDict[str, tuple[Cell, pd.DataFrame]]" = field(default_factory=OrderedDict)
    replicates: dict[str, np.ndarray] = field(default_factory=dict)
    kinds: dict[tuple[Any, ...], int] = field(default_factory=dict)
    cells: "Cells" = field(init=False)
    clean: list[tuple[int, ...]] = field(default_factory=list)

    def __call__(self, now: Mapping[str, Stamp]) -> Gathered:
        known = {name: (size, mtime) for name, size, mtime in self._rows("SELECT name, size, mtime FROM file")}
        changed = [name for name, stamp in now.items() if known.get(name) != stamp]
        gone = [name for name in known if name not in now]
        refused: dict[str, DamagedCellError | OldCellError] = {}
        if changed or gone:
            self.index.edit()
            self.kinds = {tuple(row): number for number, *row in self._rows("SELECT * FROM kind")}
            self._forget([*gone, *(name for name in changed if name in known)])
            for name in changed:
                self._read(name, now[name], refused)
            self._complete()
            renew_transfer(self.index.db, self._replicates_of)
            self.index.keep()
        for name, message in self._rows("SELECT name, message FROM file WHERE problem = 'old'"):
            refused[name] = OldCellError(f"{self.store.path(name)}{message}")
        return Gathered(self.index, [refused[name] for name in now if name in refused], len(changed))

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self.index.db.execute(query, values).fetchall()

    def _forget(self, files: Sequence[str]) -> None:
        db = self.index.db
        own = [(cell,) for name in files for (cell,) in self._rows("SELECT id FROM cell WHERE file = ?", (name,))]
        for table, column in OF_CELL:
            db.executemany(f"DELETE FROM {table} WHERE {column} = ?", own)
        db.executemany("DELETE FROM file WHERE name = ?", [(name,) for name in files])

    def _read(self, name: str, stamp: Stamp, refused: dict[str, DamagedCellError | OldCellError]) -> None:
        """Take over what the file says; without derived rows, only what its cells are called."""
        path = self.store.path(name)
        try:
            kept = self.store.derived(name)
            taken = kept is not None and kept.settings == settings(self.paper_batch) and self._take(name, kept)
        except DataError:
            if name in self.store:
                raise
            return  # set aside by another process in the meantime
        size = AGAIN if time.time() - stamp[1] / 1e9 < SECONDS_TOO_NEW else stamp[0]
        problem = message = None
        if not taken:
            errors: list[DamagedCellError | OldCellError] = []
            for cell in self.store.readable(errors.append, [name]):
                try:
                    self._insert(name, content_of(cell), names(cell))
                except STRANGE as found:
                    raise unscorable(cell, found) from found
                size = size if keeps(cell) else CHANGING
            for error in errors:
                refused[name] = error
                problem, message = "old", str(error).removeprefix(str(path))
                if isinstance(error, DamagedCellError):
                    problem, size = "damaged", AGAIN
        self.index.db.execute("INSERT INTO file VALUES (?, ?, ?, ?, ?)", (name, size, stamp[1], problem, message))

    def _take(self, name: str, kept: Kept) -> bool:
        """Whether the rows of a file could be taken over."""
        mark = self.index.db.execute("SELECT max(id) FROM cell").fetchone()[0] or 0
        try:
            rows = kept.rows
            identity, _, _ = json.loads(rows["cell"])
            if (content_key(identity), rows["names"]["cell"], json.loads(rows["checks"])["cell"]) != (name,) * 3:
                raise ValueError("the rows of another cell")
            shape = (0, 0) if kept.replicates is None else kept.replicates.shape
            if shape not in ((0, 0), (len(rows["damages"]), 1 + REPLICATES)) or {*map(len, rows["damages"])} - {3}:
                raise ValueError("replicates of other rows")
            number = self._insert(name, kept.content, rows["names"])
            if not rows["names"][SAMPLE_OF]:
                self._fill(number, kept.rows, kept.checksum)
                self._remember(name, kept)
            return True
        except (LookupError, TypeError, ValueError, sqlite3.Error):  # not what we write
            for table, column in OF_CELL:
                self.index.db.execute(f"DELETE FROM {table} WHERE {column} > ?", (mark,))
            return False

    def _insert(self, file: str, content: str, called: Mapping[str, Any]) -> int:
        values = (file, content, *(called[name] for name in CELL_LEVELS))
        query = f"INSERT INTO cell (file, content, {LEVEL_COLUMNS}) VALUES ({', '.join('?' * len(values))})"
        number = self.index.db.execute(query, values).lastrowid
        assert number is not None
        return number

    def _fill(self, cell: int, rows: Mapping[str, Any], replicates: str | None = None) -> None:
        """Write the rows of a cell in place of those that it has; `replicates`: checksum of those in its file."""
        db = self.index.db
        for table, column in OF_CELL[:-1]:
            db.execute(f"DELETE FROM {table} WHERE {column} = ?", (cell,))
        names = "against = ?, description = ?, checks = ?, details = ?, damages = ?, replicates = ?"
        values = (*(rows[name] for name in TEXTS), json.dumps(rows["damages"]), replicates, cell)
        db.execute(f"UPDATE cell SET {names} WHERE id = ?", values)
        metrics = [(cell, self._kind(tuple(row[:5])), *row[5:]) for row in rows["metrics"]]
        db.executemany("INSERT INTO metric VALUES (?, ?, ?, ?, ?)", metrics)
        for table in ("damage", "arp"):
            marks = ", ".join("?" * (1 + len(ROWS[table])))
            db.executemany(f"INSERT INTO {table} VALUES ({marks})", [(cell, *row) for row in rows[table]])

    def _kind(self, kind: tuple[Any, ...]) -> int:
        if kind not in self.kinds:
            done = self.index.db.execute("INSERT INTO kind VALUES (NULL, ?, ?, ?, ?, ?)", kind)
            assert done.lastrowid is not None
            self.kinds[kind] = done.lastrowid
        return self.kinds[kind]

    def _complete(self) -> None:
        """Derive the rows of cells that have none, or none against the clean cells that they have now."""
        self.cells = cells = read_cells(self.index.db)
        self.clean = clean_of(cells)
        wanted = {match: against({cells.key[i]: cells.content[i] for i in match}) for match in set(self.clean)}
        todo = [row for row, match in enumerate(self.clean) if cells.against[row] != wanted[match]]
        for row in sorted(todo, key=lambda row: (self.clean[row], cells.file[row])):
            found = self._derived(row)
            self._fill(cells.id[row], found.rows)
            self._remember(cells.key[row], found)

    def _remember(self, key: str, found: Derived) -> None:
        """Keep the replicates for the transfer ratios, in place of those of other clean cells."""
        self.replicates.pop(key, None)
        if found.replicates is not None and len(self.replicates) < REPLICATES_KEPT:
            self.replicates[key] = found.replicates

    def _derived(self, row: int) -> Derived:
        """What a cell says, from its arrays."""
        clean = [self._frame(at) for at in self.clean[row]]
        own = next((one for one in clean if one[0].key == self.cells.key[row]), None)
        cell, frame = own or self._frame(row, keep=False)
        every = pd.concat([*(one[1] for one in clean), *([] if own else [frame])])
        return derive(cell, [one[0] for one in clean], every, self.paper_batch)

    def _frame(self, row: int, keep: bool = True) -> tuple[Cell, pd.DataFrame]:
        """A cell and its metrics; those of the last clean cells are kept."""
        key = self.cells.key[row]
        if key in self.frames:
            return self.frames[key]
        cell = load(self.store, self.cells.file[row], key)
        made = cell, frame_of(cell, self.weights, self.paper_batch)
        if keep:
            self.frames[key] = made
            if len(self.frames) > FRAMES_KEPT:
                self.frames.popitem(last=False)
        return made

    def _replicates_of(self, key: str, file: str, checksum: str | None) -> np.ndarray:
        """Replicates of the damages of a cell: of its file if the index took over what that says, else anew."""
        kept = self.replicates.pop(key, None)
        if kept is None and checksum:
            kept = self.store.replicates(file, checksum)
        if kept is not None:
            return kept
        found = self._derived(self.cells.key.index(key))
        assert found.replicates is not None
        return found.replicates


@dataclass(frozen=True)
class Cells:
    """The cells of an index, each once, as they lie in the store: columns of equal length."""

    id: list[int]
    key: list[str]
    file: list[str]
    content: list[str]
    against: list[str | None]
    model: list[tuple[Any, ...]]
    is_clean: list[bool]


def read_cells(db: sqlite3.Connection) -> Cells:
    """The cells of an index."""
    shown = ", ".join(f'"{name}"' for name in ("id", "cell", "file", "content", "against", "attack", "eps", *OF_MODEL))
    query = f"SELECT {shown} FROM chosen ORDER BY length(file) DESC, file, id"
    rows = rows_of(db, query)
    number, key, file, content, match = ([row[at] for row in rows] for at in range(5))
    clean = [row[5] == NO_ATTACK and row[6] == 0 for row in rows]
    return Cells(number, key, file, content, match, [row[7:] for row in rows], clean)


def clean_of(cells: Cells) -> list[tuple[int, ...]]:
    """For each cell the rows of the clean cells that it is compared with."""
    found: dict[tuple[Any, ...], tuple[int, ...]] = {}
    for row, (model, clean) in enumerate(zip(cells.model, cells.is_clean, strict=True)):
        if clean:
            found[model] = (*found.get(model, ()), row)
    return [found.get(model, ()) for model in cells.model]


def load(store: Store, file: str, key: str) -> Cell:
    """A cell, which may be one of several in an old file.

    Raises:
        DataError: it is no longer there, or damaged since.
    """
    errors: list[DamagedCellError | OldCellError] = []
    for cell in store.readable(errors.append, [file]):
        if cell.key == key:
            return cell
    raise errors[0] if errors else DataError(f"{store.path(file)}: changed while it was read; start again")
