"""Ends work that hangs: nothing that reports progress may stay silent for longer than a limit."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

from mtlbench.errors import HungError
from mtlbench.progress import Progress

GRACE = 10.0
"""Seconds that Python code gets to react before the process is ended from outside of it."""

Screen = Callable[[str], AbstractContextManager[Progress]]
"""Opens a progress display with a title; see `report.terminal`."""


def watched(screen: Screen, timeout: float | None, stuck: Callable[[HungError], None]) -> Screen:
    """`screen`, under which work that reports no progress for `timeout` seconds raises `HungError`.

    Args:
        screen: shows the progress.
        timeout: in seconds; None watches nothing.
        stuck: last words where not even an exception gets through, because the work hangs inside of a library;
            the process ends with status 1 after them.
    """
    if timeout is None:
        return screen

    @contextmanager
    def open_watched(title: str) -> Iterator[Progress]:
        with screen(title) as progress, _Watchdog(title, timeout, stuck) as watchdog:

            def told(done: int, total: int, note: str) -> None:
                watchdog.reset()
                progress(done, total, note)

            yield told

    return open_watched


class _Watchdog:
    def __init__(self, title: str, timeout: float, stuck: Callable[[HungError], None]) -> None:
        self.title, self.timeout, self.stuck = title, timeout, stuck
        self.over = threading.Event()

    def __enter__(self) -> "_Watchdog":
        self.reset()
        self.in_main = threading.current_thread() is threading.main_thread()
        if self.in_main:
            self.before = signal.signal(signal.SIGALRM, self._raise)
            signal.setitimer(signal.ITIMER_REAL, self.timeout, self.timeout)
        threading.Thread(target=self._wait, name="watchdog", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        if self.in_main:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self.before)

    def reset(self) -> None:
        """There is progress."""
        self.last = time.monotonic()
        if getattr(self, "in_main", False):
            signal.setitimer(signal.ITIMER_REAL, self.timeout, self.timeout)

    def _error(self) -> HungError:
        return HungError(f"{self.title}: no progress for {self.timeout:g} seconds, the limit set by timeout")

    def _raise(self, number: int, frame: FrameType | None) -> None:
        self.last = time.monotonic()  # the work may catch this and go on with something else
        raise self._error()

    def _wait(self) -> None:
        while not self.over.wait(min(1.0, self.timeout)):
            if time.monotonic() - self.last > self.timeout + GRACE:
                error = self._error()
                print(f"mtlbench: {error}", file=sys.stderr, flush=True)
                try:
                    self.stuck(error)
                finally:
                    os._exit(error.status)
