"""Check the engine on a CUDA device, in at most eight minutes, and write docs/results/gpu.md.

    scripts/gpu_check                       # on a machine with a GPU
    scripts/gpu_check --dry --to FOLDER     # the same with tiny sizes on a CPU; FOLDER/gpu.md is written

It runs the engine's tests (`pytest -m engine`) on the device, times steps of DGBA on deeplab_resnet34 in fp32, tf32
and bf16 against their floor and against the naive form, and compares the ARP of one trained model between precisions.
Only the tests need packages beyond PyTorch, NumPy, pandas and OpenCV; what is missing is said at once. Where packages
cannot be downloaded, put their wheels into a folder (`pip wheel -w FOLDER ...`) and give it with --wheels.
"""

import argparse
import importlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import DGBA, Total
from mtlbench.attacks.steps import APGD, PGD
from mtlbench.data.augment import Augment
from mtlbench.data.batch import Batch
from mtlbench.data.generated import make
from mtlbench.data.loader import in_order
from mtlbench.data.nyuv2 import NYUv2
from mtlbench.data.rooms import FORMS
from mtlbench.engine.evaluate import Pass, evaluate, frozen
from mtlbench.engine.losses import TaskLosses
from mtlbench.engine.plan import Plan
from mtlbench.engine.precision import computing_in
from mtlbench.engine.timing import clocked, run
from mtlbench.engine.training import Recipe, train
from mtlbench.experiment import provenance
from mtlbench.metrics import values
from mtlbench.models.deeplab_resnet34 import DeepLabResNet34
from mtlbench.models.inference import for_inference
from mtlbench.models.model import MultiTaskModel
from mtlbench.models.sharing import BLOCKS, level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import build
from mtlbench.process.progress import silent
from mtlbench.reference import NaiveDGBA
from mtlbench.scores import arp, damage, relative_drops
from mtlbench.storage.files import write_atomically
from mtlbench.tasks import Task, five_tasks, three_tasks

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 480.0
FOR_TESTS = {
    "pytest": "pytest",
    "hydra": "hydra-core",
    "omegaconf": "omegaconf",
    "antlr4": "antlr4-python3-runtime",
    "hypothesis": "hypothesis",
    "torchmetrics": "torchmetrics",
}
"""Module -> the package that brings it; the engine's tests import these."""
PRECISIONS = ("fp32", "tf32", "bf16")
TIMED = (("bf16", False), ("tf32", False), ("fp32", True), ("fp32", False))
"""Precision, and whether cuDNN searches its kernels; without a search fp32 took 65 times tf32 on an H200."""
RESERVE = 10.0
"""Seconds that are kept for the end."""
PROCESSES = max(1, min(12, (os.cpu_count() or 1) - 2))
"""Of the tests, where pytest-xdist is installed."""


@dataclass(frozen=True)
class Size:
    """How much is done: for real, and dry.

    Attributes:
        model: backbone of the timings.
        shapes: side, tasks and batch of the timings.
        steps: of an attack that is timed.
        repeats: rounds over all items.
        images: rooms made for the model whose ARP is compared.
        iterations: of its training.
        epsilons: in grey levels.
        tests: which of the engine's tests, for pytest's command line; none means all.
    """

    model: str
    shapes: tuple[tuple[int, int, int], ...]
    steps: int
    repeats: int
    images: int
    iterations: int
    epsilons: tuple[float, ...]
    tests: tuple[str, ...]


REAL = Size("deeplab_resnet34", ((321, 3, 16), (224, 5, 16)), 4, 3, 1300, 350, (4.0, 8.0), ())
DRY = Size("tiny", ((24, 3, 2), (16, 5, 2)), 2, 1, 26, 12, (8.0,), ("tests/attacks/test_steps.py", "-k", "linear"))


class Clock:
    """Seconds that are left."""

    def __init__(self, limit: float) -> None:
        self.end = time.monotonic() + limit

    def left(self) -> float:
        """Negative once the time is up."""
        return self.end - time.monotonic()


def missing() -> list[str]:
    """Packages that the engine's tests need and that cannot be imported."""
    return [package for module, package in FOR_TESTS.items() if importlib.util.find_spec(module) is None]


def install(wheels: Path, folder: Path) -> None:
    """Unpack every wheel into `folder` and make it importable, here and in the tests."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(folder)]
    subprocess.run([*pip, *map(str, sorted(wheels.glob("*.whl")))], check=True)
    sys.path.append(str(folder))
    importlib.invalidate_caches()


def engine_files() -> list[str]:
    """The files that hold engine's tests: others may import what a borrowed machine lacks."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [str(file.relative_to(ROOT)) for file in files if "pytest.mark.engine" in file.read_text(encoding="utf-8")]


def engine_tests(device: str, size: Size, clock: Clock, extra: Path) -> tuple[bool, list[str]]:
    """Whether the engine's tests pass on `device`, and lines for the page."""
    lacking = missing()
    if lacking:
        return False, [f"Not run: {', '.join(lacking)} cannot be imported."]
    # Not the project's settings: they ask for plugins that a borrowed machine need not have.
    command = ["-m", "pytest", "-c", os.devnull, "--rootdir", str(ROOT), "--import-mode=importlib"]
    command += ["-q", "-ra", "-W", "error", "-W", "ignore::pytest.PytestUnknownMarkWarning"]
    command += ["-p", "no:cacheprovider", "-p", "no:benchmark", "-m", "engine", *(size.tests or engine_files())]
    if size is REAL and importlib.util.find_spec("xdist") is not None:
        command += ["-n", str(PROCESSES)]
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"), str(extra))))
    environment = os.environ | {"PYTHONPATH": paths, "MTLBENCH_TEST_DEVICE": device}
    seconds = 0.55 * clock.left()
    say(f"python {' '.join(command)} (at most {seconds:.0f} s)")
    try:
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired as stopped:
        told = stopped.stdout or b""
        text = told if isinstance(told, str) else told.decode()
        return False, [f"Stopped after {seconds:.0f} s, before the end:", "", *fenced(text.splitlines()[-3:])]
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR", "SKIPPED"))]
    print(done.stdout[-4000:], flush=True)
    return done.returncode == 0, fenced([*lines[:40], *done.stdout.splitlines()[-1:]])


def timings(device: str, size: Size, clock: Clock) -> list[str]:
    """A table of the cost of one step, in seconds, floors and memory, for every shape and precision."""
    backbone = {"deeplab_resnet34": DeepLabResNet34, "tiny": Tiny}[size.model]()
    rows = []
    for side, count, images in size.shapes:
        tasks = three_tasks() if count == 3 else five_tasks([1.0] * 17)
        model = build(backbone, level(count, BLOCKS), tasks, 0, device).eval()
        batch = random_batch(tasks, images, side).to(torch.device(device))
        for precision, searched in TIMED:
            label = f"{precision}, kernels searched" if searched else precision
            say(f"{size.model} {side}x{side} {label}")
            with computing_in(precision, model), searching(searched):
                costs = costs_of(model, tasks, batch, size, clock)
            rows += [[f"{side}x{side}", str(count), str(images), label, *cost] for cost in costs]
    head = ("size", "tasks", "batch", "precision", "item", "ms a step", "x floor", "peak MiB")
    return table(head, rows)


def costs_of(
    model: MultiTaskModel, tasks: Sequence[Task], batch: Batch, size: Size, clock: Clock
) -> list[tuple[str, str, str, str]]:
    """Item, milliseconds a step, floors and peak memory; of the floor alone where the rest would take too long."""
    fast, pgd = for_inference(model), Attack(DGBA(), PGD(size.steps), tuple(tasks))
    losses = TaskLosses(fast, tasks, batch.targets, batch.masks)
    with frozen(fast):
        seconds = min(clocked(lambda: Total().ascent(losses, batch.input), batch.input.device) for _ in range(3))
    expected = seconds * (size.repeats + 1) * (2 + size.steps * (3 + len(tasks)))
    if expected > clock.left() - RESERVE:
        return [("floor", f"{1000 * seconds:.1f}", "1.00", ""), (f"no time left for {expected:.0f} s", "", "", "")]
    found = run(model, fast, tasks, batch, {"dgba pgd": pgd}, NaiveDGBA(), size.repeats, silent, steps=size.steps)
    at = {row.item: row for row in found}
    shown = ("floor", "dgba pgd", "dgba apgd, this engine", "dgba apgd, naive form")
    return [
        (item, f"{1000 * at[item].per_step:.1f}", f"{at[item].floors:.2f}", f"{at[item].peak_mib:.0f}")
        for item in shown
    ]


@contextmanager
def searching(on: bool) -> Iterator[None]:
    """Whether cuDNN times its kernels for each shape once and takes the fastest, instead of guessing it."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = on
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def random_batch(tasks: Sequence[Task], images: int, side: int) -> Batch:
    """Images and targets without meaning: time does not depend on them."""
    random = torch.Generator().manual_seed(0)
    targets = {
        task.name: torch.randint(0, task.channels, (images, 1, side, side), generator=random)
        if task.loss == "cross_entropy"
        else torch.rand(images, task.channels, side, side, generator=random) + 0.1
        for task in tasks
    }
    masks = {task.name: torch.rand(images, 1, side, side, generator=random) > 0.1 for task in tasks}
    names = tuple(f"random{i}" for i in range(images))
    return Batch(torch.rand(images, 3, side, side, generator=random), targets, masks, names)


def precisions(device: str, size: Size, folder: Path) -> list[str]:
    """A table of ARP by precision: one model trained in fp32, attacked and scored in each."""
    side, where = (64, torch.device(device)) if size is REAL else (32, torch.device(device))
    say(f"train tiny on {size.images} rooms for {size.iterations} iterations")
    root = folder / "rooms"
    make(root, FORMS["nyuv2"], size.images, side, seed=0)
    opened = partial(NYUv2, root, resolution=(side, side), classes=13, normals="decoded")
    training, test = opened("train", augment=Augment(1.0, 1.0, True)), opened("test")
    model = build(Tiny(), level(3, BLOCKS), test.tasks, 0, device)
    recipe = Recipe(size.iterations, min(32, size.images // 2), 4e-3, "one_cycle")
    train(model, training, recipe, where, folder / "state.pt")
    attacks = {
        f"{objective.name} {step.name}, eps {eps:g}": (Attack(objective, step, test.tasks), eps)
        for objective, step, eps in product((Total(), DGBA()), (PGD(10), APGD(10)), size.epsilons)
    }
    cells = [Plan("clean", None, 0.0), *(Plan(name, *found) for name, found in attacks.items())]
    batches = list(in_order(test, 32))
    measured = {}
    for precision in PRECISIONS:
        say(f"attack tiny in {precision}")
        with computing_in(precision, model):
            records = evaluate(Pass(model, test.tasks, cells, 0), batches, where, len(test))
        measured[precision] = percent_lost(test.tasks, {key: record.arrays() for key, record in records.items()})
    rows = []
    for name in attacks:
        numbers = [measured[precision][name] for precision in PRECISIONS]
        rows.append([name, *(f"{n:.2f}" for n in numbers), *(f"{n - numbers[0]:+.2f}" for n in numbers[1:])])
    return table(("attack", *PRECISIONS, "tf32 - fp32", "bf16 - fp32"), rows)


def percent_lost(tasks: Sequence[Task], cells: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, float]:
    """ARP of every attacked cell, by `mtlbench.scores`."""
    keys, numbers = [], []
    for name, arrays in cells.items():
        images = len(arrays["losses"])
        for (task, metric), value in values(tasks, arrays, np.ones((1, images)), "standard").items():
            attack, eps = ("none", 0.0) if name == "clean" else (name, 1.0)
            keys.append({"attack": attack, "eps": eps, "task": task, "metric": metric})
            numbers.append(value)
    frame = pd.DataFrame(np.array(numbers), index=pd.MultiIndex.from_frame(pd.DataFrame(keys)))
    found = arp(damage(relative_drops(frame)))
    return dict(zip(found.index.get_level_values("attack"), found[0], strict=True))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Markdown."""
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def fenced(lines: Sequence[str]) -> list[str]:
    """A block of output."""
    return ["```text", *lines, "```"]


def say(line: str) -> None:
    """What is being done, to standard error."""
    print(f"gpu_check: {line}", file=sys.stderr, flush=True)


def sections(device: str, size: Size, clock: Clock, extra: Path) -> Iterator[tuple[str, bool, list[str]]]:
    """Title, whether all went well, and lines of every part of gpu.md, as soon as it is computed."""
    passed, tests = engine_tests(device, size, clock, extra)
    yield "The engine's tests", passed, ["passed" if passed else "**not passed**", "", *tests]
    with tempfile.TemporaryDirectory() as folder:
        compared = precisions(device, size, Path(folder))
    about = "One `tiny`, all-shared, trained on generated rooms in fp32; ARP in percent, standard scores."
    yield "ARP by precision", True, [about, "", *compared]
    cost = timings(device, size, clock)
    yield (
        "Cost of a step",
        True,
        [
            f"{size.model}, all-shared, random weights. The floor is one forward and one backward to the images; APGD",
            f"takes one forward more in {size.steps} steps. The peak memory of a CPU is that of the process so far.",
            *("", *cost),
        ],
    )


def heading(device: str, size: Size, seconds: float, words: Sequence[str], commit: str) -> list[str]:
    """The lines of gpu.md above its parts."""
    versions = {name: text for name, text in provenance.versions().items() if not text.startswith("not installed")}
    about = [
        f"    {' '.join(('scripts/gpu_check', *words))}",
        "",
        f"{date.today().isoformat()}, {provenance.device_name(torch.device(device))}, commit {commit}, "
        + ", ".join(f"{name} {text}" for name, text in versions.items()),
        f"CUDA {torch.version.cuda}. {seconds:.0f} seconds.",
    ]
    if size is DRY:
        about += ["", "A dry run on a CPU with tiny sizes: its numbers mean nothing."]
    return ["# On a GPU", "", "Written by `scripts/gpu_check`; do not edit.", "", *about, ""]


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry", action="store_true", help="tiny sizes on a CPU; needs --to")
    parser.add_argument("--to", type=Path, help="folder of gpu.md (default: docs/results)")
    parser.add_argument("--commit", default=provenance.commit(), help="of a copy without its .git")
    parser.add_argument("--wheels", type=Path, help="folder of wheels to make importable for this run")
    found = parser.parse_args(words)
    if found.dry and found.to is None:
        parser.error("--dry: give --to FOLDER; docs/results is for measurements")
    if found.wheels is not None and not found.wheels.is_dir():
        parser.error(f"--wheels {found.wheels}: no such folder")
    return found


def main(words: Sequence[str]) -> int:
    """Run everything; 0, or 1 if the tests did not pass, or 3 without a GPU."""
    given, clock = arguments(words), Clock(LIMIT)
    if not given.dry and not torch.cuda.is_available():
        say("PyTorch sees no CUDA device; --dry --to FOLDER runs on a CPU")
        return 3

    with tempfile.TemporaryDirectory() as extra:
        if given.wheels:
            install(given.wheels, Path(extra))
        if missing():
            say(f"the engine's tests will not run: {', '.join(missing())} cannot be imported; see --wheels")
        device, size = ("cpu", DRY) if given.dry else ("cuda", REAL)
        path = (given.to or ROOT / "docs" / "results") / "gpu.md"
        began, body, fine = time.monotonic(), list[str](), True
        for title, well, lines in sections(device, size, clock, Path(extra)):
            body, fine = [*body, f"## {title}", "", *lines, ""], fine and well
            top = heading(device, size, time.monotonic() - began, words, given.commit)
            write_atomically(path, "\n".join([*top, *body[:-1]]) + "\n")  # what is known stays if the rest breaks
    say(f"wrote {path}")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
