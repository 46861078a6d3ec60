"""A hash of a dataset's content, part of every result's key."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from mtlbench.data.base import MultiTaskDataset
from mtlbench.errors import DataError
from mtlbench.storage.bounded import broken_link, read_json
from mtlbench.storage.files import checksum, write_atomically

CHECKSUM = "sha256"
_Known = dict[str, list[Any]]
_DIGEST = re.compile("[0-9a-f]{64}")


def fingerprint(dataset: MultiTaskDataset, cache: Path | None = None) -> str:
    """Hash the settings, the relative names and the bytes of every file that `dataset` reads, and its `values`.

    The same files in another folder give the same fingerprint.

    Args:
        dataset: its `settings`, and the `files` of its images, in order.
        cache: a file that remembers the hash of each (path, size, times of modification and of change in ns),
            so that a second call reads no image. It is replaced atomically; a damaged one is ignored and rebuilt.

    Returns:
        64 hexadecimal digits (SHA-256).

    Raises:
        DataError: a file is missing or cannot be read.
    """
    known = _load(cache)
    changed = False
    total = hashlib.sha256(json.dumps(dataset.settings(), sort_keys=True).encode())
    for index in range(len(dataset)):
        for path in dataset.files(index):
            digest, is_new = _file_hash(path, known)
            changed |= is_new
            total.update(f"\0{path.relative_to(dataset.root).as_posix()}\0{digest}".encode())
        values = dataset.values(index)
        if values:
            total.update(f"\0{json.dumps(values)}".encode())
    if cache is not None and changed:
        _store(cache, known)
    return total.hexdigest()


def _file_hash(path: Path, known: _Known) -> tuple[str, bool]:
    """The file's hash, and whether it had to be computed."""
    try:
        status = path.stat()
        entry = known.get(str(path))
        if entry is not None and entry[:3] == [status.st_size, status.st_mtime_ns, status.st_ctime_ns]:
            return entry[3], False
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        why = broken_link(path) if isinstance(error, FileNotFoundError) else None
        raise DataError(f"{path}: {why or f'cannot be read ({error.strerror})'}") from error
    known[str(path)] = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, digest]
    return digest, True


def _load(cache: Path | None) -> _Known:
    """The cached hashes; none if the cache is absent or damaged."""
    if cache is None:
        return {}
    try:
        known = read_json(cache)
    except DataError:
        return {}
    if not isinstance(known, dict) or known.pop(CHECKSUM, None) != checksum(known):
        return {}
    return known if all(map(_is_entry, known.values())) else {}


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, list) or [type(part) for part in entry] != [int, int, int, str]:
        return False
    return _DIGEST.fullmatch(entry[3]) is not None


def _store(cache: Path, known: _Known) -> None:
    """Concurrent writers may lose cached hashes, which is harmless."""
    write_atomically(cache, json.dumps({**known, CHECKSUM: checksum(known)}))
