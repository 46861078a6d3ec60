"""mtlbench as its users start it: as a process from another folder."""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.running import Result

SMALL = (
    *("dataset.images=39", "dataset.resolution=32"),
    *("training.iterations=4", "training.batch_size=8", "attack.step.steps=2"),
)
"""Overrides that make every command take seconds; three test images."""


@pytest.fixture(scope="session")
def small() -> tuple[str, ...]:
    """`SMALL`, for tests."""
    return SMALL


def command() -> list[str]:
    """How to start mtlbench: the console script of this Python, or the package itself before it is installed."""
    script = Path(sys.executable).parent / "mtlbench"
    return [str(script)] if script.is_file() and script.stat().st_mode & 0o111 else [sys.executable, "-m", "mtlbench"]


def environment() -> dict[str, str]:
    """This environment, with the code under test first on the path, as from a cron job: no terminal, no width."""
    here = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    more = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}
    return {name: value for name, value in os.environ.items() if name != "COLUMNS"} | more


def bound_by_permissions() -> None:
    """For a child that root starts: from its exec on, permissions of files bind it as they bind everybody else."""
    if os.geteuid() == 0:
        drop_from_bounding_set, dac_override = 24, 1  # prctl.h, capability.h
        if ctypes.CDLL(None, use_errno=True).prctl(drop_from_bounding_set, dac_override, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl: the capability cannot be dropped")


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Result]:
    """Start ``mtlbench ARGUMENTS`` as a process in an unrelated folder and wait for it."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    def start(*arguments: str | Path) -> Result:
        done = subprocess.run(
            [*command(), *map(str, arguments)],
            cwd=elsewhere,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return start


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start ``mtlbench ARGUMENTS`` in `tmp_path` and do not wait; what still runs in the end is killed."""
    processes = []

    def begin(*arguments: str | Path) -> subprocess.Popen[str]:
        words = [*command(), *map(str, arguments)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(words, cwd=tmp_path, env=environment(), stdout=pipe, stderr=pipe, text=True)
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def outputs(tmp_path_factory: pytest.TempPathFactory, run: Callable[..., Result]) -> Path:
    """An outputs folder after one small attack from nothing: rooms, a model, cells, tables. Not to be changed."""
    folder = tmp_path_factory.mktemp("trained") / "outputs"
    done = run("attack", f"outputs={folder}", *SMALL, "eps=[2,8]")
    assert done.status == 0, done.err
    return folder


@pytest.fixture
def own_outputs(outputs: Path, tmp_path: Path) -> Path:
    """A copy of `outputs` to play with."""
    return Path(shutil.copytree(outputs, tmp_path / "outputs"))
