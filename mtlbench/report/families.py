"""Transferability in the index. Its ratios compare cells of several models, so each family is evaluated together.

A family are the attacks on a single task that agree in everything but the task and the sharing. Its rows are kept
until one of its cells, or a clean cell of these, changes.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mtlbench.report.index import LEVEL_COLUMNS
from mtlbench.scores.derived import CELL_LEVELS, SINGLE
from mtlbench.scores.transferability import COLUMNS, transferability
from mtlbench.scores.wide import SHARING

CELLS_AT_ONCE = 600
"""Families are evaluated together up to so many cells: 200 MB of replicates and what is made of them."""

OF_FAMILY = [place for place, name in enumerate(CELL_LEVELS) if name not in (*SHARING, "target")]
NETWORK = tuple(name for name in SHARING if name != "cell")
"""What tells the networks of a family apart."""

Replicates = Callable[[str, str, str | None], np.ndarray]
"""Key and file of a cell, and the checksum of the replicates in that, if it holds any -> the replicates."""

Member = tuple[Any, ...]
"""id, file, content, against, and `CELL_LEVELS` of a cell."""


def renew_transfer(db: sqlite3.Connection, replicates_of: Replicates) -> None:
    """Evaluate the families that changed, and forget those that are gone."""
    wanted = _families(db)
    known = dict(db.execute("SELECT digest, id FROM family").fetchall())
    gone = [(number,) for digest, number in known.items() if digest not in wanted]
    db.executemany("DELETE FROM transfer WHERE family = ?", gone)
    db.executemany("DELETE FROM family WHERE id = ?", gone)
    new = {digest: members for digest, members in wanted.items() if digest not in known}
    for digests in _batches(new):
        _evaluate(db, {digest: new[digest] for digest in digests}, replicates_of)


def _families(db: sqlite3.Connection) -> dict[str, list[Member]]:
    """Digest -> members."""
    found: dict[Member, list[Member]] = {}
    query = f"SELECT id, file, content, against, {LEVEL_COLUMNS} FROM chosen WHERE attack = ? ORDER BY id"
    for row in db.execute(query, (SINGLE,)):
        found.setdefault(tuple(row[4 + place] for place in OF_FAMILY), []).append(row)
    return {_digest(members): members for members in found.values()}


def _digest(members: Sequence[Member]) -> str:
    return hashlib.sha256(json.dumps(members).encode()).hexdigest()


def _batches(families: dict[str, list[Member]]) -> Iterator[list[str]]:
    batch: list[str] = []
    cells = 0
    for digest, members in families.items():
        batch.append(digest)
        cells += len(members)
        if cells >= CELLS_AT_ONCE:
            yield batch
            batch, cells = [], 0
    if batch:
        yield batch


def _evaluate(db: sqlite3.Connection, families: dict[str, list[Member]], replicates_of: Replicates) -> None:
    table = transferability(_damages(db, families.values(), replicates_of))
    family_of: dict[int, Any] = {}
    for digest, family in families.items():
        number = db.execute("INSERT INTO family (digest) VALUES (?)", (digest,)).lastrowid
        family_of |= {row[0]: number for row in family}
    cells = table["cell"].tolist()
    columns = [[family_of[cell] for cell in cells], cells, *(_values(table[name]) for name in ("scores", *COLUMNS))]
    marks = ", ".join("?" * len(columns))
    db.executemany(f"INSERT INTO transfer VALUES ({marks})", zip(*columns, strict=True))


def _values(column: pd.Series) -> list[Any]:
    return [None if value != value else value for value in column.tolist()]


def _damages(db: sqlite3.Connection, families: Iterable[list[Member]], replicates_of: Replicates) -> pd.DataFrame:
    """The wide frame of the damages of some cells; numbers stand for what is the same in a family or a network."""
    rows, data = [], []
    networks: dict[tuple[Any, ...], int] = {}
    for at, family in enumerate(families):
        for number, file, _, _, *values in family:
            named = dict(zip(CELL_LEVELS, values, strict=True))
            network = networks.setdefault(tuple(named[name] for name in NETWORK), len(networks))
            query = "SELECT damages, replicates FROM cell WHERE id = ?"
            text, checksum = db.execute(query, (number,)).fetchone()
            for scores, task, status in json.loads(text):
                rows.append((at, SINGLE, named["sharing"], network, number, named["target"], scores, task, status))
            data.append(replicates_of(named["cell"], file, checksum))
    names = ("family", "attack", "sharing", "weights", "cell", "target", "scores", "task", "status")
    keys = pd.DataFrame(rows, columns=names)
    return pd.DataFrame(np.concatenate(data), index=pd.MultiIndex.from_frame(keys))
