"""Claims: locks among all processes that share an outputs folder, so that nothing is computed twice.

The claim on a path is a folder ``.<name>.claim`` beside it that holds one file, named by its owner. The file system
only needs to support rename, so claims work where file locks do not (NFS):

- it is taken by renaming a prepared folder to that name, which fails while a folder with a file exists there;
- a dead owner's claim is taken over by renaming its file to the new owner's name: only one process succeeds;
- it is released by removing the file, then the folder.

An owner on this machine is dead if its process is; a stopped process is alive. An owner elsewhere (on another machine,
in another container, before a reboot) touches its file every few seconds: if that is older than `LEASE` seconds by the
clock of the file system (`files.dead`), the claim may be taken over.
"""

import errno
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mtlbench.errors import BusyError
from mtlbench.storage import owner
from mtlbench.storage.files import dead, sync, temporary, touch

LEASE = 300.0
BEAT = 20.0


def claim_of(path: Path) -> Path:
    """The folder that is the claim on `path`."""
    return path.with_name(f".{path.name}.claim")


def _claimed_path(claim: Path) -> Path:
    return claim.with_name(claim.name.removeprefix(".").removesuffix(".claim"))


def take(path: Path) -> str | None:
    """Claim `path`; returns None on success, otherwise the name of the current owner.

    A claim that this process already holds cannot be taken again.
    """
    folder, me = claim_of(path), owner.me()
    folder.parent.mkdir(parents=True, exist_ok=True)
    while True:
        if _create(folder, me):
            return None
        other = _owner_of(folder)
        if other is None:
            continue  # released just now
        if not dead(other, folder / other, LEASE, folder.parent):
            return other
        try:
            (folder / other).rename(folder / me)
        except FileNotFoundError:
            continue  # another process was faster
        sync(folder)
        _beating.add(folder / me)
        return None


def release(path: Path) -> None:
    """Release the claim on `path`; nothing happens if another process holds it."""
    folder = claim_of(path)
    mine = folder / owner.me()
    _beating.discard(mine)
    try:
        mine.unlink()
        folder.rmdir()
    except OSError:
        # Another process took it over, considering us dead, or took it between the two steps.
        return


def held(path: Path) -> bool:
    """Whether this process holds the claim on `path`."""
    return (claim_of(path) / owner.me()).exists()


@contextmanager
def claimed(path: Path, what: str) -> Iterator[None]:
    """Context manager that holds the claim on `path`.

    Raises:
        BusyError: another process holds it; the message names the process and `what`.
    """
    other = take(path)
    if other is not None:
        raise BusyError(f"{what}: {owner.words(other)} is at it")
    try:
        yield
    finally:
        release(path)


def remove_dead_claims(folder: Path) -> None:
    """Remove the claims in `folder` whose owners are dead."""
    for claim in folder.glob(".*.claim"):
        other = _owner_of(claim)
        if other is None or dead(other, claim / other, LEASE, folder):
            path = _claimed_path(claim)
            if take(path) is None:
                release(path)


def others_at_work(folder: Path) -> bool:
    """Whether another process that may be alive holds a claim in `folder`."""
    owners = ((claim, _owner_of(claim)) for claim in folder.glob(".*.claim"))
    return any(
        name not in (None, owner.me()) and not dead(name, claim / name, LEASE, folder) for claim, name in owners
    )


def _create(folder: Path, me: str) -> bool:
    """Make the claim `folder` with our file inside, atomically; False if it exists."""
    new = temporary(folder)
    try:
        new.mkdir(exist_ok=True)
        (new / me).touch()
        touch(new / me)
        # A folder can be renamed to the name of an empty folder, never to that of a non-empty one.
        new.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    finally:
        shutil.rmtree(new, ignore_errors=True)
    sync(folder.parent)
    _beating.add(folder / me)
    return True


def _owner_of(folder: Path) -> str | None:
    try:
        return next((file.name for file in folder.iterdir()), None)
    except FileNotFoundError:
        return None


class _Heart:
    """Touches the claims of this process, so that other machines see that it is alive."""

    def __init__(self) -> None:
        self.files: set[Path] = set()  # changed by single operations only: a signal may arrive at any moment
        self.pid: int | None = None

    def add(self, file: Path) -> None:
        self.files.add(file)
        if self.pid != os.getpid():  # a thread does not survive a fork
            self.pid = os.getpid()
            threading.Thread(target=self._beat, name="claims", daemon=True).start()

    def discard(self, file: Path) -> None:
        self.files.discard(file)

    def _beat(self) -> None:
        while True:
            time.sleep(BEAT)
            for file in list(self.files):
                try:
                    touch(file)
                except FileNotFoundError:  # taken over
                    self.discard(file)
                except OSError:
                    continue  # an unreachable server may come back


_beating = _Heart()
