"""The process that watches: when work is late or over, what is recorded, and that two processes look like one."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mtlbench.process import supervisor, watchdog
from mtlbench.process.supervisor import Watch, follow
from mtlbench.storage import owner

ROOT = Path(supervisor.__file__).parents[2]
LATE, OVER = watchdog.LATE, signal.SIGKILL


def message(**what: object) -> bytes:
    return json.dumps(what).encode() + b"\n"


ON, OFF = message(title="attack", timeout=3, raises=True), message(title=None)
CELLS = message(store="/nowhere", cells={"a": "eps 4", "b": "eps 8", "c": "eps 16"}, go_on=True, at=None)
WHY = "attack: no progress for 3 seconds, the limit set by timeout"


def ticks(watch: Watch, number: int) -> list[signal.Signals | None]:
    return [watch.tick() for _ in range(number)]


# What is told, and the time between


def test_silence_is_allowed_while_nothing_is_watched() -> None:
    watch = Watch()
    assert ticks(watch, 99) == [None] * 99
    watch.heard(ON + OFF)
    assert ticks(watch, 99) == [None] * 99


def test_first_an_exception_then_the_end() -> None:
    watch = Watch()
    watch.heard(ON)
    assert ticks(watch, 6) == [None, None, LATE, None, None, OVER]


def test_python_gets_ten_seconds_at_most() -> None:
    watch = Watch()
    watch.heard(message(title="attack", timeout=600, raises=True))
    assert ticks(watch, 610) == [None] * 599 + [LATE] + [None] * 9 + [OVER]


def test_where_no_exception_can_be_raised() -> None:
    watch = Watch()
    watch.heard(message(title="attack", timeout=3, raises=False))
    assert ticks(watch, 6) == [None] * 5 + [OVER]


@pytest.mark.parametrize("word", [b"\n", message(at="a"), message(failed={"a": "x"}), ON])
def test_every_word_is_a_sign_of_life(word: bytes) -> None:
    watch = Watch()
    watch.heard(ON)
    for _ in range(3):
        assert ticks(watch, 3) == [None, None, LATE]
        watch.heard(word)


def test_words_may_come_in_pieces() -> None:
    whole, pieces = Watch(), Watch()
    text = ON + CELLS + b"\n\n" + message(at="b") + message(failed={"a": "x"})
    whole.heard(text)
    for number in range(len(text)):
        pieces.heard(text[number : number + 1])
    assert vars(pieces) == vars(whole)
    assert (whole.title, whole.timeout, whole.at, whole.failed) == ("attack", 3, "b", {"a": "x"})


@pytest.mark.parametrize(
    ("told", "lost"),
    [(b"", ["a", "b", "c"]), (message(at="b"), ["b"]), (message(failed={"a": "eps 4: ValueError"}), ["b", "c"])],
    ids=["all of them", "one", "one had failed before"],
)
def test_record(told: bytes, lost: list[str], tmp_path: Path, capsys) -> None:
    watch = Watch()
    watch.heard(ON + CELLS + message(store=str(tmp_path)) + told + b'  File "x.py", line 3 in score\n')
    watch.record()
    labels = {"a": "eps 4", "b": "eps 8", "c": "eps 16"}
    words = {key: f"{labels[key]}: HungError: {WHY}" for key in lost}
    assert capsys.readouterr().err.splitlines() == [
        f"mtlbench: {WHY}",
        *(f"mtlbench: failed: {words[k]}" for k in lost),
    ]
    assert sorted(path.stem for path in (tmp_path / "failures").iterdir()) == lost
    for key in lost:
        assert json.loads((tmp_path / "failures" / f"{key}.json").read_text()) == {
            "key": key,
            "cell": labels[key],
            "reason": f"HungError: {WHY}",
            "traceback": '  File "x.py", line 3 in score\n',
        }
    assert {key: watch.failed[key] for key in lost} == words


def test_a_record_that_cannot_be_written(tmp_path: Path, capsys) -> None:
    (tmp_path / "failures").touch()
    watch = Watch()
    watch.heard(ON + CELLS + message(store=str(tmp_path), at="a"))
    watch.record()
    assert "mtlbench: the failure cannot be recorded (" in capsys.readouterr().err
    assert list(watch.failed) == ["a"]


# Following a process, without one


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator["World"]:
    made = World(monkeypatch)
    yield made
    os.close(made.pipe)
    os.close(made.theirs)


class World:
    """A process as it looks from outside: its states at every tick, and the signals that it gets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pipe, self.theirs = os.pipe()
        self.states: list[str] = []
        self.sent: list[int] = []
        monkeypatch.setattr(supervisor, "_readable", lambda pipe: bool(select.select([pipe], [], [], 0)[0]))
        monkeypatch.setattr(owner, "state", lambda pid: self.states.pop(0))
        monkeypatch.setattr(os, "kill", lambda pid, number: self.sent.append(number))

    def follow(self, told: bytes, states: Sequence[str]) -> tuple[Watch, bool]:
        os.write(self.theirs, told)
        self.states[:] = states
        return follow(self.pipe, 7)


def test_a_hang(world: World) -> None:
    watch, hung = world.follow(ON + CELLS, ["R"] * 6)
    assert hung
    assert world.sent == [LATE, watchdog.DUMP, OVER]
    assert list(watch.cells) == ["a", "b", "c"]


@pytest.mark.parametrize("state", owner.STOPPED)
def test_a_stopped_process_does_not_hang(world: World, state: str) -> None:
    """By Ctrl-Z or a debugger: its time stands still."""
    _, hung = world.follow(ON, ["S", "S", *[state] * 99, "S", state, "S", "S", "Z"])
    assert not hung
    assert world.sent == [LATE]
    assert world.states == []


@pytest.mark.parametrize("state", owner.DEAD)
def test_a_dead_process_does_not_hang(world: World, state: str) -> None:
    """Though a forked worker of it keeps the pipe open."""
    _, hung = world.follow(ON, ["S", "S", state])
    assert not hung
    assert world.sent == []


def test_the_stack_is_heard_before_the_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(pid: int, number: int) -> None:
        if number == watchdog.DUMP:
            os.write(world.theirs, b'Current thread:\n  File "x.py", line 3 in score\n')

    monkeypatch.setattr(os, "kill", kill)
    watch, hung = world.follow(ON, ["R"] * 6)
    assert hung
    assert watch.stack == ["Current thread:", '  File "x.py", line 3 in score']


def test_a_process_that_ends_while_it_is_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(pid: int, number: int) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(os, "kill", kill)
    _, hung = world.follow(ON, ["R"] * 6 + ["Z"])
    assert not hung


# Two real processes

CODE = """
import ctypes, json, os, resource, signal, sys, time
from contextlib import contextmanager
from pathlib import Path
from mtlbench.cli import entry as cli
from mtlbench.process import supervisor
from mtlbench.process import watchdog
from mtlbench.storage import owner

signal.signal(signal.SIGINT, signal.default_int_handler if "ignoring" not in sys.argv else signal.SIG_IGN)
supervisor.TICK = 0.01
supervisor.SECONDS_TO_STOP = 1
lock, state = ctypes.PyDLL(None).pthread_mutex_lock, owner.state
# A tick counts once the work sleeps, so that no tick passes before it hangs, however busy the machine is.
owner.state = lambda pid: found if (found := state(pid)) in "SZX" else "T"

@contextmanager
def progress_bar(title):
    yield lambda done, total, note: None

def hang():
    mutex = ctypes.create_string_buffer(64)
    lock(mutex), lock(mutex)

def started():
    print("started", os.getpid(), flush=True)

def exits():
    return 75

def dies():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.kill(os.getpid(), int(sys.argv[-1]))

def cells(go_on):
    store = Path(sys.argv[-1])
    left = [key for key in ("a", "b", "c") if key not in watchdog.given_up]
    for number, key in enumerate(left):
        with watchdog.watched(progress_bar, 0.01 if key == "b" else 1e6)("attack"):
            watchdog.cells(store, {key: f"cell {key}"}, go_on)
            if key == "a":
                watchdog.failed(key, "cell a: ValueError")
            elif key == "b":
                hang()
    print(json.dumps([left, watchdog.given_up]))
    return 1

def goes_on():
    return cells(go_on=True)

def ends():
    return cells(go_on=False)

def waits():
    started()
    while True:
        if sys.stdin.read() == "go on":
            return 7

def hangs():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # or it may come before it hangs
    started()
    hang()

def swallows():
    try:
        started()
        while True:
            time.sleep(0.01)
    except BaseException:
        print("asked", flush=True)
    while True:
        time.sleep(0.01)

cli.dispatch = lambda arguments: globals()[sys.argv[2]]()
cli.main()
print("not reached")
"""


def begin(how: str, *more: object) -> subprocess.Popen[str]:
    """A command with a time-out, in a process group of its own as a shell would start it."""
    words = [sys.executable, "-c", CODE, "timeout=1", how, *map(str, more)]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True, process_group=0)


def end(process: subprocess.Popen[str], said: str = "") -> tuple[int, str, str]:
    out, err = process.communicate(said, timeout=60)
    return process.returncode, out, err


def child_of(process: subprocess.Popen[str]) -> int:
    """The process that does the work, once it does."""
    assert process.stdout is not None
    word, pid = process.stdout.readline().split()
    assert word == "started"
    assert int(pid) != process.pid
    return int(pid)


def test_the_status_is_that_of_the_work() -> None:
    assert end(begin("exits")) == (75, "", "")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGHUP])
def test_the_death_is_that_of_the_work(number: signal.Signals) -> None:
    assert end(begin("dies", int(number))) == (-number, "", "")


def test_another_process_does_what_is_left(tmp_path: Path) -> None:
    why = "attack: no progress for 0.01 seconds, the limit set by timeout"
    status, out, err = end(begin("goes_on", tmp_path))
    assert (status, err.splitlines()) == (1, [f"mtlbench: {why}", f"mtlbench: failed: cell b: HungError: {why}"])
    assert json.loads(out) == [["c"], {"a": "cell a: ValueError", "b": f"cell b: HungError: {why}"}]
    assert [path.name for path in (tmp_path / "failures").iterdir()] == ["b.json"]
    assert "in hang" in json.loads((tmp_path / "failures" / "b.json").read_text())["traceback"]


def test_nothing_goes_on_where_it_must_not(tmp_path: Path) -> None:
    """With fail_fast or force."""
    status, out, err = end(begin("ends", tmp_path))
    assert (status, out, len(err.splitlines())) == (1, "", 2)
    assert [path.name for path in (tmp_path / "failures").iterdir()] == ["b.json"]


STOPS = {
    signal.SIGINT: (130, "mtlbench: interrupted; what was finished is kept, the same command continues\n"),
    signal.SIGTERM: (143, "mtlbench: terminated; what was finished is kept, the same command continues\n"),
}


@pytest.mark.parametrize("to", ["the parent", "the child", "both"])
@pytest.mark.parametrize("number", STOPS)
def test_a_signal_counts_once(number: signal.Signals, to: str) -> None:
    """From a terminal, systemd or `timeout` both get it; from `kill` one does."""
    process = begin("waits")
    child = child_of(process)
    if to == "both":
        os.killpg(process.pid, number)
    else:
        os.kill(child if to == "the child" else process.pid, number)
    status, message = STOPS[number]
    assert end(process) == (status, "", message)


def test_asked_twice_it_ends_at_once() -> None:
    process = begin("swallows")
    child_of(process)
    process.terminate()
    assert process.stdout is not None
    assert process.stdout.readline() == "asked\n"
    process.terminate()
    assert end(process) == (143, "", "")


def test_work_that_hangs_can_be_stopped() -> None:
    process = begin("hangs")
    child_of(process)
    process.terminate()
    assert end(process) == (143, "", STOPS[signal.SIGTERM][1])


def test_a_background_job_ignores_ctrl_c() -> None:
    process = begin("waits", "ignoring")
    child_of(process)
    os.killpg(process.pid, signal.SIGINT)
    assert end(process, "go on") == (7, "", "")


def test_the_child_dies_with_its_parent() -> None:
    process = begin("hangs")
    child_of(process)
    process.kill()
    assert end(process) == (-signal.SIGKILL, "", ""), "the child held the other ends of the pipes"


def test_ctrl_z() -> None:
    process = begin("waits")
    child = child_of(process)
    os.killpg(process.pid, signal.SIGTSTP)
    assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
    while owner.state(child) not in owner.STOPPED:
        os.sched_yield()
    os.killpg(process.pid, signal.SIGCONT)
    assert end(process, "go on") == (7, "", "")


def test_no_second_process_without_a_time_out() -> None:
    code = CODE.replace("cli.dispatch = ", "supervisor.supervise = None\ncli.dispatch = ")
    words = [sys.executable, "-c", code, "timeout=null", "exits"]
    assert subprocess.run(words, cwd=ROOT, timeout=60, check=False).returncode == 75


def test_no_program_that_calls_us_is_forked() -> None:
    other = "sys.argv = ['mtlbench', 'timeout=1', 'exits']"
    code = CODE.replace("cli.dispatch = ", f"supervisor.supervise = None\n{other}\ncli.dispatch = ")
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=False).returncode == 75
