"""kill -9 at random moments of a sweep that is started again and again: the same tables, nothing computed twice."""

import random
from collections import Counter
from pathlib import Path

from tests.robustness.unattended.forms import rounds
from tests.robustness.unattended.processes import (
    CELLS,
    SWEEP,
    Nursery,
    Reference,
    cells,
    check_whole,
    phase,
)


@rounds(short=4, long=200)
def test_killed_at_any_moment(nursery: Nursery, undisturbed: Reference, tmp_path: Path, rounds: int) -> None:
    dice, phases, folders, runs = random.Random(rounds), Counter[str](), 0, 0
    while phases.total() < rounds:
        outputs, done, finished = tmp_path / f"outputs {folders}", {}, False
        folders += 1
        while not finished:
            # Parts of unfinished cells and trainings are written at once in every other run, after a minute in others.
            run = nursery(
                *SWEEP, f"outputs='{outputs}'", "training.save_every=1", save_seconds=dice.choice([0.0, None])
            )
            runs += 1
            # Short, so that every phase is met; long enough for the rooms, or at last for the tables.
            longest = max(2.0, 0.5 * undisturbed.seconds) * (1 if len(done) < CELLS else 1.5)
            if phases.total() == rounds or run.wait(dice.uniform(0, longest)) is not None:
                assert run.finish() == 0, run.err
                finished = True
            else:
                run.kill()
                if run.status != -9:  # finished in this very moment
                    assert run.status == 0, run.err
                    finished = True
                else:
                    phases[phase(outputs, run.pid)] += 1
            now = cells(outputs)
            assert {key: now.get(key) for key in done} == done, "a finished cell was lost or written again"
            done = now
            check_whole(outputs)
        undisturbed.check(outputs)
    print(f"\nkill -9: {rounds} kills in {runs} runs, {folders} sweeps of {CELLS} cells from nothing; {dict(phases)}")
