"""Reading the archive of a cell without trust: pickles are refused, sizes checked before memory is taken."""

import hashlib
import io
import json
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

HEADER = "header"
DERIVED, REPLICATES = "derived", "derived_replicates"
"""Members of an archive that are not part of the result, see `derived`."""

MAX_UNPACKED = 2**30
"""Bytes of all arrays of a cell; the largest known test split needs a twentieth of it."""

PREFIX = 10
"""Bytes of a .npy file before the description of its array, the last two the length of that."""

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
"""Exceptions that NumPy and zipfile raise on damaged archives, found by flipping bytes."""


def parse(content: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays of an archive, without what was derived from them."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > MAX_UNPACKED:
            raise ValueError(f"unpacks to {unpacked} bytes, expected at most {MAX_UNPACKED}")
        foreign = {entry.compress_type for entry in entries} - {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
        if foreign:
            raise ValueError(f"compressed in the unexpected ways {sorted(foreign)}")
        named = {entry.filename.removesuffix(".npy"): entry for entry in entries}
        wanted = {name: entry for name, entry in named.items() if name not in (DERIVED, REPLICATES)}
        arrays = {name: array_of(archive.read(entry)) for name, entry in wanted.items()}
    header = json.loads(arrays.pop(HEADER).tobytes())
    if header["schema"] >= 3:
        tasks = header["tasks"].values()
        if not all(isinstance(metrics, list) and all(isinstance(m, str) for m in metrics) for metrics in tasks):
            raise ValueError("tasks are not lists of metrics")
    return header, arrays


def array_of(data: bytes) -> np.ndarray:
    """The array of a .npy file; NumPy alone would allocate whatever size the header claims."""
    start = PREFIX + int.from_bytes(data[PREFIX - 2 : PREFIX], "little")
    shape, fortran, dtype = _header(data[:start])
    needed = start + math.prod(shape) * dtype.itemsize
    if needed != len(data):
        raise ValueError(f"{len(data)} bytes for an array that takes {needed}")
    return np.ndarray(shape, dtype, data, start, order="F" if fortran else "C").copy(order="K")


@lru_cache(1024)
def _header(data: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns come first, and type; of most arrays the same for every cell."""
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("array of an unexpected version")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.hasobject:
        raise ValueError("an array of Python objects")
    return shape, fortran, dtype


def checksum_of(arrays: Mapping[str, np.ndarray]) -> str:
    """sha256 of names, types, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
