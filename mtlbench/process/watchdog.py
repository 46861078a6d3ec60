"""The messages of a working process to its supervisor, so that a hang is detected.

A library that hangs may hold the interpreter lock, so that none of our threads would run; therefore another process
watches. See `supervisor` for the other end.
"""

import faulthandler
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType

from mtlbench.errors import HungError
from mtlbench.process.progress import Progress

LATE = signal.SIGALRM
"""Sent after too long without progress: raises `HungError`, if the interpreter is able to run."""

DUMP = signal.SIGUSR1
"""Sent before the kill: makes the process write its stack, without the interpreter."""

ProgressBar = Callable[[str], AbstractContextManager[Progress]]
"""Opens a progress display with a title; see `report.terminal`."""

given_up: dict[str, str] = {}
"""Cell -> label and reason, for cells that failed in this invocation before this process replaced one that hung."""


class _Link:
    """The pipe to the process that watches this one."""

    def __init__(self) -> None:
        self.pid: int | None = None  # process that owns the link: a forked worker is not watched
        self.pipe = -1
        self.supervised = False  # by our parent, which starts another child if we hang
        self.watch: dict[str, object] = {"title": None}

    def open(self, pipe: int, supervised: bool) -> None:
        self.pid, self.pipe, self.supervised = os.getpid(), pipe, supervised
        if signal.getsignal(DUMP) == signal.SIG_DFL:  # else it belongs to a launcher
            faulthandler.register(DUMP, file=pipe)

    def write(self, data: bytes) -> None:
        if self.pid != os.getpid():
            return
        try:
            while data:
                data = data[os.write(self.pipe, data) :]
        except BrokenPipeError:
            if self.supervised:  # it was killed, so we have no supervisor; on Linux we have already been killed
                os.kill(self.pid, signal.SIGKILL)
            self.pid = None

    def tell(self, **what: object) -> None:
        self.write(json.dumps(what).encode() + b"\n")


_link = _Link()


def connect(pipe: int) -> None:
    """Mark this process as the child of a supervisor, which reads from `pipe`."""
    _link.open(pipe, supervised=True)


def cells(store: Path, labels: Mapping[str, str], go_on: bool) -> None:
    """Report which cells are computed from now on.

    Args:
        store: the folder where failures are recorded.
        labels: cell -> its label; if the work hangs, all of them have failed, or only the one set by `at`.
        go_on: whether the remaining cells are computed after a hang.
    """
    _link.tell(store=str(store.absolute()), cells=dict(labels), go_on=go_on, at=None)


def at(key: str | None) -> None:
    """Report which cell is being computed; None for work that all of them need."""
    _link.tell(at=key)


def failed(key: str, words: str) -> None:
    """Report that a cell has failed, so that a process which takes over does not try it again."""
    _link.tell(failed={key: words})


def silence(title: str, timeout: float) -> str:
    """The message about a hang."""
    return f"{title}: no progress for {timeout:g} seconds, the limit set by timeout"


def watched(progress_bar: ProgressBar, timeout: float | None) -> ProgressBar:
    """`progress_bar`, under which work that reports no progress for `timeout` seconds raises `HungError`.

    If the exception cannot be raised, the process is killed and the cells that it was computing are recorded as
    failed.

    Args:
        progress_bar: shows the progress.
        timeout: in seconds; None disables the watch.
    """
    if timeout is None:
        return progress_bar

    @contextmanager
    def open_watched(title: str) -> Iterator[Progress]:
        with progress_bar(title) as progress, _watch(title, timeout):

            def report(done: int, total: int, note: str) -> None:
                _link.write(b"\n")
                progress(done, total, note)

            yield report

    return open_watched


@contextmanager
def _watch(title: str, timeout: float) -> Iterator[None]:
    def late(number: int, frame: FrameType | None) -> None:
        _link.write(b"\n")  # the work may catch the error and continue with something else
        raise HungError(silence(title, timeout))

    if _link.pid != os.getpid():
        _link.open(_watcher(), supervised=False)
    outer = _link.watch
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(LATE, late) if in_main else None
    _link.watch = {"title": title, "timeout": timeout, "raises": in_main}
    _link.tell(**_link.watch)
    try:
        yield
    finally:
        _link.watch = outer
        _link.tell(**outer)
        if in_main:
            # A late signal may still arrive; by default it would end the process.
            signal.signal(LATE, _nothing if before in (signal.SIG_DFL, None) else before)


def _nothing(number: int, frame: FrameType | None) -> None:
    """Ignore a signal that arrives after the work is done."""


def _watcher() -> int:
    """Start a process that watches this one, if it has no supervisor: a worker of a launcher or another program."""
    theirs, pipe = os.pipe()
    root = str(Path(__file__).resolve().parents[2])
    ours = f"import sys; sys.path.insert(0, {root!r}); import mtlbench; sys.path.pop(0)"
    code = f"{ours}; from mtlbench.process.supervisor import watch; watch({os.getpid()})"
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-I", "-c", code],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, theirs, 0)],
        setpgroup=0,  # so that Ctrl-C does not end it before us
    )
    os.close(theirs)
    return pipe
