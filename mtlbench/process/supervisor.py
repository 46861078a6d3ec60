"""The supervisor process: it receives progress through a pipe and kills work that reports none for too long.

With a time-out, a command is two processes: the child does the work; the parent kills it if it hangs, records the
cells that it was computing as failed, and starts another child for the remaining ones. Both receive the signals of
their terminal; a signal sent to the parent alone is forwarded to the child.
"""

import ctypes
import os
import resource
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from json import loads
from pathlib import Path
from types import FrameType

from mtlbench.errors import HungError
from mtlbench.process import watchdog
from mtlbench.storage import owner
from mtlbench.storage.failures import write_failure

TICK = 1.0
GRACE = 10.0
"""Seconds that Python code has to react before its process is killed; at most the time-out itself."""

SECONDS_TO_STOP = 10
"""Seconds for a child that was asked to stop; it needs less unless it hangs."""

MOST_READS = 100
"""Most reads of the stack dump: if the signal ended the hang, the child would keep writing progress."""

PR_SET_PDEATHSIG = 1


class Watch:
    """The state that a process has reported, and for how long it has been silent.

    Time is counted in ticks without a message, not read from a clock: when the machine is suspended, or the processes
    are stopped by Ctrl-Z, at most one tick is miscounted.
    """

    def __init__(self) -> None:
        self.title: str | None = None  # None: no time-out applies
        self.timeout = 0.0
        self.raises = False
        self.store = ""
        self.cells: dict[str, str] = {}
        self.at: str | None = None
        self.go_on = False
        self.failed: dict[str, str] = {}
        self.stack: list[str] = []
        self.silent = 0.0
        self._rest = b""

    def heard(self, data: bytes) -> None:
        """Handle data from the process: JSON with changed attributes, empty lines (progress), or its stack."""
        self.silent = 0.0
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in filter(None, lines):
            try:
                message = loads(line)
            except ValueError:
                self.stack.append(line.decode(errors="replace"))
            else:
                self.failed |= message.pop("failed", {})
                vars(self).update(message)

    def tick(self) -> signal.Signals | None:
        """Count a tick without a message; returns the signal to send, if any."""
        if self.title is None:
            return None
        before, self.silent = self.silent, self.silent + TICK
        if self.silent >= self.timeout + min(GRACE, self.timeout):
            return signal.SIGKILL
        return watchdog.LATE if self.raises and before < self.timeout <= self.silent else None

    def record(self) -> None:
        """The process hung: print it, and record the cells that it was computing as failed."""
        assert self.title is not None
        why = watchdog.silence(self.title, self.timeout)
        print(f"mtlbench: {why}", file=sys.stderr, flush=True)
        for key, label in self.cells.items():
            if key in self.failed or self.at not in (None, key):
                continue
            self.failed[key] = f"{label}: HungError: {why}"
            print(f"mtlbench: failed: {self.failed[key]}", file=sys.stderr, flush=True)
            try:
                write_failure(Path(self.store), key, label, f"HungError: {why}", "\n".join(self.stack) + "\n")
            except OSError as error:
                print(f"mtlbench: the failure cannot be recorded ({error})", file=sys.stderr, flush=True)


def follow(pipe: int, pid: int) -> tuple[Watch, bool]:
    """Watch a process until it ends; what it reported, and whether it hung and was killed.

    Args:
        pipe: its messages.
        pid: its process id.
    """
    observed = Watch()
    while True:
        if _readable(pipe):
            data = os.read(pipe, 1 << 16)
            if not data:
                return observed, False
            observed.heard(data)
            continue
        state = owner.state(pid)
        if state in owner.DEAD:
            return observed, False  # one of its workers has kept the pipe open
        number = None if state in owner.STOPPED else observed.tick()
        with suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.kill(pid, watchdog.DUMP)
                for _ in range(MOST_READS):
                    if not _readable(pipe):
                        break
                    observed.heard(os.read(pipe, 1 << 16))
                os.kill(pid, signal.SIGKILL)
                return observed, True
            if number is not None:
                os.kill(pid, number)


def _readable(pipe: int) -> bool:
    return bool(select.select([pipe], [], [], TICK)[0])


def watch(pid: int) -> None:
    """Watch the process at the other end of stdin; nothing continues its work if it hangs."""
    observed, hung = follow(0, pid)
    if hung:
        observed.record()


def supervise(work: Callable[[], int], stopped: Callable[[int], None]) -> int:
    """Run `work` in a child process, and the rest of it in another child if that one hangs; returns the exit status.

    It also returns in the child, with the status of `work`.

    Args:
        work: the work; it runs with the current handlers of SIGINT and SIGTERM.
        stopped: prints that a signal has ended the work.
    """
    asked: list[int] = []
    while True:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        parent, (pipe, theirs) = os.getpid(), os.pipe()
        child = os.fork()
        if not child:
            os.close(pipe)
            _die_with(parent)
            watchdog.connect(theirs)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            return work()
        os.close(theirs)
        with _passed_on(child, asked, stopped):
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            observed, hung = follow(pipe, child)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.close(pipe)
        if hung:
            observed.record()
            watchdog.given_up.update(observed.failed)
        # What is passed on may reach a child that has stopped already, and has no handlers left while it exits.
        if asked and status in (-signal.SIGKILL, -asked[0]):
            return 128 + asked[0]
        if not hung:
            return status if status >= 0 else _die_of(-status)
        if not (observed.cells and observed.go_on):
            return HungError.status


@contextmanager
def _passed_on(child: int, asked: list[int], stopped: Callable[[int], None]) -> Iterator[None]:
    """Forward SIGINT and SIGTERM to the child; after a second signal, or if it takes too long, the child is killed."""

    def stop(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        signal.alarm(SECONDS_TO_STOP)
        send(number if len(asked) == 1 else signal.SIGKILL)

    def overdue(number: int, frame: FrameType | None) -> None:
        stopped(asked[0])
        send(signal.SIGKILL)

    def send(number: int) -> None:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(child, number)

    handlers = {signal.SIGINT: stop, signal.SIGTERM: stop, signal.SIGALRM: overdue}
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell's background job
        del handlers[signal.SIGINT]
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _die_with(parent: int) -> None:
    """Die with the parent; on systems other than Linux, at the next write to the broken pipe."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _die_of(number: int) -> int:
    """Terminate by the same signal as the child, without a second core dump."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with suppress(OSError):  # SIGKILL has no handler
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number
