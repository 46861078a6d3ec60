"""What work tells the process that watches it, and how it is told that it is late. No test waits for a clock."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mtlbench.errors import HungError
from mtlbench.process import watchdog
from mtlbench.process.progress import Progress
from mtlbench.process.watchdog import watched

ROOT = Path(watchdog.__file__).parents[2]
MESSAGE = r"^attack: no progress for 60 seconds, the limit set by timeout$"


@pytest.fixture
def told() -> list[int]:
    return []


@pytest.fixture
def progress_bar(told: list[int]):
    @contextmanager
    def open_screen(title: str) -> Iterator[Progress]:
        yield lambda done, total, note: told.append(done)

    return open_screen


class Heard:
    """The other end of the pipe."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe

    def __call__(self) -> list[object]:
        """What has been told since the last call; None for a sign of progress."""
        try:
            text = os.read(self.pipe, 1 << 16).decode()
        except BlockingIOError:
            return []
        assert text.endswith("\n")
        return [json.loads(line) if line else None for line in text[:-1].split("\n")]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """This process is connected to one that only listens."""
    monkeypatch.setattr(watchdog, "_link", watchdog._Link())
    pipe, theirs = os.pipe()
    os.set_blocking(pipe, False)
    watchdog.connect(theirs)
    of_pytest = signal.signal(watchdog.LATE, signal.SIG_DFL)
    yield Heard(pipe)
    signal.signal(watchdog.LATE, of_pytest)
    os.close(pipe)
    os.close(theirs)


def late() -> None:
    """As by the process that watches."""
    signal.raise_signal(watchdog.LATE)


ON = {"title": "attack", "timeout": 60.0, "raises": True}
OFF = {"title": None}


def test_nothing_is_watched_without_a_limit(progress_bar, heard: Heard) -> None:
    assert watched(progress_bar, None) is progress_bar
    assert heard() == []


def test_progress_is_told(progress_bar, told: list[int], heard: Heard) -> None:
    with watched(progress_bar, 60.0)("attack") as progress:
        assert heard() == [ON]
        progress(1, 2, "")
        progress(2, 2, "")
        assert heard() == [None, None]
    assert heard() == [OFF]
    assert told == [1, 2]


def test_late_work_is_ended(progress_bar, heard: Heard) -> None:
    with pytest.raises(HungError, match=MESSAGE), watched(progress_bar, 60.0)("attack"):
        late()
    assert heard() == [ON, None, OFF], "the exception gets as much time as the work had"


def test_work_that_catches_the_error_may_go_on_and_hang_again(progress_bar, heard: Heard) -> None:
    with watched(progress_bar, 60.0)("attack"):
        for _ in range(3):
            with pytest.raises(HungError):
                late()


def test_nothing_happens_after_the_end(progress_bar, heard: Heard) -> None:
    """The signal may be on its way when the work ends; by default it would end the process."""
    with watched(progress_bar, 60.0)("attack"):
        pass
    late()


def test_somebody_elses_alarm_is_put_back(progress_bar, heard: Heard) -> None:
    alarms: list[int] = []
    signal.signal(watchdog.LATE, lambda number, frame: alarms.append(number))
    with watched(progress_bar, 60.0)("attack"), pytest.raises(HungError):
        late()
    late()
    assert alarms == [watchdog.LATE]


def test_one_inside_of_another(progress_bar, heard: Heard) -> None:
    with watched(progress_bar, 60.0)("attack"):
        with watched(progress_bar, 5.0)("decode"), pytest.raises(HungError, match="decode: no progress for 5 seconds"):
            late()
        with pytest.raises(HungError, match=MESSAGE):
            late()
    assert heard() == [ON, ON | {"title": "decode", "timeout": 5.0}, None, ON, None, OFF]


def test_no_exception_can_be_raised_in_another_thread(progress_bar, heard: Heard) -> None:
    def work() -> None:
        with watched(progress_bar, 60.0)("attack"):
            pass

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert heard() == [ON | {"raises": False}, OFF]


def test_what_is_computed_is_told(heard: Heard, tmp_path: Path) -> None:
    watchdog.cells(tmp_path, {"a": "eps 4"}, go_on=True)
    watchdog.at("a")
    watchdog.failed("a", "eps 4: a reason")
    assert heard() == [
        {"store": str(tmp_path), "cells": {"a": "eps 4"}, "go_on": True, "at": None},
        {"at": "a"},
        {"failed": {"a": "eps 4: a reason"}},
    ]


def test_a_forked_worker_tells_nothing(heard: Heard) -> None:
    child = os.fork()
    if not child:
        watchdog.at("a")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert heard() == []


def test_the_stack_is_told_without_the_interpreter(heard: Heard) -> None:
    """`ctypes.PyDLL` keeps the interpreter, as a library that hangs may."""
    ctypes.PyDLL(None).kill(os.getpid(), watchdog.DUMP)
    text = os.read(heard.pipe, 1 << 16).decode()
    assert "in test_the_stack_is_told_without_the_interpreter" in text


def test_work_goes_on_where_nobody_listens_any_more(progress_bar, told: list[int], heard: Heard) -> None:
    pipe, theirs = os.pipe()
    os.close(pipe)
    watchdog._link.open(theirs, supervised=False)
    with watched(progress_bar, 60.0)("attack") as progress:
        progress(1, 1, "")
    os.close(theirs)
    assert told == [1]


def run(code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_a_child_dies_where_its_supervisor_did() -> None:
    """Wherever the system does not do that by itself."""
    code = "import os; from mtlbench.process import watchdog; r, w = os.pipe(); watchdog.connect(w); os.close(r)"
    assert run(f"{code}; watchdog.at('a')").returncode == -signal.SIGKILL


STUCK = """
import ctypes, sys, threading
from contextlib import contextmanager
from pathlib import Path
from mtlbench.process import watchdog

@contextmanager
def progress_bar(title):
    yield lambda done, total, note: None

def work():
    with watchdog.watched(progress_bar, 1)("attack"):
        watchdog.cells(Path(sys.argv[1]), {"a": "eps 4", "b": "eps 8"}, go_on=True)
        watchdog.at("a")
        mutex = ctypes.create_string_buffer(64)
        lock = ctypes.PyDLL(None).pthread_mutex_lock
        lock(mutex), lock(mutex)

if sys.argv[2] == "main":
    work()
else:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
"""


@pytest.mark.parametrize("thread", ["main", "another"])
def test_without_a_supervisor_a_process_of_its_own_watches(tmp_path: Path, thread: str) -> None:
    """In a worker of a launcher, or inside of another program: the cell is recorded, the process killed."""
    done = run(STUCK, tmp_path, thread)
    assert done.returncode == -signal.SIGKILL
    why = "attack: no progress for 1 seconds, the limit set by timeout"
    assert done.stderr.splitlines() == [f"mtlbench: {why}", f"mtlbench: failed: eps 4: HungError: {why}"]
    assert [path.name for path in (tmp_path / "failures").iterdir()] == ["a.json"]
    record = json.loads((tmp_path / "failures" / "a.json").read_text())
    assert (record["key"], record["cell"], record["reason"]) == ("a", "eps 4", f"HungError: {why}")
    assert "in work" in record["traceback"]
