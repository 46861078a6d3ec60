"""SIGTERM and SIGINT at random moments: the promised status, one line, within seconds; the same command continues."""

import random
import signal
import statistics
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.robustness.unattended.forms import rounds
from tests.robustness.unattended.processes import (
    CELLS,
    SWEEP,
    Installed,
    Nursery,
    Reference,
    Run,
    cells,
    check_whole,
    leftovers,
)

STOPS = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "terminated")}
MOST_SECONDS = 10.0
MOST_STOPS_OF_A_SWEEP = 5
"""Then it may end: what is left of it gets less and less, and every phase is to be met."""

IMPORTS = 3.0
BEFORE_MAIN = 0.5
"""Seconds until the command can handle a signal: Python itself has to start."""


def at_work(outputs: Path) -> str:
    """What the run was at when it was stopped; its claims are gone, so what is there tells it."""
    if not any((outputs / "datasets").glob("rooms*")):
        return "generation"
    trained = len(list((outputs / "checkpoints").glob("*/model.safetensors")))
    return "tables" if len(cells(outputs)) == CELLS else f"model {trained}"


def check_stopped(run: Run, number: signal.Signals) -> None:
    status, word = STOPS[number]
    message = f"mtlbench: {word}; what was finished is kept, the same command continues"
    assert run.status == status, run.err
    assert run.err.splitlines()[-1] == message
    assert run.err.count("mtlbench: ") == 1, run.err
    assert "Traceback" not in run.err
    assert "Exception" not in run.err


@pytest.mark.parametrize("number", STOPS, ids=lambda number: number.name)
@rounds(short=2, long=50)
def test_stopped_at_any_moment(
    nursery: Nursery,
    installed: Installed,
    undisturbed: Reference,
    tmp_path: Path,
    number: signal.Signals,
    rounds: int,
) -> None:
    dice, seconds, where, folders, real = random.Random(rounds + number), [], Counter[str](), 0, 0
    hurry = 1.0  # the undisturbed sweep may have been slower than these: a delay too long stops nothing
    while len(seconds) < rounds:
        outputs, finished, before = tmp_path / f"outputs {folders}", False, len(seconds)
        folders += 1
        while not finished and len(seconds) < min(rounds, before + MOST_STOPS_OF_A_SWEEP):
            # Every third one from the very start, and under a supervisor: imports may be interrupted too.
            whole = len(seconds) % 3 == 2
            order = (*SWEEP, f"outputs='{outputs}'", "training.save_every=1")
            run = installed(*order, "timeout=600") if whole else nursery(*order)
            longest = undisturbed.seconds * (1 - len(cells(outputs)) / len(undisturbed.keys)) + 0.5
            longest *= hurry
            delay = dice.uniform(BEFORE_MAIN, IMPORTS + longest) if whole else dice.uniform(0.05, longest)
            run.wait(delay)
            began = time.monotonic()
            run.send(number)
            finished = run.finish(60) == 0
            if finished:
                hurry = max(0.7 * hurry, 0.1)
                break
            seconds.append(time.monotonic() - began)
            real += whole
            where[at_work(outputs)] += 1
            if run.status == -number and len(cells(outputs)) == CELLS:
                # Its work was done, and Python itself was about to end; a shell says 128 + number here too.
                assert "Traceback" not in run.err
            else:
                check_stopped(run, number)
            check_whole(outputs)
            unfinished = [left for left in leftovers(outputs) if not left.startswith("store/partial/")]
            assert [left for left in unfinished if not left.endswith("state.pt")] == []
        last = nursery(*SWEEP, f"outputs='{outputs}'", "training.save_every=1")
        assert last.finish() == 0, last.err
        undisturbed.check(outputs)
    assert max(seconds) < MOST_SECONDS
    print(
        f"\n{number.name}: {rounds} times in {folders} sweeps, {real} of them with the imports; stopped after "
        f"{statistics.median(seconds):.2f} s (median), {max(seconds):.2f} s (longest); {dict(sorted(where.items()))}"
    )
