"""Files that are whole or absent, whatever moment the machine dies."""

import hashlib
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

from mtlbench.storage import owner

TEMPORARY = ".tmp"
ABANDONED = 24 * 3600.0
"""Seconds after which what a process of elsewhere has not touched is taken for left by a dead one."""


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write `content` to `path` as temporary file, fsync, rename, fsync of the folder.

    A reader sees the old file or the new one. A killed writer leaves a `temporary` behind; see `remove_leftovers`.

    Raises:
        OSError: with `path` as its file name, whatever failed; a full disk, for one, does not name a file itself.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = temporary(path)
        try:
            with beside.open("wb") as file:
                file.write(data)
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
    """A name beside `path` that no other process uses and that tells whose it is."""
    return path.with_name(f".{path.name}.{owner.me()}{TEMPORARY}")


def dead(name: str, path: Path, silence: float, folder: Path) -> bool:
    """Whether the process called `name` is dead. Every decision about what another process holds or left is made here.

    Where this machine cannot know (another one, another boot, another container), it is dead if it has not touched
    `path` for longer than `silence` seconds by the clock of the file system, which a file touched in `folder` tells.
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
    except OSError:  # gone, or nothing can be written here: nobody knows
        return False
    finally:
        with suppress(OSError):
            probe.unlink()
    # A clock that was set back counts too: whoever lives touches again, at the time of now.
    return abs(now - last) > silence


def touch(path: Path) -> None:
    """Give a file the time of now by the clock of the file system: a network one takes its server's."""
    os.utime(path)


def _touched(path: Path) -> float:
    with suppress(PermissionError):  # opening makes a network file system ask its server
        os.close(os.open(path, os.O_RDONLY))
    return path.stat().st_mtime


def sync(folder: Path) -> None:
    """Make the names in `folder` survive a power cut."""
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
            with suppress(OSError):  # another user's, or gone
                left.unlink()


def checksum(value: object) -> str:
    """sha256 of plain values: what a small JSON file says of itself, so that one changed digit is noticed."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
