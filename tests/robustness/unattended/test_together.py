"""Four processes on one folder: each cell is computed once, nothing is lost, and all of them leave with 0."""

import random
import shutil
from collections import Counter
from pathlib import Path

from tests.robustness.unattended.forms import rounds
from tests.robustness.unattended.processes import SWEEP, Nursery, Reference, cells

PROCESSES = 4


def written(outputs: Path) -> Counter[str]:
    """Cell -> how often one was saved, as the logs of the runs say."""
    found = Counter[str]()
    for log in (outputs / "runs").rglob("attack.log"):
        found.update(line.rpartition("stored ")[2] for line in log.read_text().splitlines() if "] stored " in line)
    return found


@rounds(short=2, long=30)
def test_started_in_the_same_second(nursery: Nursery, undisturbed: Reference, tmp_path: Path, rounds: int) -> None:
    dice, shared, waited = random.Random(rounds), Counter[int](), 0
    for number in range(rounds):
        outputs = tmp_path / "outputs"
        shutil.rmtree(outputs, ignore_errors=True)
        kept = ("", "datasets", "checkpoints")[number % 3]  # from nothing, with rooms, with rooms and models
        if kept:
            shutil.copytree(undisturbed.outputs / "datasets", outputs / "datasets")
        if kept == "checkpoints":
            shutil.copytree(undisturbed.outputs / "checkpoints", outputs / "checkpoints")
        orders = [(*SWEEP[:-2], _shuffled(dice, SWEEP[-2]), SWEEP[-1]) for _ in range(PROCESSES)]
        runs = [nursery(*order, f"outputs={outputs}") for order in orders]
        before: dict[str, tuple[int, int]] = {}
        while any(run.poll() is None for run in runs):
            now = cells(outputs)
            assert {key: now.get(key) for key in before} == before, "a finished cell was lost or written again"
            before = now
            runs[dice.randrange(PROCESSES)].wait(0.05)
        assert [run.finish() for run in runs] == [0] * PROCESSES, "\n\n".join(run.err for run in runs)
        undisturbed.check(outputs)
        times = written(outputs)
        assert times == dict.fromkeys(undisturbed.keys, 1)
        waited += sum("mtlbench: waiting" in run.err for run in runs)
        shared[sum(bool(run.err) for run in runs)] += 1
        for run in runs:
            assert "Traceback" not in run.err
            assert "failed" not in run.err
    print(
        f"\ntogether: {rounds} rounds of {PROCESSES} processes on one folder, {len(undisturbed.keys)} cells each "
        f"written once; {waited} of {rounds * PROCESSES} processes had to wait; rounds by processes that had "
        f"something to do: {dict(sorted(shared.items()))}"
    )


def _shuffled(dice: random.Random, option: str) -> str:
    key, _, values = option.partition("=")
    listed = values.split(",")
    dice.shuffle(listed)
    return f"{key}={','.join(listed)}"
