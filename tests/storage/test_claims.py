"""Claims: never two holders, the dead make room, the living do not."""

import errno
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from mtlbench.errors import BusyError
from mtlbench.storage import claims, files, owner
from mtlbench.storage.claims import claim_of, claimed, held, others_at_work, release, remove_dead_claims, take

ROOT = Path(claims.__file__).parents[2]
HERE = owner.NAME.fullmatch(owner.me())
ELSEWHERE = "elsewhere~b00t~1~17~99"
SPAWN = multiprocessing.get_context("spawn")


def dead() -> str:
    """The name of a process that has ended."""
    code = "from mtlbench.storage import owner; print(owner.me())"
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
    imports = "import sys, pathlib; from mtlbench.storage.claims import take"
    code = f"{imports}\nprint(take(pathlib.Path(sys.argv[1]))); input()"
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", code, path], cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
    assert process.stdout
    assert process.stdout.readline() == "None\n"
    process.send_signal(signal.SIGSTOP)
    other = take(path)
    assert other is not None
    assert f"~{process.pid}~" in other
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert take(path) is None, "a zombie is dead"
    release(path)
    process.communicate()


# Owners of elsewhere


def elsewhere(**fields: str) -> str:
    """The name of a living process, ourselves, if it were seen from elsewhere."""
    assert HERE
    return "~".join((HERE.groupdict() | fields).values())


FOREIGN = {
    "another machine": ELSEWHERE,
    "another boot": elsewhere(boot="b00t"),
    "another host name": elsewhere(host="container2"),
    "another container": elsewhere(space="17"),
}
foreign = pytest.mark.parametrize("name", FOREIGN.values(), ids=FOREIGN)


def touched(file: Path, seconds: float) -> Path:
    """The same file as if it had been touched so many seconds ago."""
    now = file.stat().st_mtime
    os.utime(file, (now, now - seconds))
    return file


@foreign
@pytest.mark.parametrize("seconds", [claims.LEASE + 60, 30 * 86400, -claims.LEASE - 60], ids=str)
def test_the_first_look_takes_over_what_is_silent_for_long(path: Path, name: str, seconds: float) -> None:
    """A clock that was set back looks like a touch in the future; whoever lives touches again."""
    touched(claim_by(path, name), seconds)
    assert not others_at_work(path.parent)
    assert take(path) is None
    assert held(path)
    assert [file.name for file in path.parent.iterdir()] == [".cell.npz.claim"], "no probe is left"
    release(path)


@foreign
@pytest.mark.parametrize("seconds", [0, claims.LEASE - 60, 60 - claims.LEASE], ids=str)
def test_the_living_of_elsewhere_are_respected(path: Path, name: str, seconds: float) -> None:
    touched(claim_by(path, name), seconds)
    assert others_at_work(path.parent)
    assert take(path) == name
    remove_dead_claims(path.parent)
    assert take(path) == name
    assert [file.name for file in path.parent.iterdir()] == [".cell.npz.claim"], "no probe is left"


def test_only_the_clock_of_the_file_system_counts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs a day behind ours, as that of a file server may."""
    file, real = claim_by(path, ELSEWHERE), files.touch
    monkeypatch.setattr(files, "touch", lambda probe: (real(probe), touched(probe, 86400)))
    touched(file, 86400)
    assert take(path) == ELSEWHERE
    touched(file, claims.LEASE + 60)
    assert take(path) is None
    release(path)


def test_where_nothing_can_be_written_nobody_is_dead(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    file = touched(claim_by(path, ELSEWHERE), 86400)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "touch", refused)
        assert not files.dead(ELSEWHERE, file, claims.LEASE, path.parent)
        assert others_at_work(path.parent)
    assert files.dead(ELSEWHERE, file, claims.LEASE, path.parent)


def test_one_that_is_released_while_we_look(path: Path) -> None:
    assert not files.dead(ELSEWHERE, path, claims.LEASE, path.parent)


class Clock:
    """Time that passes when we say so."""

    def __init__(self) -> None:
        self.beats, self.begun = threading.Semaphore(0), threading.Semaphore(0)

    def sleep(self, seconds: float) -> None:
        assert seconds == claims.BEAT
        self.begun.release()
        self.beats.acquire()

    def beat(self) -> None:
        """The seconds are over; return when all is done for the next ones."""
        self.beats.release()
        assert self.begun.acquire(timeout=60)


def test_our_claims_show_signs_of_life(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(claims, "time", clock)
    monkeypatch.setattr(claims, "_beating", claims._Heart())
    other = path.with_name("other.npz")
    assert take(path) is None
    assert take(other) is None
    assert clock.begun.acquire(timeout=60)
    file, second = claim_of(path) / owner.me(), claim_of(other) / owner.me()
    for _ in range(2):
        old = touched(file, 86400).stat().st_mtime, touched(second, 86400).stat().st_mtime
        clock.beat()
        assert file.stat().st_mtime > old[0] + 80000
        assert second.stat().st_mtime > old[1] + 80000
    release(path)
    second.rename(second.with_name(ELSEWHERE))
    touched(second.with_name(ELSEWHERE), 86400)
    clock.beat()
    assert not claim_of(path).exists(), "nobody writes it again"
    assert not others_at_work(path.parent), "nor what was taken over"
    assert claims._beating.files == set()


def test_a_server_that_is_away_may_come_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(claims, "time", clock)
    monkeypatch.setattr(claims, "_beating", claims._Heart())
    assert take(path) is None
    assert clock.begun.acquire(timeout=60)
    file = touched(claim_of(path) / owner.me(), 86400)

    def away(file: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(claims, "touch", away)
        clock.beat()
    old = file.stat().st_mtime
    clock.beat()
    assert file.stat().st_mtime > old + 80000
    release(path)


def test_one_whose_claim_was_taken_over_does_no_harm(path: Path) -> None:
    assert take(path) is None
    (claim_of(path) / owner.me()).rename(claim_of(path) / ELSEWHERE)
    assert not held(path)
    release(path)
    assert [file.name for file in claim_of(path).iterdir()] == [ELSEWHERE]


# Sweeping


def test_removes_the_claims_of_the_dead_only(tmp_path: Path, ended: str) -> None:
    paths = {name: tmp_path / f"{name}.npz" for name in ("dead", "silent", "elsewhere", "mine", "empty")}
    claim_by(paths["dead"], ended)
    touched(claim_by(paths["silent"], ELSEWHERE), claims.LEASE + 60)
    claim_by(paths["elsewhere"], ELSEWHERE)
    claim_of(paths["empty"]).mkdir()
    assert take(paths["mine"]) is None
    assert others_at_work(tmp_path), "elsewhere"
    remove_dead_claims(tmp_path)
    assert {folder.name for folder in tmp_path.iterdir()} == {".elsewhere.npz.claim", ".mine.npz.claim"}
    release(paths["mine"])
    remove_dead_claims(tmp_path / "nowhere")


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
    """Take and release, and remove those of the dead; inside a claim nobody else may be."""
    dice, entered, clashes = random.Random(seed), 0, 0
    inside = path.with_name("inside")
    while entered < rounds:
        if dice.random() < 0.05:
            remove_dead_claims(path.parent)
        if take(path) is not None:
            continue
        try:
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            clashes += 1
        for _ in range(dice.randrange(9)):
            os.sched_yield()  # others get their chance to break in
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
