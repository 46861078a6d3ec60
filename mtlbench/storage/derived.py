"""What a cell says by itself, kept inside its file when it is stored, so that a report need not unpack the arrays.

The last members of the archive: rows as JSON, and for some cells replicates. They are not part of the result: neither
its key nor the checksum of its arrays covers them, and a cell without them, or with those of other formulas, is as
good. Who computes them says in `Derived.settings` how. Their own checksum covers them, and one of all bytes before
them (entries and directory) shows that nothing else in the file has changed since.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtlbench.storage.archive import DERIVED, MAX_UNPACKED, REPLICATES, UNREADABLE, array_of

END_RECORD = 22
"""Bytes of a zip archive's end record without a comment."""

DIRECTORY_ENTRY = 46
"""Bytes of an entry of its directory, without name and extra field."""


@dataclass(frozen=True)
class Derived:
    """What is derived from a cell.

    Attributes:
        settings: everything beside the cell that the numbers depend on; others must recompute them.
        rows: JSON values.
        replicates: float64 [rows, 1 + R], or None.
    """

    settings: Mapping[str, Any]
    rows: Mapping[str, Any]
    replicates: np.ndarray | None = None


@dataclass(frozen=True)
class Kept(Derived):
    """The same, read from a file.

    Attributes:
        key: of the cell.
        result_version: of the cell.
        content: checksum of the cell's arrays.
        checksum: of the replicates, see `replicates_in`; None without any.
    """

    key: str = ""
    result_version: int = 0
    content: str = ""
    checksum: str | None = None


def appended(archive: bytes, about: Mapping[str, Any], derived: Derived) -> bytes:
    """The archive of a cell with `derived` as its last members.

    Args:
        archive: as NumPy writes it.
        about: the further attributes of `Kept`.
        derived: what to append.
    """
    body = {
        "archive": hashlib.sha256(archive[:-END_RECORD]).hexdigest(),
        "replicates": None if derived.replicates is None else _checksum(derived.replicates),
        "settings": derived.settings,
        "rows": derived.rows,
        **about,
    }
    text = json.dumps(body, allow_nan=False).encode()
    buffer = io.BytesIO(archive)
    with zipfile.ZipFile(buffer, "a") as file:
        if derived.replicates is not None:  # as good as random: not compressed
            _write(file, REPLICATES, derived.replicates, zipfile.ZIP_STORED)
        signed = hashlib.sha256(text).hexdigest().encode() + text
        _write(file, DERIVED, np.frombuffer(signed, np.uint8), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _write(file: zipfile.ZipFile, name: str, array: np.ndarray, how: int) -> None:
    data = io.BytesIO()
    np.lib.format.write_array(data, array, version=(1, 0), allow_pickle=False)
    file.writestr(f"{name}.npy", data.getvalue(), how)


def kept_in(content: bytes) -> Kept | None:
    """What `appended` added to an archive; None if nothing was, or if any byte of the file is another one since."""
    try:
        return _kept_in(content)
    except UNREADABLE:
        return None


def _kept_in(content: bytes) -> Kept | None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        own = [entry for entry in entries if entry.filename in (f"{DERIVED}.npy", f"{REPLICATES}.npy")]
        if not own or entries[-1].filename != f"{DERIVED}.npy" or sum(e.file_size for e in entries) > MAX_UNPACKED:
            return None
        signed = array_of(archive.read(own[-1])).tobytes()
        replicates = array_of(archive.read(own[0])) if len(own) == 2 else None
        start = archive.start_dir
    text = signed[64:]
    if hashlib.sha256(text).hexdigest().encode() != signed[:64]:
        return None
    body = json.loads(text)
    others = entries[: -len(own)]
    directory = sum(DIRECTORY_ENTRY + len(e.filename.encode()) + len(e.extra) + len(e.comment) for e in others)
    digest = hashlib.sha256(content[: own[0].header_offset])
    digest.update(content[start : start + directory])
    intact = digest.hexdigest() == body.pop("archive")
    checksum = body.pop("replicates")
    intact &= (None if replicates is None else _checksum(replicates)) == checksum
    return Kept(replicates=replicates, checksum=checksum, **body) if intact else None


def replicates_in(content: bytes, checksum: str) -> np.ndarray | None:
    """The replicates that `appended` added to an archive, and nothing else of it; None if it holds others, or none."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found = array_of(archive.read(f"{REPLICATES}.npy"))
    except UNREADABLE:
        return None
    return found if _checksum(found) == checksum else None


def _checksum(replicates: np.ndarray) -> str:
    return hashlib.sha256(f"{replicates.dtype.str} {replicates.shape}\n".encode() + replicates.tobytes()).hexdigest()
