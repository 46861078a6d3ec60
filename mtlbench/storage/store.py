"""Results on disk: one file per cell, named by the hash of everything that can change it.

A *cell* is one attack at one epsilon on one model and split. Its file is a NumPy archive of per-image statistics with
a JSON header; scores are derived from it later and never stored. Files are written atomically, so an existing file is
a finished cell and a killed run loses only unfinished work.
"""

import hashlib
import io
import json
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from mtlbench.constants import LABEL, NOISE, SELECTED, VOTES
from mtlbench.errors import DamagedCellError, DataError, OldCellError, reason
from mtlbench.storage import legacy
from mtlbench.storage.archive import HEADER, MAX_UNPACKED, UNREADABLE, checksum_of, parse
from mtlbench.storage.bounded import read_bytes, read_json
from mtlbench.storage.claims import others_at_work, remove_dead_claims
from mtlbench.storage.derived import Derived, Kept, appended, kept_in, replicates_in
from mtlbench.storage.failures import failure_path, write_failure
from mtlbench.storage.files import remove_leftovers, write_atomically
from mtlbench.storage.sparse import restored, shortened

RESULT_VERSION = 2
"""Increment it whenever the code computes different numbers for the same cell.

Since 2 attacks compute on the fast copy of a frozen model (`mtlbench.models.inference`), which rounds otherwise.
"""

SCHEMA = 5
"""Version of the file format. Increment it with every change and add an upgrade to `UPGRADES`."""

DIGITS, OLD_DIGITS = 24, 20
"""Length of a key. Before schema 3 keys were shorter, so the length shows whether a key is a current one."""


def _without_paths(header: dict[str, Any]) -> dict[str, Any]:
    """Before 3 an identity held import paths, and only the options recorded how the weights were trained."""
    config = header["provenance"].get("config")
    identity = legacy.cell_identity(header["identity"]) | legacy.label_of_given(config)
    provenance = {"recipe": legacy.recipe_of_config(config), **header["provenance"]}
    return {**header, "identity": identity, "provenance": provenance}


UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    # Before 2 a cell recorded neither its result version nor the configuration that reproduces it.
    1: lambda header: {**header, "result_version": 1, "provenance": {"config": None, **header["provenance"]}},
    2: _without_paths,
    # Before 4 a cell of weighted_total included those of its weightings, see `_unpack`.
    3: dict,
    # Before 5 every array was stored whole, see `sparse`, and nothing was derived, see `derived`.
    4: dict,
}
"""Schema -> function that upgrades a header to the next schema, so that a new format loses no results."""

OLD_NAME = "[0-9a-f]" * OLD_DIGITS + ".npz"
SMALL_ARRAYS = ("losses", "gradient", VOTES, SELECTED, LABEL, NOISE)
"""What studies read of all clean cells; last part of the name."""


@dataclass(frozen=True)
class Cell:
    """One stored result.

    Attributes:
        identity: everything that can change the result, JSON values only; `key` is its hash.
        provenance: when, where and how it was computed; not part of the key.
        tasks: task -> names of its metrics, in order.
        arrays: ``<task>/<statistic>`` -> per-image rows [N, k] or pooled [k]; ``losses`` [N, T] and others.
        formulas: task -> metric -> definition, unit and direction, for metrics that are not built in.
    """

    identity: Mapping[str, Any]
    provenance: Mapping[str, Any]
    tasks: Mapping[str, list[str]]
    arrays: Mapping[str, np.ndarray]
    formulas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Content key of `identity`."""
        return content_key(self.identity)

    def light(self) -> "Cell":
        """The cell with only the small arrays: few numbers per image and task."""
        small = {name: a for name, a in self.arrays.items() if name.rpartition("/")[2] in SMALL_ARRAYS}
        return replace(self, arrays=small)


def content_key(identity: Mapping[str, Any], version: int | None = None, digits: int = DIGITS) -> str:
    """First hex digits of the sha256 of the canonical JSON of `identity` and result version (None: current)."""
    version = RESULT_VERSION if version is None else version
    text = json.dumps({"result_version": version, **identity}, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


class Store:
    """A folder of cells.

    Its subfolder ``partial/`` holds unfinished cells of interrupted passes, ``failures/`` the reasons why cells could
    not be computed, ``corrupt/`` damaged cells that were recomputed.

    Args:
        folder: created on first use.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path:
        """The path of the cell `key`, existing or not; a claim on this path is the right to compute the cell."""
        return self.folder / f"{key}.npz"

    def __contains__(self, key: str) -> bool:
        return self.path(key).is_file()

    def save(self, cell: Cell, derived: Derived | None = None) -> Path:
        """Write `cell` and what is derived from it, remove its partial file and failure record; returns its path."""
        path = self.path(cell.key)
        content = _pack(cell, {})
        if derived is not None:
            about = {"key": cell.key, "result_version": RESULT_VERSION, "content": content_of(cell)}
            content = appended(content, about, derived)
        write_atomically(path, content)
        self._partial(cell.key).unlink(missing_ok=True)
        failure_path(self.folder, cell.key).unlink(missing_ok=True)
        return path

    def load(self, key: str) -> Cell:
        """Read one cell.

        Raises:
            DamagedCellError: the file is damaged or does not match its name.
            OldCellError: it is of another result version.
            DataError: it is missing, or of a newer version.
        """
        return _unpack(self.path(key), key)[0][0]

    def derived(self, key: str) -> Kept | None:
        """What was derived when the cell was stored; None where it is not there, or anything in the file is damaged.

        The whole file is compared with a checksum, but nothing else of it is unpacked.

        Raises:
            DataError: the file is missing or cannot be read.
        """
        found = kept_in(read_bytes(self.path(key), MAX_UNPACKED))
        current = found is not None and (found.key, found.result_version) == (key, RESULT_VERSION)
        return found if current else None

    def replicates(self, key: str, checksum: str) -> np.ndarray | None:
        """The replicates of the damages of a cell, of which `derived` said the checksum; None if they are not there.

        Raises:
            DataError: the file is missing or cannot be read.
        """
        return replicates_in(read_bytes(self.path(key), MAX_UNPACKED), checksum)

    def keys(self) -> list[str]:
        """Keys of all finished cells, sorted."""
        return sorted(path.stem for path in self.folder.glob("*.npz") if not path.name.startswith("."))

    def __iter__(self) -> Iterator[Cell]:
        return map(self.load, self.keys())

    def readable(
        self, refused: Callable[[DamagedCellError | OldCellError], None], keys: Iterable[str] | None = None
    ) -> Iterator[Cell]:
        """Every intact cell of the current result version; the others are reported to the callback `refused`.

        Needs no claim and may run beside any number of writers.

        Args:
            refused: callback, called with the error.
            keys: of the cells to read, if they exist; None reads all.
        """
        known = set()
        wanted = self.keys() if keys is None else sorted(key for key in keys if key in self)
        for key in sorted(wanted, key=len, reverse=True):  # before the files that hold the same cells in an old format
            try:
                for cell in _unpack(self.path(key), key)[0]:
                    if cell.key not in known:
                        known.add(cell.key)
                        yield cell
            except (DamagedCellError, OldCellError) as error:
                refused(error)
            except DataError:
                if key in self:
                    raise
                # set aside by another process in the meantime

    def set_aside(self, key: str) -> Path:
        """Move a damaged cell to ``corrupt/``; returns its new path. The caller must hold the claim."""
        aside = self.folder / "corrupt"
        aside.mkdir(parents=True, exist_ok=True)
        free = (path for path in (aside / f"{key}.{number}.npz" for number in count()) if not path.exists())
        return self.path(key).replace(next(free))

    def adopt(self, known: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict) -> int:
        """Give cells from before schema 3, also unfinished ones, their current names; returns their number.

        Safe to run in several processes at once. Damaged cells are set aside, those of an older result version stay.

        Args:
            known: converts an identity to one with the public names of a plugin's components.
        """
        count = 0
        for path in (*self.folder.glob(OLD_NAME), *(self.folder / "partial").glob(OLD_NAME)):
            try:
                found, header = _unpack(path, path.stem)
                cells = [replace(cell, identity=known(cell.identity)) for cell in found]
                if "done" in header and path.parent != self.folder:
                    if not self._partial(cells[0].key).exists():
                        self.keep(cells[0], int(header["done"]))
                else:
                    count += self._save_missing(cells)
                path.unlink(missing_ok=True)
            except OldCellError:
                continue
            except DamagedCellError as error:
                if path.parent == self.folder:
                    print(f"mtlbench: {error}; moved to {self.set_aside(path.stem)}", file=sys.stderr, flush=True)
                else:
                    path.unlink(missing_ok=True)  # it only saves time
            except DataError:
                if path.exists():
                    raise
                # another process has adopted it in the meantime
        for path in (self.folder / "failures").glob(OLD_NAME.replace("npz", "json")):
            path.unlink(missing_ok=True)  # these cells will be tried again under their new names
        return count

    def spread(self, key: str) -> None:
        """Write a separate file for every cell that is included in the file of another one, as before schema 4.

        Unreadable files are left unchanged.
        """
        try:
            cell, *others = _unpack(self.path(key), key)[0]
        except DataError:
            return
        if others:
            self._save_missing(others)
            self.save(cell)  # last: until then the others are read from this file

    def _save_missing(self, cells: Iterable[Cell]) -> int:
        missing = [cell for cell in cells if cell.key not in self]
        for cell in missing:
            self.save(cell)
        return len(missing)

    def keep(self, cell: Cell, done: int) -> None:
        """Save an unfinished cell: the statistics of its first `done` images."""
        write_atomically(self._partial(cell.key), _pack(cell, {"done": done}))

    def kept(self, key: str) -> tuple[Cell, int] | None:
        """The unfinished cell that `keep` saved, and its number of images; None if there is nothing usable."""
        path = self._partial(key)
        try:
            cells, header = _unpack(path, key)
            return cells[0], int(header["done"])
        except (DataError, LookupError, TypeError, ValueError):
            path.unlink(missing_ok=True)  # it only saves time
            return None

    def fail(self, key: str, label: str, error: BaseException, origin: Mapping[str, Any]) -> None:
        """Record why a cell could not be computed; a later `save` of the cell removes the record."""
        lines = traceback.format_exception(error)
        write_failure(self.folder, key, label, reason(error), "".join(lines), origin)

    def failures(self) -> dict[str, str]:
        """Cell -> description and reason, for all cells whose last computation failed."""
        found = {}
        for path in sorted((self.folder / "failures").glob("[!.]*.json")):
            if path.stem in self:
                continue
            try:
                about: Any = read_json(path)
                found[path.stem] = f"{about['cell']}: {about['reason']}"
            except (DataError, LookupError, TypeError) as error:
                found[path.stem] = f"{path}: cannot be read ({error})"
        return found

    def tidy(self) -> None:
        """Remove leftovers of dead processes: temporary files, claims, and partial files of finished cells."""
        for folder in (self.folder, self.folder / "partial", self.folder / "failures"):
            remove_leftovers(folder)
        remove_dead_claims(self.folder)
        for path in (self.folder / "partial").glob("[!.]*.npz"):
            if path.stem in self:
                path.unlink(missing_ok=True)

    def others_at_work(self) -> bool:
        """Whether another process is computing cells."""
        return others_at_work(self.folder)

    def _partial(self, key: str) -> Path:
        return self.folder / "partial" / f"{key}.npz"


def content_of(cell: Cell) -> str:
    """Checksum of what the file of a cell holds in arrays."""
    return checksum_of(shortened(cell.arrays)[0])


def _pack(cell: Cell, more: Mapping[str, Any]) -> bytes:
    arrays, lengths = shortened(cell.arrays)
    header = {
        "schema": SCHEMA,
        "result_version": RESULT_VERSION,
        "key": cell.key,
        "identity": cell.identity,
        "provenance": cell.provenance,
        "tasks": cell.tasks,
        "sha256": checksum_of(arrays),
        **({"sparse": lengths} if lengths else {}),
        **({"formulas": cell.formulas} if cell.formulas else {}),
        **more,
    }
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(header, allow_nan=False).encode(), np.uint8)
    np.savez_compressed(buffer, allow_pickle=False, **{HEADER: text}, **arrays)
    return buffer.getvalue()


def _unpack(path: Path, key: str) -> tuple[list[Cell], dict[str, Any]]:
    """The cell in a file and its header, upgraded to the current schema; `key` is taken from the file's name.

    The cells that a file from before schema 4 includes follow the first.
    """
    # An error of the disk does not mean that the cell is damaged: no `DamagedCellError`.
    content = read_bytes(path, MAX_UNPACKED)
    try:
        header, arrays = parse(content)
        schema = header["schema"]
        if schema > SCHEMA:
            raise DataError(f"{path}: of schema {schema}, written by a newer mtlbench; this one reads up to {SCHEMA}")
        version = header.get("result_version", 1)
        # The name is the hash of the identity as stored in the file.
        intact = content_key(header["identity"], version, DIGITS if schema >= 3 else OLD_DIGITS) == key
        intact &= header["sha256"] == checksum_of(arrays)
        arrays = restored(arrays, header.get("sparse", {}))
        for old in range(schema, SCHEMA):
            header = UPGRADES[old](header)
        cells = _cells(header, arrays)
    except UNREADABLE as error:
        raise DamagedCellError(path, f"damaged cell ({error})") from error
    if not intact:
        raise DamagedCellError(path, "content does not match its checksum")
    if version != RESULT_VERSION:
        raise OldCellError(f"{path}: of result version {version}; this mtlbench computes version {RESULT_VERSION}")
    return cells, header


def _cells(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> list[Cell]:
    identity, provenance, tasks = header["identity"], header["provenance"], header["tasks"]
    if header["schema"] >= 4:
        return [Cell(identity, provenance, tasks, arrays, header.get("formulas", {}))]
    return [Cell(one, its, tasks, own) for one, its, own in legacy.cells(identity, provenance, arrays)]
