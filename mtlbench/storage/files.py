"""Atomic writes: files are complete or absent, even after a crash."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from mtlbench.storage import owner

TEMPORARY = ".tmp"
ABANDONED = 24 * 3600.0
"""Seconds without a touch after which a process on another machine is considered dead."""


def write_atomically(path: Path, content: bytes | str | Iterable[bytes]) -> None:
    """Write `content`, or its pieces, to `path`: temporary file, fsync, rename, fsync of the folder.

    A reader sees the old file or the new one. A killed writer leaves a `temporary` behind; see `remove_leftovers`.

    Raises:
        OSError: with `path` as its file name, which some errors, such as a full disk, do not set.
    """
    pieces = [content.encode()] if isinstance(content, str) else [content] if isinstance(content, bytes) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = temporary(path)
        try:
            with beside.open("wb") as file:
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        sync(path.parent)
    except OSError as error:
        raise type(error)(error.errno, error.strerror or str(error), str(path)) from error


def temporary(path: Path) -> Path:
    """A temporary path beside `path` that contains the name of its owner, so that no other process uses it."""
    return path.with_name(f".{path.name}.{owner.me()}{TEMPORARY}")


def dead(name: str, path: Path, silence: float, folder: Path) -> bool:
    """Whether the process called `name` is dead. Every decision about claims and leftovers of others is made here.

    If this machine cannot know (another machine, boot or container), the process counts as dead if it has not touched
    `path` for longer than `silence` seconds by the clock of the file system, read by touching a file in `folder`.
    """
    lives = owner.alive(name)
    if lives is not None:
        return not lives
    probe = temporary(folder / "probe")
    try:
        probe.touch()
        touch(probe)
        now = _touched(probe)
        last = max(map(_touched, [path, *(path.iterdir() if path.is_dir() else ())]))
    except OSError:  # gone, or not writable: unknown
        return False
    finally:
        with suppress(OSError):
            probe.unlink()
    # A time in the future (the clock was set back) counts too: a live process touches the file again.
    return abs(now - last) > silence


def touch(path: Path) -> None:
    """Set a file's time to now by the clock of the file system: of the server, for a network file system."""
    os.utime(path)


def _touched(path: Path) -> float:
    with suppress(PermissionError):  # opening makes a network file system ask its server
        os.close(os.open(path, os.O_RDONLY))
    return path.stat().st_mtime


def sync(folder: Path) -> None:
    """Make the names in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files and folders that dead processes left in `folder`."""
    for left in folder.glob(f".*{TEMPORARY}"):
        if not dead(left.name.removesuffix(TEMPORARY).rpartition(".")[2], left, ABANDONED, folder):
            continue
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            with suppress(OSError):  # owned by another user, or gone
                left.unlink()


def checksum(value: object) -> str:
    """sha256 of JSON values: stored in a small JSON file as its checksum, so that one changed digit is detected."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
