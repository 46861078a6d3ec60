"""Time and memory of `mtlbench report` over stores of many cells.

    python scripts/report_scale.py make FOLDER 10000     # a store of 10,000 cells, through the Store API
    python scripts/report_scale.py make FOLDER 10001     # one more
    python scripts/report_scale.py time FOLDER           # CPU seconds, wall seconds, peak memory of a report

Models of 25 cells: a clean one, and total, dgba, sign_sum and three targets of single at four eps. 100 images of
64x64 pixels, three tasks; the arrays are drawn for four models and repeated with other names and weights.
"""

import argparse
import hashlib
import json
import os
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import numpy as np

from mtlbench.metrics.sketch import sketched
from mtlbench.scores.alarms import numbers_of
from mtlbench.scores.derived import CELL_LEVELS, Deriving, against
from mtlbench.scores.frame import details, names
from mtlbench.storage import store as storage
from mtlbench.storage.derived import Derived
from mtlbench.storage.outputs import Outputs
from mtlbench.storage.store import Cell, content_of

IMAGES, PIXELS, CLASSES, DRAWN = 100, 64 * 64, 13, 4
TASKS = {
    "segmentation": ["miou", "pixel_accuracy"],
    "normals": ["angle_mean", "angle_median", "within_11.25", "within_22.5", "within_30"],
    "depth": ["abs_err", "rel_err", "delta_1.25", "delta_1.25^2", "delta_1.25^3"],
}
LEVELS = {"all_shared": "012|012|012|012|012", "independent": "0,1,2|0,1,2|0,1,2|0,1,2|0,1,2"}
ATTACKS = [("total", "all"), ("dgba", "all"), ("sign_sum", "all"), *(("single", task) for task in TASKS)]
EPSILONS = (1.0, 2.0, 4.0, 8.0)
CELLS_OF_MODEL = 1 + len(ATTACKS) * len(EPSILONS)


@cache
def arrays(number: int, place: int) -> Mapping[str, np.ndarray]:
    """Statistics of the cell at `place` of a drawn model; place 0 is clean, and the damage grows with the place."""
    random, harm = np.random.default_rng((number, place)), 0.02 * place
    hits = random.integers(50, 250, (IMAGES, CLASSES))
    missed = random.integers(0, 20 + round(400 * harm), (2, IMAGES, CLASSES))
    angles = np.abs(random.normal(15 + 60 * harm, 9, (IMAGES, PIXELS))).clip(0, 179.9)
    depth = random.random((IMAGES, 9)) * PIXELS * (1 - harm / 2)
    depth[:, 0], depth[:, 1:3] = PIXELS, depth[:, 1:3] * (1 + 2 * harm)
    within = [(angles <= most).sum(1) for most in (11.25, 22.5, 30)]
    found: dict[str, np.ndarray] = {
        "segmentation/class_counts": np.concatenate([hits, hits + missed[0], hits + missed[1]], 1).astype(float),
        "normals/angle_sums": np.stack([np.full(IMAGES, PIXELS), angles.sum(1), *within], 1).astype(float),
        "normals/angle_histogram": np.stack([np.bincount(row.astype(int), minlength=181) for row in angles]),
        "normals/angle_histogram_fine": np.bincount((angles * 512).astype(int).ravel(), minlength=92161),
        "depth/depth_sums": depth,
        "losses": random.random((IMAGES, 3)).astype(np.float32) + np.float32(0.1 + harm),
    }
    if place:
        names = ("rise", "l2", "psnr", "ssim")
        found |= {name: random.random((IMAGES, 1)) for name in names}
        found |= {name: np.zeros((IMAGES, 1), np.float32) for name in ("outside", "training_mode")}
    else:
        found["gradient"] = random.random((IMAGES, 3)).astype(np.float32)
        found |= {name: np.zeros((IMAGES, 3)) for name in ("gradient_zero", "gradient_nonfinite", "saturated")}
    return sketched(found)


def cells(number: int) -> Iterator[Cell]:
    """The cells of a model."""
    sharing = list(LEVELS)[number % 2]
    model: dict[str, Any] = {
        "dataset": "rooms",
        "split": "test",
        "fingerprint": "19be" * 16,
        "n_images": IMAGES,
        "model": f"made-{number // 2}",
        "sharing": sharing,
        "shared_blocks": 5 * (sharing == "all_shared"),
        "tree": LEVELS[sharing],
        "training": "clean",
        "weights": f"{number:064x}",
        "seed": 0,
    }
    nothing = {"attack": "none", "objective": {}, "target": "all", "tasks": []}
    about = {"time": "2026-01-01", "commit": "0" * 40, "gradients_per_image": 0, "recipe": None, "config": None}
    still = {"step": "-", "steps": 0, "step_options": {}, "eps": 0.0}
    yield Cell({**model, **nothing, **still}, about, TASKS, arrays(number % DRAWN, 0))
    place = 0
    for eps in EPSILONS:
        for attack, target in ATTACKS:
            place += 1
            moved = {"step": "apgd", "steps": 10, "step_options": {"steps": 10, "size": 2.0}, "eps": eps}
            tasks = list(TASKS) if target == "all" else [target]
            chosen = {"attack": attack, "objective": {"name": attack}, "target": target, "tasks": tasks}
            identity = {**model, **chosen, **moved, "starts": {"restarts": 1}}
            yield Cell(identity, about | {"gradients_per_image": 10}, TASKS, arrays(number % DRAWN, place))


class Remembering:
    """Compresses as zipfile does, equal data once: the arrays of the drawn models repeat."""

    known: ClassVar[dict[bytes, bytes]] = {}
    most = 10_000

    def __init__(self) -> None:
        self.data: list[bytes] = []

    def compress(self, data: bytes) -> bytes:
        """Keep a piece."""
        self.data.append(bytes(data))
        return b""

    def flush(self) -> bytes:
        """All pieces, compressed."""
        data = b"".join(self.data)
        name = hashlib.sha256(data).digest()
        if name in self.known:
            return self.known[name]
        packer = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -15)
        packed = packer.compress(data) + packer.flush()
        if len(self.known) < self.most:
            self.known[name] = packed
        return packed


def once(function: Callable[[Mapping[str, np.ndarray]], Any]) -> Callable[[Mapping[str, np.ndarray]], Any]:
    """The function, called once for the arrays of each drawn cell, which are never changed."""
    known: dict[int, tuple[Mapping[str, np.ndarray], Any]] = {}

    def found(arrays: Mapping[str, np.ndarray]) -> Any:
        if id(arrays) not in known:
            known[id(arrays)] = arrays, function(arrays)
        return known[id(arrays)][1]

    return found


@contextmanager
def quickly() -> Iterator[None]:
    """The files are the same, but what repeats is computed once, and the disk is not waited for."""
    instead: tuple[tuple[object, str, Callable[..., Any]], ...] = (
        (zipfile, "_get_compressor", lambda kind, level=None: Remembering() if kind else None),
        (os, "fsync", lambda file: None),
        (storage, "shortened", once(storage.shortened)),
        (storage, "checksum_of", once(storage.checksum_of)),
    )
    with ExitStack() as stack:
        for owner, name, function in instead:
            stack.enter_context(mock.patch.object(owner, name, function))
        yield


def make(folder: Path, count: int, plain: bool) -> None:
    """Store the first `count` cells, those that are there already excepted; without derived rows if `plain`."""
    store = Outputs(folder).store
    drawn: dict[tuple[int, int], Derived] = {}
    for number in range(-(-count // CELLS_OF_MODEL)):
        deriving = Deriving(store, [])
        made = list(cells(number))
        for place, cell in enumerate(made[: count - number * CELLS_OF_MODEL]):
            if not plain and (number % DRAWN, place) not in drawn:
                found = store.derived(cell.key) if cell.key in store else None
                if found is None:
                    deriving(made[0])
                    found = deriving(cell)
                assert found is not None
                drawn[number % DRAWN, place] = found
            if cell.key not in store:
                store.save(cell, None if plain else renamed(drawn[number % DRAWN, place], cell, made[0]))


def renamed(derived: Derived, cell: Cell, clean: Cell) -> Derived:
    """The rows of a cell with the same arrays under another name."""
    called = names(cell)
    about = {name: value for name, value in cell.provenance.items() if name != "config"}
    rows = {
        **derived.rows,
        "against": against({clean.key: content_of(clean)}),
        "names": {name: called[name] for name in CELL_LEVELS},
        "cell": json.dumps([cell.identity, about, cell.tasks]),
        "checks": json.dumps(numbers_of(cell)),
        "details": json.dumps(details(cell)),
    }
    return replace(derived, rows=rows)


def measure(folder: Path) -> None:
    """Run a report in a process of its own and print what it took."""
    command = [sys.executable, "-m", "mtlbench", "report", f"outputs={folder}"]
    start = time.perf_counter()
    with (folder / "report.txt").open("wb") as out:
        process = os.posix_spawn(
            sys.executable, command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, out.fileno(), 1)]
        )
        _, status, used = os.wait4(process, 0)
    wall, code = time.perf_counter() - start, os.waitstatus_to_exitcode(status)
    cpu, memory = used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20
    count = len(Outputs(folder).store.keys())
    print(f"{count} cells: CPU {cpu:.1f} s, wall {wall:.1f} s, peak {memory:.2f} GiB, exit status {code}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["make", "time"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("cells", type=int, nargs="?", default=100)
    parser.add_argument("--plain", action="store_true", help="without derived rows, as before schema 5")
    given = parser.parse_args()
    if given.action == "make":
        with quickly():
            make(given.folder, given.cells, given.plain)
    else:
        measure(given.folder)


if __name__ == "__main__":
    main()
