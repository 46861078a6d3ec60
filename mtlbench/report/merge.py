"""`mtlbench report merge=FOLDER`: takes the cells of another store in, verified, never trusted, never overwriting."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtlbench.constants import NO_ATTACK
from mtlbench.errors import DataError, OldCellError, UsageError
from mtlbench.scores.derived import Deriving
from mtlbench.scores.foreign import accepted
from mtlbench.scores.wide import SAME_MODEL
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
    checked and scored, and it is written anew: nothing of the other file is copied but what was understood. Rows that
    were derived from it elsewhere are not read; they are derived here, so that no report has to.

    Args:
        outputs: whose store takes them in.
        source: an outputs folder, or the store in it.
        computed_by: see `scores.foreign.accepted`.

    Raises:
        UsageError: it is our own store.
        DataError: there is no store.
    """
    theirs, store = _store_in(source), outputs.store
    if store.folder.exists() and theirs.folder.samefile(store.folder):
        raise UsageError(f"merge={source}: is the store that would take the cells in; expected another one")
    return _Merging(theirs, store, computed_by)()


def _store_in(source: Path) -> Store:
    for folder in (source / "store", source):
        if any(folder.glob("[!.]*.npz")):
            return Store(folder)
    raise DataError(f"merge={source}: no stored results there; expected an outputs folder of mtlbench")


@dataclass
class _Merging:
    """Takes the clean cells in, then those that are compared with them: what is derived is derived here, once."""

    theirs: Store
    store: Store
    computed_by: str | None
    found: Merged = field(default_factory=Merged)
    here: list[str] = field(default_factory=list)
    clean: dict[str, set[str]] = field(default_factory=dict)
    attacked: dict[str, list[str]] = field(default_factory=dict)

    def __call__(self) -> Merged:
        for key in sorted(self.theirs.keys()):
            if not KEY.fullmatch(key):
                self.found.refused.append(f"{self.theirs.path(key)}: not the name of a cell")
            elif key in self.store:
                self.found.present += 1
                self.here.append(key)
            else:
                self._take_clean(key)
        if self.attacked:
            self._find_clean()
        for model, keys in self.attacked.items():
            self._take_attacked(model, keys)
        return self.found

    def _take_clean(self, key: str) -> None:
        for cell in self._read(key):
            model = _model(cell.identity)
            if _is_clean(cell.identity):
                self._take(key, cell, Deriving(self.store, []))
                self.clean.setdefault(model, set()).add(cell.key)
            elif key not in self.attacked.setdefault(model, []):
                self.attacked[model].append(key)

    def _find_clean(self) -> None:
        """Clean cells of theirs that were here already."""
        for key in self.here:
            try:
                kept = self.store.derived(key)
                identity = self.store.load(key).identity if kept is None else json.loads(kept.rows["cell"])[0]
            except DataError:  # a report says why
                continue
            if _is_clean(identity):
                self.clean.setdefault(_model(identity), set()).add(key)

    def _take_attacked(self, model: str, keys: Sequence[str]) -> None:
        clean = self.clean.get(model, set())
        deriving = Deriving(self.store, [*clean]) if len(clean) == 1 else None  # else a report derives the rows
        for key in keys:
            for cell in self._read(key):
                if not _is_clean(cell.identity) and _model(cell.identity) == model:
                    self._take(key, cell, deriving)

    def _read(self, key: str) -> list[Cell]:
        """The cells of a file; none, and the reason taken down, if it cannot be read."""
        path = self.theirs.path(key)
        if path.is_symlink():
            self._refuse(path, "a symbolic link; expected a file")
            return []
        try:
            return list(self.theirs.readable(_raise, [key]))
        except OldCellError:
            self.found.old += 1
        except DataError as error:
            self._refuse(path, str(error))
        return []

    def _take(self, key: str, cell: Cell, deriving: Deriving | None) -> None:
        """Save a cell unless it is refused, or here, or somebody computes it."""
        try:
            cell = accepted(cell, self.computed_by)
        except DataError as error:
            self._refuse(self.theirs.path(key), str(error))
            return
        path = self.store.path(cell.key)
        if take(path) is not None:
            self.found.busy += 1
            return
        try:
            if cell.key in self.store:
                self.found.present += 1
            else:
                self.store.save(cell, deriving(cell) if deriving else None)
                self.found.taken.append(cell.key)
        finally:
            release(path)

    def _refuse(self, path: Path, why: str) -> None:
        self.found.refused.append(f"{path}: {why.removeprefix(f'{path}: ')}")


def _model(identity: Mapping[str, Any]) -> str:
    """Names the model and images of a cell, and nothing else, whatever stands in the identity of a foreign one."""
    return json.dumps([identity.get(name) for name in SAME_MODEL])


def _is_clean(identity: Mapping[str, Any]) -> bool:
    return identity.get("attack") == NO_ATTACK and identity.get("eps") == 0


def _raise(error: Exception) -> None:
    raise error
