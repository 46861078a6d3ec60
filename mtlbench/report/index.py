"""The index of a store: derived rows of all its cells in one SQLite file, which only a report writes.

It can be deleted at any time. It is never changed in place: a report works on a copy of its own and renames that, so
that nobody waits for a lock (those of network file systems fail) and a killed report leaves the old one. A checksum
beside it covers every byte, as SQLite has none: an index that is damaged, or of other settings, is made anew. Where it
cannot be written it is kept in memory.
"""

import hashlib
import json
import logging
import os
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from sys import intern
from typing import Any

from mtlbench.constants import SAMPLE_OF
from mtlbench.scores.derived import CELL_LEVELS, ROWS
from mtlbench.scores.transferability import COLUMNS
from mtlbench.storage import store
from mtlbench.storage.files import remove_leftovers, temporary, write_atomically

FORMAT = 3
"""Increment it whenever what `TABLES` hold changes; an index of another format, or of other tables, is made anew."""

LEVEL_COLUMNS = ", ".join(f'"{name}"' for name in CELL_LEVELS)
TABLES = f"""
CREATE TABLE about (settings TEXT);
CREATE TABLE file (name TEXT PRIMARY KEY, size INTEGER, mtime INTEGER, problem TEXT, message TEXT);
CREATE TABLE cell (id INTEGER PRIMARY KEY, file TEXT, content TEXT, against TEXT,
    description TEXT, checks TEXT, details TEXT, damages TEXT, replicates TEXT, {LEVEL_COLUMNS});
CREATE INDEX cell_of_file ON cell (file);
CREATE INDEX cell_of_key ON cell ("cell");
CREATE VIEW chosen AS SELECT * FROM cell AS one WHERE "{SAMPLE_OF}" = '' AND NOT EXISTS (SELECT 1 FROM cell AS other
    WHERE other."cell" = one."cell" AND (length(one.file), other.file) < (length(other.file), one.file));
CREATE TABLE kind (id INTEGER PRIMARY KEY, scores TEXT, task TEXT, metric TEXT, unit TEXT, higher_is_better INTEGER);
CREATE TABLE metric (cell INTEGER, kind INTEGER, clean REAL, attacked REAL, relative_drop REAL,
    PRIMARY KEY (cell, kind)) WITHOUT ROWID;
CREATE TABLE damage (cell INTEGER, {", ".join(ROWS["damage"])}, PRIMARY KEY (cell, scores, task)) WITHOUT ROWID;
CREATE TABLE arp (cell INTEGER, {", ".join(ROWS["arp"])}, PRIMARY KEY (cell, scores)) WITHOUT ROWID;
CREATE TABLE family (id INTEGER PRIMARY KEY, digest TEXT);
CREATE TABLE transfer (family INTEGER, cell INTEGER, scores, {", ".join(COLUMNS)});
CREATE INDEX transfer_of_cell ON transfer (cell);
CREATE INDEX transfer_of_family ON transfer (family);
"""
AGAIN, CHANGING = -1, -2
"""Sizes recorded of files that the next report reads again: the second of cells whose numbers may change with the code
of a plugin."""

CHUNK = 2**20
log = logging.getLogger(__name__)


class Index:
    """The index at `path`, as it was last written, or an empty one.

    Args:
        path: of the file; None keeps the index in memory.
        settings: see `scores.derived.settings`.
    """

    def __init__(self, path: Path | None, settings: Mapping[str, Any]) -> None:
        self.path = path
        self.settings = json.dumps([FORMAT, TABLES, store.RESULT_VERSION, settings])
        self._own: Path | None = None
        self.db = self._read() or self._empty(":memory:")

    def _read(self) -> sqlite3.Connection | None:
        """The stored index, read-only; None if there is none that is intact and of these settings."""
        if self.path is None or not self.path.is_file():
            return None
        try:
            if checksum_file(self.path).read_text() != digest_of(self.path):
                return None
            # Nobody changes this file, so that no lock is needed.
            db = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
            found = db.execute("SELECT settings FROM about").fetchone()
            return db if found == (self.settings,) else None
        except (OSError, UnicodeDecodeError, sqlite3.Error) as error:
            log.info("%s: made anew (%s)", self.path, error)
            return None

    def _empty(self, place: str) -> sqlite3.Connection:
        db = sqlite3.connect(place)
        db.executescript(TABLES)
        db.execute("INSERT INTO about VALUES (?)", (self.settings,))
        db.commit()
        return db

    def edit(self) -> None:
        """Turn to a copy that may be changed; in memory where no file can be written."""
        stored, self.db = self.db, None  # type: ignore[assignment]
        try:
            self.db = self._copy(stored)
        except (OSError, sqlite3.Error) as error:
            log.info("the index is kept in memory (%s)", error)
            self._own = None
            self.db = sqlite3.connect(":memory:")
            stored.backup(self.db)
        stored.close()
        self.db.execute("PRAGMA journal_mode = OFF")
        self.db.execute("PRAGMA synchronous = OFF")

    def _copy(self, stored: sqlite3.Connection) -> sqlite3.Connection:
        if self.path is None:
            raise OSError("a part of the store")
        remove_leftovers(self.path.parent)
        self._own = temporary(self.path)
        with suppress(OSError):
            self._own.unlink()
        if stored.execute("PRAGMA database_list").fetchone()[2]:
            shutil.copyfile(self.path, self._own)
        else:
            self._empty(str(self._own)).close()
        return sqlite3.connect(self._own)

    def keep(self) -> None:
        """Commit, and write the copy that was changed in place of the old index. That only saves time later."""
        self.db.commit()
        if self._own is None or self.path is None:
            return
        try:
            digest = digest_of(self._own)
            with self._own.open("rb") as file:
                os.fsync(file.fileno())
            self._own.replace(self.path)
            write_atomically(checksum_file(self.path), digest)
        except OSError as error:
            log.info("%s: not written (%s)", self.path, error)
            self.drop()
        self._own = None

    def drop(self) -> None:
        """Remove the copy that was changed; the stored index stays."""
        if self._own is not None:
            with suppress(OSError):
                self._own.unlink()


def rows_of(db: sqlite3.Connection, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """All rows of a query; equal texts are kept once, as most columns repeat few values."""
    return [tuple([intern(v) if type(v) is str else v for v in row]) for row in db.execute(query, values)]


def checksum_file(path: Path) -> Path:
    """The file beside an index that holds its checksum."""
    return path.with_name(f"{path.name}.sha256")


def digest_of(path: Path) -> str:
    """sha256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
    return digest.hexdigest()
