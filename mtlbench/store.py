"""Results on disk: one file per cell, named by the hash of everything that can change it.

A *cell* is one attack at one epsilon on one model and split. Its file is a NumPy archive of per-image statistics with
a JSON header; scores are derived from it later and never stored. Files are written whole or not at all, so "done"
is a fact on disk and a killed run loses only what it had not finished.
"""

import hashlib
import io
import json
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtlbench.errors import DataError
from mtlbench.files import write_atomically

RESULT_VERSION = 1
"""Raise it whenever the code would compute other numbers for the same cell."""

SCHEMA = 1
HEADER = "header"
MAX_UNPACKED = 2**30
"""Bytes of all arrays of a cell; the largest known test split takes a twentieth."""

UNREADABLE = (
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy and zipfile raise on damaged archives, found by flipping their bytes."""


@dataclass(frozen=True)
class Cell:
    """One stored result.

    Attributes:
        identity: everything that can change the result, JSON values only; `key` is its hash.
        provenance: when, where and how it was computed; not part of the key.
        tasks: what each task is, in order: name, metrics.
        arrays: ``<task>/<statistic>`` -> per-image rows [N, k] or pooled [k]; ``losses`` [N, T] and others.
    """

    identity: Mapping[str, Any]
    provenance: Mapping[str, Any]
    tasks: Mapping[str, list[str]]
    arrays: Mapping[str, np.ndarray]

    @property
    def key(self) -> str:
        """Content key of `identity`."""
        return content_key(self.identity)


def content_key(identity: Mapping[str, Any]) -> str:
    """First 20 hex digits of the sha256 of the canonical JSON of `identity` and the result version."""
    text = json.dumps({"result_version": RESULT_VERSION, **identity}, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


class Store:
    """A folder of cells.

    Args:
        folder: created on first use.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path:
        """Where the cell called `key` is or would be."""
        return self.folder / f"{key}.npz"

    def __contains__(self, key: str) -> bool:
        return self.path(key).is_file()

    def save(self, cell: Cell) -> Path:
        """Write `cell`; its path."""
        header = {
            "schema": SCHEMA,
            "key": cell.key,
            "identity": cell.identity,
            "provenance": cell.provenance,
            "tasks": cell.tasks,
            "sha256": _checksum(cell.arrays),
        }
        buffer = io.BytesIO()
        text = np.frombuffer(json.dumps(header, allow_nan=False).encode(), np.uint8)
        np.savez_compressed(buffer, allow_pickle=False, **{HEADER: text}, **cell.arrays)
        path = self.path(cell.key)
        write_atomically(path, buffer.getvalue())
        return path

    def load(self, key: str) -> Cell:
        """Read one cell.

        Raises:
            DataError: the file is missing, damaged, or not what its name says.
        """
        path = self.path(key)
        try:
            header, arrays = _parse(path.read_bytes())
            if header["schema"] != SCHEMA:
                raise DataError(f"{path}: cell of schema {header['schema']}, this version reads {SCHEMA}")
            cell = Cell(header["identity"], header["provenance"], header["tasks"], arrays)
            intact = header["sha256"] == _checksum(arrays) and cell.key == key
        except FileNotFoundError as error:
            raise DataError(f"{path}: no such cell") from error
        except UNREADABLE as error:
            raise DataError(f"{path}: damaged cell ({error}); delete it and run the attack again") from error
        if not intact:
            raise DataError(f"{path}: content does not match its checksum; delete it and run the attack again")
        return cell

    def keys(self) -> list[str]:
        """Keys of all finished cells, sorted."""
        return sorted(path.stem for path in self.folder.glob("*.npz") if not path.name.startswith("."))

    def __iter__(self) -> Iterator[Cell]:
        return map(self.load, self.keys())


def _parse(content: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays of an archive; pickles in it are refused, and sizes are checked before memory is taken."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > MAX_UNPACKED:
            raise ValueError(f"unpacks to {unpacked} bytes, expected at most {MAX_UNPACKED}")
        foreign = {entry.compress_type for entry in entries} - {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
        if foreign:
            raise ValueError(f"compressed in the unexpected ways {sorted(foreign)}")
        arrays = {entry.filename.removesuffix(".npy"): _array(archive.read(entry)) for entry in entries}
    header = json.loads(arrays.pop(HEADER).tobytes())
    if header["schema"] == SCHEMA:
        tasks = header["tasks"].values()
        if not all(isinstance(metrics, list) and all(isinstance(m, str) for m in metrics) for metrics in tasks):
            raise ValueError("tasks are not lists of metrics")
    return header, arrays


def _array(data: bytes) -> np.ndarray:
    """The array of a .npy file; NumPy by itself would allocate whatever the header claims."""
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("array of an unexpected version")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    needed = file.tell() + math.prod(shape) * dtype.itemsize
    if needed != len(data):
        raise ValueError(f"{len(data)} bytes for an array that takes {needed}")
    file.seek(0)
    array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    return array


def _checksum(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
