"""Runs of mtlbench that a test kills, stops or lets end, and what an outputs folder must look like afterwards."""

import json
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from mtlbench.storage.store import Store
from tests.e2e.conftest import command, environment

TINY = (
    *("dataset.images=39", "dataset.resolution=32", "training.iterations=4", "training.batch_size=8"),
    "attack.step.steps=2",
)
SWEEP = (*("attack", "-m"), *TINY, "sharing=independent,share2,all_shared", "eps=[1,4,16]")
"""Three models, each with one clean cell and three attacked ones."""

CELLS = 12


class Run(ABC):
    """One process in a process group of its own.

    Args:
        pid: of it.
        folder: of what it prints.
    """

    def __init__(self, pid: int, folder: Path) -> None:
        self.pid, self.folder = pid, folder
        self.status: int | None = None

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text()

    @abstractmethod
    def poll(self) -> int | None:
        """The status, None where it still runs."""

    def wait(self, seconds: float) -> int | None:
        """The status, None where it still runs after `seconds`."""
        end = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        return self.status

    def finish(self, seconds: float = 240) -> int:
        """The status; a process that does not end is a failure."""
        status = self.wait(seconds)
        if status is None:
            self.kill()
            raise AssertionError(f"still running after {seconds} s:\n{self.err}")
        return status

    def send(self, number: int) -> None:
        """To the process alone, or to its whole group for SIGKILL."""
        if self.poll() is None:
            (os.killpg if number == signal.SIGKILL else os.kill)(self.pid, number)

    def kill(self) -> None:
        """Kill -9, the whole group, and wait."""
        self.send(signal.SIGKILL)
        self.wait(30)


class Started(Run):
    """Started as a user does."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        super().__init__(process.pid, folder)
        self.process = process

    def poll(self) -> int | None:
        self.status = self.process.poll()
        return self.status


class Forked(Run):
    """Forked from a nursery."""

    def __init__(self, pid: int, folder: Path, nursery: "Nursery") -> None:
        super().__init__(pid, folder)
        self.nursery = nursery

    def poll(self) -> int | None:
        if self.status is None:
            self.status = self.nursery.ask(pid=self.pid)
        return self.status


@dataclass
class Installed:
    """Starts the installed command.

    Args:
        folder: for what the runs print; they run there.
        more: further environment.
    """

    folder: Path
    more: dict[str, str] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)

    def __call__(self, *arguments: str | Path, **streams: int) -> Run:
        place = _place(self.folder, len(self.runs))
        with (place / "out").open("wb") as out, (place / "err").open("wb") as err:
            process = subprocess.Popen(
                [*command(), *map(str, arguments)],
                cwd=self.folder,
                env=environment() | self.more,
                stdin=subprocess.DEVNULL,
                stdout=streams.get("stdout", out),
                stderr=streams.get("stderr", err),
                start_new_session=True,
            )
        self.runs.append(Started(process, place))
        return self.runs[-1]

    def close(self) -> None:
        for run in self.runs:
            run.kill()


class Nursery:
    """Starts runs in milliseconds instead of seconds; see `nursery.py`.

    Args:
        folder: for what the runs print; they run there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs: list[Run] = []
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).parent / "nursery.py"],
            env=environment(),
            stdin=pipe,
            stdout=pipe,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def ask(self, **told: object) -> int | None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(told) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert answer is None or isinstance(answer, int)
        return answer

    def __call__(
        self, *arguments: str | Path, save_seconds: float | None = None, here: tuple[str, str, str] | None = None
    ) -> Run:
        place = _place(self.folder, len(self.runs))
        pid = self.ask(
            argv=list(map(str, arguments)),
            cwd=str(self.folder),
            out=str(place / "out"),
            err=str(place / "err"),
            save_seconds=save_seconds,
            here=here,
        )
        assert pid is not None
        self.runs.append(Forked(pid, place, self))
        return self.runs[-1]

    def close(self) -> None:
        for run in self.runs:
            run.kill()
        self.process.communicate()


def _place(folder: Path, number: int) -> Path:
    place = folder / "printed" / str(number)
    place.mkdir(parents=True)
    return place


# What an outputs folder holds


OF_PAGE = ("leaderboard.csv", "sharing.csv")
"""Tables that only a report writes."""


def tables(outputs: Path) -> dict[str, bytes]:
    """Name -> content of every table that an attack writes."""
    files = (path for path in (outputs / "tables").iterdir() if not path.name.startswith("."))
    return {path.name: path.read_bytes() for path in files if path.name not in OF_PAGE}


def cells(outputs: Path) -> dict[str, tuple[int, int]]:
    """Cell -> what changes when it is written again."""
    found = {}
    for path in (outputs / "store").glob("[!.]*.npz"):
        status = path.stat()
        found[path.stem] = status.st_ino, status.st_mtime_ns
    return found


def check_whole(outputs: Path) -> None:
    """No file that has its final name is torn."""
    store = Store(outputs / "store")
    for key in store.keys():  # noqa: SIM118  a store is no dictionary
        store.load(key)
    for path in (outputs / "tables").glob("[!.]*.csv"):
        assert path.read_bytes().endswith(b"\n")
        pd.read_csv(path)
    for folder, below, files in os.walk(outputs):
        # Rooms come into being in a hidden folder, which gets its name when it is whole, while we look.
        below[:] = [name for name in below if not name.startswith(".")]
        for name in files:
            if name.endswith(".json") and not name.startswith("."):
                json.loads(Path(folder, name).read_bytes())


def leftovers(outputs: Path) -> list[str]:
    """What a killed run may leave and a finished one must not."""
    found = []
    for path in outputs.rglob("*"):
        name, place = path.name, path.relative_to(outputs).as_posix()
        unfinished = place.startswith(("store/partial/", "store/failures/", "store/corrupt/")) or name == "state.pt"
        if name.endswith((".tmp", ".claim")) or unfinished:
            found.append(place)
    return sorted(found)


def size(folder: Path) -> int:
    """Bytes in all its files, without an index, which only a report leaves there."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and ".sqlite" not in path.name)


def phase(outputs: Path, pid: int) -> str:
    """What its claims say that a killed run was at; `start` also between two of them."""
    for folder, name in (("datasets", "generation"), ("checkpoints", "training"), ("store", "attack")):
        claims = (outputs / folder).glob(".*.claim")
        if any(f"~{pid}~" in file.name for claim in claims for file in claim.iterdir()):
            return name
    return "tables" if len(cells(outputs)) == CELLS else "start"


@dataclass
class Reference:
    """What an uninterrupted sweep leaves.

    Attributes:
        tables: see `tables`.
        keys: of its cells.
        store_bytes: size of its store.
        seconds: it took, without the imports.
    """

    outputs: Path
    tables: dict[str, bytes]
    keys: set[str]
    store_bytes: int
    seconds: float

    def check(self, outputs: Path) -> None:
        """A finished folder is like this one."""
        assert cells(outputs).keys() == self.keys
        found = tables(outputs)
        assert found.keys() == self.tables.keys()
        for name, content in self.tables.items():
            assert found[name] == content, name
        assert leftovers(outputs) == []
        check_whole(outputs)
        assert abs(size(outputs / "store") - self.store_bytes) < 0.05 * self.store_bytes


def reference(start: Nursery, outputs: Path) -> Reference:
    """Run `SWEEP` undisturbed."""
    began = time.monotonic()
    run = start(*SWEEP, f"outputs={outputs}")
    assert run.finish() == 0, run.err
    seconds = time.monotonic() - began
    assert len(cells(outputs)) == CELLS
    assert leftovers(outputs) == []
    return Reference(outputs, tables(outputs), set(cells(outputs)), size(outputs / "store"), seconds)
