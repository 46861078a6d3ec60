"""Cells that fail, hang or are somebody else's: recorded with the reason, and every other cell is done."""

import json
import os
import signal
import textwrap
from pathlib import Path

import pytest

from tests.robustness.unattended.processes import TINY, Installed, cells, leftovers

PLUGIN = """
import ctypes
import os
import signal
import sys
import time

import torch

from mtlbench.attacks.objectives.base import Potential
from mtlbench.data.nyuv2 import NYUv2


class Broken(Potential):
    name = "broken"

    def __init__(self, how):
        self.how = how

    def score(self, losses):
        if self.how == "raises":
            raise ValueError("a reason\\nand more")
        if self.how == "exits":
            sys.exit(0)
        if self.how == "allocates":
            raise torch.OutOfMemoryError("CUDA out of memory")
        if self.how == "really allocates":
            torch.empty(1 << 60)
        if self.how == "sleeps":
            time.sleep(1e6)
        if self.how == "blocks":
            mutex = ctypes.create_string_buffer(64)
            lock = ctypes.PyDLL(None).pthread_mutex_lock  # keeps the interpreter
            lock(mutex), lock(mutex)
        return losses.sum(0)


class Killing(NYUv2):
    '''Its data loader's worker is killed at the second test image.'''

    def sample(self, index, draw=None):
        if torch.utils.data.get_worker_info() is not None and self.split == "test" and index == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().sample(index, draw)
"""
REASONS = {
    "raises": "ValueError: a reason",
    "exits": "sys.exit(0) was called",
    "allocates": "OutOfMemoryError: CUDA out of memory",
    "really allocates": "RuntimeError: ",
    "sleeps": "no progress for 5 seconds",
}
BROKEN = ("plugins=[broken_plugin]", "attack.objective._target_=broken_plugin.Broken")


@pytest.fixture
def start(tmp_path: Path) -> Installed:
    (tmp_path / "broken_plugin.py").write_text(textwrap.dedent(PLUGIN))
    path = os.pathsep.join(filter(None, (str(tmp_path), str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH"))))
    return Installed(tmp_path, {"PYTHONPATH": path})


@pytest.fixture
def outputs(start: Installed, undisturbed, tmp_path: Path):
    """Rooms and models are there already."""
    import shutil

    place = tmp_path / "outputs"
    for name in ("datasets", "checkpoints"):
        shutil.copytree(undisturbed.outputs / name, place / name)
    yield place
    start.close()


def failures(outputs: Path) -> list[dict[str, str]]:
    return [json.loads(path.read_text()) for path in sorted((outputs / "store" / "failures").glob("*.json"))]


def test_failing_objectives(start: Installed, outputs: Path) -> None:
    """All the ways in one sweep, between objectives that work."""
    hows = ",".join(("works", *REASONS, "works too"))
    run = start(
        *("attack", "-m", *TINY, f"outputs={outputs}", *BROKEN, "sharing=share2,all_shared"),
        *("eps=[4]", "timeout=5", f"+attack.objective.how={hows}"),
    )
    assert run.finish() == 1, run.err
    assert "Traceback" not in run.err
    assert len(cells(outputs)) == 2 + 2 * 2, "clean, and both that work"
    found = failures(outputs)
    assert len(found) == 2 * len(REASONS)
    assert "10 of 14 points of the sweep failed" in run.err
    for text in REASONS.values():
        these = [record for record in found if text in record["reason"]]
        assert len(these) >= 2, text
        assert all("in score" in record["traceback"] for record in these)
        assert f": {text}" in run.err or text in run.err
    assert "10 cells failed when last tried" in run.err
    assert [left for left in leftovers(outputs) if not left.startswith("store/failures/")] == []
    assert "ARP" in run.out
    report = start("report", f"outputs={outputs}")
    assert report.finish() == 0, report.err
    assert "10 cells failed when last tried" in report.err


def test_an_objective_that_blocks_in_c(start: Installed, outputs: Path) -> None:
    """It holds the interpreter, so that nothing gets through: the cell is recorded, and the others are computed."""
    order = ("attack", "-m", *TINY, f"outputs={outputs}", *BROKEN, "sharing=all_shared", "eps=[4]")
    run = start(*order, "timeout=5", "+attack.objective.how=blocks,works")
    assert run.finish(120) == 1, run.err
    (record,) = failures(outputs)
    assert "no progress for 5 seconds, the limit set by timeout" in record["reason"]
    assert "in score" in record["traceback"]
    assert f"mtlbench: failed: {record['cell']}: {record['reason']}" in run.err.splitlines()
    assert len(cells(outputs)) == 1 + 1, "the clean one, of the same pass, and the objective that works"
    assert "1 of 2 points of the sweep failed" in run.err
    assert "1 cells failed when last tried" in run.err
    assert "ARP" in run.out
    assert [left for left in leftovers(outputs) if not left.startswith("store/failures/")] == []


def test_a_killed_worker(start: Installed, outputs: Path) -> None:
    order = ("attack", *TINY, f"outputs={outputs}", "plugins=[broken_plugin]", "eps=[4]", "workers=1")
    run = start(*order, "dataset.reader._target_=broken_plugin.Killing")
    assert run.finish(60) == 1, run.err
    assert "Traceback" not in run.err
    assert "DataLoader worker" in run.err
    found = failures(outputs)
    assert len(found) == 2, "clean and attacked"
    assert all("DataLoader worker" in record["reason"] for record in found)
    whole = start(*order)
    assert whole.finish() == 0, whole.err
    assert leftovers(outputs) == []
    assert len(cells(outputs)) == 2


def test_what_a_stopped_process_holds(start: Installed, outputs: Path) -> None:
    """wait=false leaves with 75; waiting goes on as soon as the other one is dead."""
    order = ("attack", *TINY, f"outputs={outputs}", *BROKEN, "eps=[4]")
    slow = "+attack.objective.how=sleeps"
    owner = start(*order, slow)
    while len(list((outputs / "store").glob(".*.claim/*"))) < 2:  # clean and attacked
        assert owner.wait(0.05) is None, owner.err
    os.kill(owner.pid, signal.SIGSTOP)
    other = start(*order, slow, "wait=false")
    assert other.finish(60) == 75, other.err
    assert f"process {owner.pid} on " in other.err
    waiting = start(*order, slow, "timeout=5")
    while "waiting" not in waiting.err:
        assert waiting.wait(0.05) is None, waiting.err
    assert f"process {owner.pid} on " in waiting.err
    assert waiting.poll() is None
    owner.kill()
    assert waiting.finish(60) == 1, "it computes now, and hangs itself"
    assert "no progress for 5 seconds" in waiting.err
    assert waiting.err.count("waiting") == 1, waiting.err
    logs = [log.read_text() for log in (outputs / "runs").rglob("attack.log")]
    assert sum("HungError: " in log and "Traceback" in log for log in logs) == 1, (
        "what comes after waiting is logged too"
    )
