"""Ctrl-C and SIGTERM at any moment: one line, the promised status, nothing torn, and the same command continues."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

STOPS = {
    signal.SIGINT: (130, "mtlbench: interrupted; what was finished is kept, the same command continues"),
    signal.SIGTERM: (143, "mtlbench: terminated; what was finished is kept, the same command continues"),
}
ITERATIONS = 12
PLUGIN = """
import time
from pathlib import Path

from mtlbench.attacks.objectives.base import Potential
from mtlbench.data.nyuv2 import NYUv2

FILE = Path({file!r})


def wait():
    while not FILE.is_file() or not FILE.read_text():
        FILE.touch()
        time.sleep(0.01)


class Images(NYUv2):
    "Waits in the eleventh batch of a training."
    drawn = 0

    def sample(self, index, draw=None):
        Images.drawn += self.split == "train"
        if Images.drawn == 85:
            wait()
        return super().sample(index, draw)


class Waiting(Potential):
    name = "waiting"

    def score(self, losses):
        wait()
        return losses.sum(0)
"""


def wait_for(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.02)


def stop(process: subprocess.Popen[str], number: signal.Signals) -> None:
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    status, message = STOPS[number]
    assert process.returncode == status, err
    assert out == ""
    assert err.splitlines()[-1] == message
    assert "Traceback" not in err


def temporary(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith(".tmp") or ".part-" in path.name]


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that parts of a plugin make; then they wait until it says something."""
    place, found = tmp_path / "plugins", tmp_path / "waiting"
    place.mkdir()
    (place / "waiting_plugin.py").write_text(PLUGIN.format(file=str(found)))
    monkeypatch.syspath_prepend(place)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(place), os.environ.get("PYTHONPATH")))))
    yield found
    sys.modules.pop("waiting_plugin", None)


@pytest.mark.parametrize("number", STOPS)
def test_training(
    start: Callable, call: Callable, outputs: Path, tmp_path: Path, waiting: Path, number: signal.Signals
) -> None:
    (rooms,) = (path for path in (outputs / "datasets").iterdir() if path.is_dir())
    command = (
        *("train", "dataset.resolution=32", f"dataset.root={rooms}", "training.batch_size=8"),
        *(f"training.iterations={ITERATIONS}", "training.save_every=10"),
        *("plugins=[waiting_plugin]", "dataset.reader._target_=waiting_plugin.Images"),
    )
    folder = tmp_path / "outputs" / "checkpoints" / "rooms-tiny-all_shared-clean-s0"
    process = start(*command)
    wait_for(process, waiting.is_file)
    stop(process, number)
    waiting.write_text("not any more")
    done = len(torch.load(folder / "state.pt", weights_only=True)["rows"])
    assert done == 10, "it waited in the iterations after"
    assert not (folder / "model.safetensors").exists()
    assert temporary(tmp_path / "outputs") == []
    finished = call(*command)
    assert finished.status == 0, finished.err
    assert len((folder / "curve.csv").read_text().splitlines()) == 1 + ITERATIONS
    assert {path.name for path in folder.iterdir()} == {
        *("model.safetensors", "recipe.yaml", "clean_metrics.csv", "curve.csv", "cost.json")
    }


@pytest.mark.parametrize("more", [(), ("timeout=600",)], ids=["", "supervised"])
@pytest.mark.parametrize("number", STOPS)
def test_attack(
    start: Callable,
    call: Callable,
    own_outputs: Path,
    small: tuple[str, ...],
    waiting: Path,
    number: signal.Signals,
    more: tuple[str, ...],
) -> None:
    stored = set((own_outputs / "store").iterdir())
    objective = ("plugins=[waiting_plugin]", "attack.objective._target_=waiting_plugin.Waiting")
    process = start("attack", f"outputs={own_outputs}", *small, *objective, *more, "eps=4")
    wait_for(process, waiting.is_file)
    stop(process, number)
    assert set((own_outputs / "store").iterdir()) == stored
    assert temporary(own_outputs) == []
    assert call("report", f"outputs={own_outputs}").status == 0


def test_generating_rooms(start: Callable, tmp_path: Path) -> None:
    process = start("data", "action=make", "dataset.images=5000")
    folder = tmp_path / "outputs" / "datasets"
    wait_for(process, lambda: folder.is_dir() and any(folder.glob("*/img/*.png")))
    stop(process, signal.SIGTERM)
    assert list(folder.iterdir()) == []
