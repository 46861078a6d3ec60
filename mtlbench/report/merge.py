"""`mtlbench report merge=FOLDER`: takes the cells of another store in, verified, never trusted, never overwriting."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mtlbench.errors import DataError, OldCellError, UsageError
from mtlbench.scores.foreign import accepted
from mtlbench.storage.claims import release, take
from mtlbench.storage.outputs import Outputs
from mtlbench.storage.store import Cell, Store

KEY = re.compile(r"[0-9a-f]{20}|[0-9a-f]{24}")
"""Names of cells, those of before schema 3 included."""

MOST_NAMED = 10


@dataclass
class Merged:
    """What became of the cells of another store.

    Attributes:
        taken: keys of those that are new here.
        present: how many are here already; these were not touched.
        old: how many are of another result version.
        busy: how many somebody is computing here right now.
        refused: file and reason, of those that are damaged or not what mtlbench computes.
    """

    taken: list[str] = field(default_factory=list)
    present: int = 0
    old: int = 0
    busy: int = 0
    refused: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """For the terminal."""
        yield f"{len(self.taken)} cells taken in, {self.present} were here already"
        if self.old:
            yield f"{self.old} cells of another result version were not taken in"
        if self.busy:
            yield f"{self.busy} cells are being computed here and were not taken in"

    def require_good(self) -> None:
        """Raise an error if a cell was refused.

        Raises:
            DataError: it names the first of them.
        """
        if self.refused:
            more = len(self.refused) - MOST_NAMED
            named = [*self.refused[:MOST_NAMED], *([f"and {more} more"] if more > 0 else [])]
            raise DataError("\n".join([f"{len(self.refused)} cells were not taken in:", *named]))


def merge(outputs: Outputs, source: Path, computed_by: str | None = None) -> Merged:
    """Copy the cells of another store that are intact and not here yet.

    Each is read with the checks of our own store (size before memory, checksum, key, result version), its content is
    checked and scored, and it is written anew: nothing of the other file is copied but what was understood.

    Args:
        outputs: whose store takes them in.
        source: an outputs folder, or the store in it.
        computed_by: see `scores.foreign.accepted`.

    Raises:
        UsageError: it is our own store.
        DataError: there is no store.
    """
    theirs, store, found = _store_in(source), outputs.store, Merged()
    if store.folder.exists() and theirs.folder.samefile(store.folder):
        raise UsageError(f"merge={source}: is the store that would take the cells in; expected another one")
    for key in sorted(theirs.keys()):
        if not KEY.fullmatch(key):
            found.refused.append(f"{theirs.path(key)}: not the name of a cell")
        elif key in store:
            found.present += 1
        else:
            _take_in(theirs, key, store, computed_by, found)
    return found


def _store_in(source: Path) -> Store:
    for folder in (source / "store", source):
        if any(folder.glob("[!.]*.npz")):
            return Store(folder)
    raise DataError(f"merge={source}: no stored results there; expected an outputs folder of mtlbench")


def _take_in(theirs: Store, key: str, store: Store, computed_by: str | None, found: Merged) -> None:
    path = theirs.path(key)
    if path.is_symlink():
        found.refused.append(f"{path}: a symbolic link; expected a file")
        return
    try:
        for cell in list(theirs.readable(_raise, [key])):
            _save(store, accepted(cell, computed_by), found)
    except OldCellError:
        found.old += 1
    except DataError as error:
        found.refused.append(f"{path}: {str(error).removeprefix(f'{path}: ')}")


def _raise(error: Exception) -> None:
    raise error


def _save(store: Store, cell: Cell, found: Merged) -> None:
    """Save a cell unless it is here, or somebody computes it."""
    path = store.path(cell.key)
    if take(path) is not None:
        found.busy += 1
        return
    try:
        if cell.key in store:
            found.present += 1
        else:
            store.save(cell)
            found.taken.append(cell.key)
    finally:
        release(path)
