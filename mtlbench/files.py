"""Files that are whole or absent, whatever moment the machine dies."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from mtlbench import owner

TEMPORARY = ".tmp"


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write `content` to `path` as temporary file, fsync, rename, fsync of the folder.

    A reader sees the old file or the new one. A killed writer leaves a `temporary` behind; see `sweep`.

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


def sync(folder: Path) -> None:
    """Make the names in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(folder: Path) -> None:
    """Remove the temporary files and folders that dead processes of this machine left in `folder`.

    Those of other machines stay: nobody here can know whether their owner lives.
    """
    for left in folder.glob(f".*{TEMPORARY}"):
        if owner.alive(left.name.removesuffix(TEMPORARY).rpartition(".")[2]) is not False:
            continue
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            with suppress(OSError):  # another user's, or gone
                left.unlink()
