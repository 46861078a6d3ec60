"""Claims: never two holders, the dead make room, the living do not."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from mtlbench import claims, owner
from mtlbench.claims import claim_of, claimed, held, others_at_work, release, sweep_claims, take
from mtlbench.errors import BusyError

ROOT = Path(claims.__file__).parents[1]
HERE = owner.NAME.fullmatch(owner.me())
ELSEWHERE = "elsewhere~b00t~1~17~99"
SPAWN = multiprocessing.get_context("spawn")


def dead() -> str:
    """The name of a process that has ended."""
    code = "from mtlbench import owner; print(owner.me())"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def ended() -> str:
    return dead()


def claim_by(path: Path, name: str) -> Path:
    """A claim on `path` of the owner called `name`; its file."""
    folder = claim_of(path)
    folder.mkdir(parents=True)
    (folder / name).touch()
    return folder / name


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "cell.npz"


def test_take_and_release(path: Path) -> None:
    assert not held(path)
    assert take(path) is None
    assert held(path)
    assert [file.name for file in claim_of(path).iterdir()] == [owner.me()]
    assert [file.name for file in path.parent.iterdir()] == [".cell.npz.claim"], "nothing temporary"
    assert take(path) == owner.me(), "a claim of our own is in the way too"
    release(path)
    assert not held(path)
    assert list(path.parent.iterdir()) == []
    release(path)
    assert take(path) is None
    release(path)


def test_claimed(path: Path) -> None:
    message = f"^training: process {os.getpid()} on"
    with claimed(path, "training"), pytest.raises(BusyError, match=message), claimed(path, "training"):
        raise AssertionError
    assert not held(path)
    with pytest.raises(KeyError), claimed(path, "training"):
        raise KeyError
    assert not held(path)


def test_an_empty_claim_is_free(path: Path) -> None:
    """Its owner died, or is just, between removing its file and removing the folder."""
    claim_of(path).mkdir(parents=True)
    assert take(path) is None
    release(path)


def test_a_dead_owner_makes_room(path: Path, ended: str) -> None:
    claim_by(path, ended)
    assert take(path) is None
    assert held(path)
    assert len(list(claim_of(path).iterdir())) == 1
    release(path)


def _try(folder: Path, rounds: int, gate: Barrier, winners: SimpleQueue) -> None:
    for number in range(rounds):
        gate.wait(60)
        if take(folder / f"{number}.npz") is None:
            winners.put((number, owner.me()))
    gate.wait(60)  # or the others rightly take over from the dead winner


def test_a_dead_owner_is_taken_over_by_exactly_one(tmp_path: Path, ended: str) -> None:
    rounds, many = 30, 6
    for number in range(rounds):
        claim_by(tmp_path / f"{number}.npz", ended)
    gate, winners = SPAWN.Barrier(many), SPAWN.SimpleQueue()
    processes = [SPAWN.Process(target=_try, args=(tmp_path, rounds, gate, winners)) for _ in range(many)]
    for process in processes:
        process.start()
    won = [winners.get() for _ in range(rounds)]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert winners.empty(), "two winners"
    assert sorted(number for number, _ in won) == list(range(rounds))
    assert len({name for _, name in won}) > 1, "a test of nothing"
    for number, name in won:
        assert [file.name for file in claim_of(tmp_path / f"{number}.npz").iterdir()] == [name]


def test_a_stopped_owner_keeps_its_claim(path: Path) -> None:
    code = "import sys, pathlib; from mtlbench.claims import take; print(take(pathlib.Path(sys.argv[1]))); input()"
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", code, path], cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
    assert process.stdout
    assert process.stdout.readline() == "None\n"
    process.send_signal(signal.SIGSTOP)
    other = take(path)
    assert other is not None
    assert f"~{process.pid}~" in other
    process.kill()
    while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    assert take(path) is None, "a zombie is dead"
    release(path)
    process.communicate()


# Owners on other machines


class Clock:
    """Time as we turn it."""

    def __init__(self) -> None:
        self.now = 1e5

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        raise AssertionError


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(claims, "time", clock)
    monkeypatch.setattr(claims, "_seen", {})
    monkeypatch.setattr(claims._beating, "pid", os.getpid())  # no thread that would sleep by this clock
    return clock


def test_another_machine_keeps_its_claim_until_it_was_silent_for_long(path: Path, clock: Clock) -> None:
    file = claim_by(path, ELSEWHERE)
    os.utime(file, (1, 1))  # however old it looks: no two clocks are compared
    assert take(path) == ELSEWHERE
    clock.now += claims.LEASE
    assert take(path) == ELSEWHERE
    clock.now += 1
    assert take(path) is None
    assert held(path)
    release(path)


@pytest.mark.parametrize("touch", ["length", "time", "time back"])
def test_a_sign_of_life_renews_the_claim(path: Path, clock: Clock, touch: str) -> None:
    file = claim_by(path, ELSEWHERE)
    for beat in range(4):
        assert take(path) == ELSEWHERE
        clock.now += claims.LEASE - 1
        if touch == "length":
            os.truncate(file, beat + 1)
            os.utime(file, (1, 1))  # a clock that stands
        else:
            seconds = 100 - beat if touch == "time back" else 100 + beat
            os.utime(file, (seconds, seconds))
    assert take(path) == ELSEWHERE
    clock.now += claims.LEASE + 1
    assert take(path) is None
    release(path)


def test_our_claims_show_signs_of_life(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "BEAT", 0.05)
    monkeypatch.setattr(claims, "_beating", claims._Heart())
    assert take(path) is None
    file, seen = claim_of(path) / owner.me(), set()
    end = time.monotonic() + 10
    while len(seen) < 3 and time.monotonic() < end:
        seen.add(file.stat().st_size)
        time.sleep(0.02)
    assert len(seen) >= 3
    release(path)
    time.sleep(0.2)
    assert not claim_of(path).exists(), "nobody writes it again"


def test_one_whose_claim_was_taken_over_does_no_harm(path: Path) -> None:
    assert take(path) is None
    (claim_of(path) / owner.me()).rename(claim_of(path) / ELSEWHERE)
    assert not held(path)
    release(path)
    assert [file.name for file in claim_of(path).iterdir()] == [ELSEWHERE]


# Sweeping


def test_sweep_removes_the_claims_of_the_dead_only(tmp_path: Path, ended: str) -> None:
    paths = {name: tmp_path / f"{name}.npz" for name in ("dead", "elsewhere", "mine", "empty")}
    claim_by(paths["dead"], ended)
    claim_by(paths["elsewhere"], ELSEWHERE)
    claim_of(paths["empty"]).mkdir()
    assert take(paths["mine"]) is None
    assert others_at_work(tmp_path), "elsewhere"
    sweep_claims(tmp_path)
    assert {folder.name for folder in tmp_path.iterdir()} == {".elsewhere.npz.claim", ".mine.npz.claim"}
    release(paths["mine"])
    sweep_claims(tmp_path / "nowhere")


def test_others_at_work(tmp_path: Path, ended: str) -> None:
    assert not others_at_work(tmp_path)
    claim_by(tmp_path / "a", ended)
    assert take(tmp_path / "b") is None
    assert not others_at_work(tmp_path), "a dead one and ourselves"
    claim_by(tmp_path / "c", ELSEWHERE)
    assert others_at_work(tmp_path)
    release(tmp_path / "b")


# Many at once


def _hammer(path: Path, seed: int, rounds: int, report: SimpleQueue) -> None:
    """Take and release, and sweep; inside a claim nobody else may be."""
    dice, entered, clashes = random.Random(seed), 0, 0
    inside = path.with_name("inside")
    while entered < rounds:
        if dice.random() < 0.05:
            sweep_claims(path.parent)
        if take(path) is not None:
            continue
        try:
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            clashes += 1
        time.sleep(dice.random() * 0.001)
        if not held(path):
            clashes += 1
        entered += 1
        inside.unlink(missing_ok=True)
        release(path)
    report.put(json.dumps([entered, clashes]))


def hammer(path: Path, processes: int, rounds: int) -> tuple[int, int]:
    """How often a claim was held, and how often two held it at once."""
    path.parent.mkdir(parents=True)
    report = SPAWN.SimpleQueue()
    workers = [SPAWN.Process(target=_hammer, args=(path, seed, rounds, report)) for seed in range(processes)]
    for worker in workers:
        worker.start()
    found = [json.loads(report.get()) for _ in workers]
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    return sum(entered for entered, _ in found), sum(clashes for _, clashes in found)


def test_never_two_holders(path: Path) -> None:
    assert hammer(path, processes=8, rounds=10) == (80, 0)
    assert list(path.parent.iterdir()) == []
