"""Owners that nobody can ask: of before a power cut, or under another host name. Short-lived processes take over."""

import os
import random
import shutil
import signal
from collections import Counter
from itertools import count
from pathlib import Path

from mtlbench.storage import owner
from mtlbench.storage.claims import LEASE
from mtlbench.storage.files import ABANDONED
from tests.robustness.unattended.forms import rounds, some
from tests.robustness.unattended.processes import (
    CELLS,
    SWEEP,
    Nursery,
    Reference,
    Run,
    cells,
    check_whole,
    phase,
)
from tests.robustness.unattended.test_together import written

STAGES = ("generation", "training", "attack")
"""Those under a claim."""


def cut(run: Run, outputs: Path, stage: str, skip: int = 0) -> bool:
    """Kill -9 while it holds a claim of a stage, at the look after `skip` such ones; False where it ended before."""
    while run.poll() is None:
        run.send(signal.SIGSTOP)
        while owner.state(run.pid) not in (*owner.STOPPED, *owner.DEAD, ""):
            os.sched_yield()  # what we see is what we kill
        there = phase(outputs, run.pid) == stage
        if there and not skip:
            run.kill()
            return True
        skip -= there
        run.send(signal.SIGCONT)
        run.wait(0.01)
    assert run.status == 0, run.err
    return False


def time_passes(outputs: Path, seconds: float) -> None:
    """What the dead left gets older."""
    for path in outputs.rglob(".*"):
        for one in (path, *(path.rglob("*") if path.is_dir() else ())):
            status = one.stat()
            os.utime(one, (status.st_atime, status.st_mtime - seconds))


def claims(outputs: Path) -> list[str]:
    return [file.name for claim in outputs.rglob(".*.claim") for file in claim.iterdir()]


@rounds(short=1, long=15)
def test_power_cuts(nursery: Nursery, undisturbed: Reference, tmp_path: Path, rounds: int) -> None:
    """In every stage, every night in a row, with wait=false: each night goes on where the last one was cut."""
    dice, boots, cuts, runs = random.Random(rounds), count(), Counter[str](), 0
    for number in range(rounds):
        outputs = tmp_path / f"outputs {number}"
        order = (*SWEEP, f"outputs='{outputs}'", "wait=false", "training.save_every=1")
        for stage in STAGES:
            done = cells(outputs)
            run = nursery(*order, here=("host", f"boot{next(boots)}", "1"), save_seconds=dice.choice([0.0, None]))
            runs += 1
            if cut(run, outputs, stage, skip=dice.randrange(3) if number else 0):
                cuts[stage] += 1
                assert claims(outputs), "nobody has released it"
            check_whole(outputs)
            assert {key: cells(outputs).get(key) for key in done} == done, "a finished cell was lost or written again"
            time_passes(outputs, ABANDONED + 60)
        last = nursery(*order, here=("host", f"boot{next(boots)}", "1"))
        assert last.finish() == 0, last.err
        undisturbed.check(outputs)
    if rounds == 1:
        assert cuts == dict.fromkeys(STAGES, 1)
    print(f"\npower cuts: {cuts.total()} in {runs} nights, {rounds} sweeps from nothing, wait=false; {dict(cuts)}")


@some("stage", ["generation"], ["training", "attack"])
def test_restarted_under_another_host_name(
    nursery: Nursery, undisturbed: Reference, tmp_path: Path, stage: str
) -> None:
    """As a container is: the one of before is respected for five minutes, then taken over."""
    outputs = tmp_path / "outputs"
    order = (*SWEEP, f"outputs={outputs}", "wait=false")
    assert cut(nursery(*order, here=("first", "boot", "1")), outputs, stage)
    (held,) = {name.partition("~")[0] for name in claims(outputs)}
    assert held == "first"
    early = nursery(*order, here=("second", "boot", "2"))
    assert early.finish() == 75, early.err
    assert " on first is at it" in early.err or " on first computes them" in early.err
    assert claims(outputs), "it has taken nothing over"
    done = cells(outputs)
    assert len(done) < CELLS
    time_passes(outputs, LEASE + 60)
    later = nursery(*order, here=("third", "boot", "3"))
    assert later.finish() == 0, later.err
    assert {key: cells(outputs)[key] for key in done} == done
    time_passes(outputs, ABANDONED)
    last = nursery(*order, here=("fourth", "boot", "4"))
    assert last.finish() == 0, last.err
    undisturbed.check(outputs)


@rounds(short=1, long=15)
def test_two_host_names_on_one_folder(nursery: Nursery, undisturbed: Reference, tmp_path: Path, rounds: int) -> None:
    """At the same time: they cannot ask about each other's processes, and do nothing twice."""
    outputs, waited = tmp_path / "outputs", 0
    for _ in range(rounds):
        shutil.rmtree(outputs, ignore_errors=True)
        runs = [nursery(*SWEEP, f"outputs={outputs}", here=(f"host{n}", "boot", "1")) for n in range(2)]
        assert [run.finish() for run in runs] == [0, 0], "\n\n".join(run.err for run in runs)
        undisturbed.check(outputs)
        assert written(outputs) == dict.fromkeys(undisturbed.keys, 1)
        waited += sum("mtlbench: waiting" in run.err for run in runs)
    print(f"\ntwo host names: {rounds} rounds, each cell written once; {waited} of {2 * rounds} processes had to wait")
