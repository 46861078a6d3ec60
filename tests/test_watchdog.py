"""Work that hangs is ended: by an exception where Python runs, from outside where it does not."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mtlbench import watchdog
from mtlbench.errors import HungError
from mtlbench.progress import Progress
from mtlbench.watchdog import watched

ROOT = Path(watchdog.__file__).parents[1]


@pytest.fixture
def told() -> list[int]:
    return []


@pytest.fixture
def screen(told: list[int]):
    @contextmanager
    def open_screen(title: str) -> Iterator[Progress]:
        yield lambda done, total, note: told.append(done)

    return open_screen


def never(error: HungError) -> None:
    raise AssertionError


def test_nothing_is_watched_without_a_limit(screen) -> None:
    assert watched(screen, None, never) is screen


def test_work_that_reports_nothing_is_ended(screen, told: list[int]) -> None:
    before, started = signal.getsignal(signal.SIGALRM), time.monotonic()
    message = r"^attack: no progress for 0\.2 seconds, the limit set by timeout$"
    with pytest.raises(HungError, match=message), watched(screen, 0.2, never)("attack") as progress:
        progress(1, 2, "")
        time.sleep(20)
    assert 0.2 <= time.monotonic() - started < 5
    assert told == [1]
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_progress_resets_the_limit(screen, told: list[int]) -> None:
    with watched(screen, 0.5, never)("attack") as progress:
        for done in range(8):
            time.sleep(0.15)
            progress(done, 8, "")
    assert told == list(range(8)), "1.2 seconds in all"


def test_work_that_catches_the_error_may_go_on_and_hang_again(screen) -> None:
    raised = 0
    with watched(screen, 0.2, never)("attack"):
        for _ in range(3):
            with pytest.raises(HungError):
                time.sleep(20)
            raised += 1
    assert raised == 3


def test_nothing_happens_after_the_end(screen) -> None:
    with watched(screen, 0.1, never)("attack") as progress:
        progress(1, 1, "")
    time.sleep(0.3)
    assert not [thread for thread in threading.enumerate() if thread.name == "watchdog" and thread.is_alive()]


STUCK = """
import ctypes, signal, sys, threading
from contextlib import contextmanager
from mtlbench import watchdog

watchdog.GRACE = 0.5

@contextmanager
def screen(title):
    yield lambda done, total, note: None

def last_words(error):
    print("recorded", error, flush=True)
    if sys.argv[1] == "failing":
        raise OSError

with watchdog.watched(screen, 0.5, last_words)("attack"):
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
    {hang}
print("not reached", flush=True)
"""
HANGS = {"a function": "ctypes.CDLL(None).sleep(60)", "a lock": "threading.Semaphore(0).acquire()"}


@pytest.mark.parametrize("last_words", ["working", "failing"])
@pytest.mark.parametrize("hang", HANGS)
def test_work_that_is_stuck_in_a_library_ends_the_process(hang: str, last_words: str) -> None:
    code = STUCK.format(hang=HANGS[hang])
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, last_words], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert done.stdout == "recorded attack: no progress for 0.5 seconds, the limit set by timeout\n"
    assert done.stderr.startswith("mtlbench: attack: no progress for 0.5 seconds")
    assert 1.0 <= time.monotonic() - started < 10
