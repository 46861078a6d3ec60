"""Ctrl-C and SIGTERM at any moment: one line, the promised status, nothing torn, and the same command continues."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

STOPS = {
    signal.SIGINT: (130, "mtlbench: interrupted; what was finished is kept, the same command continues"),
    signal.SIGTERM: (143, "mtlbench: terminated; what was finished is kept, the same command continues"),
}
ITERATIONS = 80


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


@pytest.mark.parametrize("number", STOPS)
def test_training(start: Callable, call: Callable, outputs: Path, tmp_path: Path, number: signal.Signals) -> None:
    (rooms,) = (path for path in (outputs / "datasets").iterdir() if path.is_dir())
    command = (
        *("train", "dataset.images=39", "dataset.resolution=32", f"dataset.root={rooms}", "training.batch_size=8"),
        *(f"training.iterations={ITERATIONS}", "training.save_every=10"),
    )
    folder = tmp_path / "outputs" / "checkpoints" / "rooms-tiny-all_shared-clean-s0"
    process = start(*command)
    wait_for(process, (folder / "state.pt").is_file)
    stop(process, number)
    done = len(torch.load(folder / "state.pt", weights_only=True)["rows"])
    assert done % 10 == 0
    assert 0 < done < ITERATIONS
    assert not (folder / "model.safetensors").exists()
    assert temporary(tmp_path / "outputs") == []
    finished = call(*command)
    assert finished.status == 0, finished.err
    assert len((folder / "curve.csv").read_text().splitlines()) == 1 + ITERATIONS
    assert {path.name for path in folder.iterdir()} == {
        *("model.safetensors", "recipe.yaml", "clean_metrics.csv", "curve.csv", "cost.json")
    }


@pytest.mark.parametrize("number", STOPS)
def test_attack(
    start: Callable, call: Callable, own_outputs: Path, small: tuple[str, ...], number: signal.Signals
) -> None:
    stored, runs = set((own_outputs / "store").iterdir()), set((own_outputs / "runs").iterdir())
    process = start("attack", f"outputs={own_outputs}", *small, "attack.step.steps=100000", "eps=4")

    def started() -> bool:
        return any((folder / "provenance.json").is_file() for folder in set((own_outputs / "runs").iterdir()) - runs)

    wait_for(process, started)
    time.sleep(1)  # the model is read in less
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
