"""Timings of attack steps as multiples of the floor: one forward and one backward to the images."""

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import DGBA, Objective, Total
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import APGD
from mtlbench.constants import GREY_LEVELS
from mtlbench.data.batch import Batch
from mtlbench.engine.around import around
from mtlbench.engine.clean_values import CleanValues
from mtlbench.engine.evaluate import Pass, evaluate, frozen
from mtlbench.engine.losses import TaskLosses
from mtlbench.engine.plan import Plan
from mtlbench.metrics.measure import measure
from mtlbench.models.model import MultiTaskModel
from mtlbench.process.progress import Progress
from mtlbench.tasks import Task

EPS = 8 / GREY_LEVELS
FORWARD, FLOOR, NAIVE, ENGINE = "forward", "floor", "dgba apgd, naive form", "dgba apgd, this engine"


@dataclass(frozen=True)
class Timing:
    """Median seconds of one item.

    Attributes:
        item: what was timed.
        steps: gradient steps in one run of it.
        seconds: median over the repeats, for the whole run of the item.
        per_step: seconds / steps.
        floors: per_step as a multiple of the floor.
        peak_mib: highest memory while it ran, see `peak_memory_mib`.
    """

    item: str
    steps: int
    seconds: float
    per_step: float
    floors: float
    peak_mib: float


def run(
    model: MultiTaskModel,
    fast: MultiTaskModel,
    tasks: Sequence[Task],
    batch: Batch,
    attacks: Mapping[str, Attack],
    slow: Objective,
    repeats: int,
    progress: Progress,
    steps: int = 10,
) -> list[Timing]:
    """Time the floor and every attack on one batch, interleaved, so that drift of the machine affects all equally.

    Args:
        model: on the batch's device; the naive form attacks it as it is.
        fast: what `for_inference` made of it, which everything else is timed on, the floor too.
        tasks: all its tasks.
        batch: what is attacked.
        attacks: label -> attack.
        slow: the naive implementation of DGBA, which may need gradients of the parameters.
        repeats: timed rounds, after one warm-up round.
        progress: callback, called after every item.
        steps: of the two implementations of DGBA with APGD that are compared.
    """
    naive, engine = (Attack(objective, APGD(steps), tuple(tasks)) for objective in (slow, DGBA()))
    items: dict[str, tuple[int, Callable[[], object]]] = {
        FORWARD: (1, lambda: _forward(fast, batch)),
        FLOOR: (1, lambda: Total().ascent(TaskLosses(fast, tasks, batch.targets, batch.masks), batch.input)),
    }
    items |= {label: (attack.step.steps, _attack(fast, attack, batch)) for label, attack in attacks.items()}
    items[ENGINE] = (engine.step.steps, _attack(fast, engine, batch))
    items[NAIVE] = (naive.step.steps, _with_parameter_gradients(model, _attack(model, naive, batch)))
    seconds: dict[str, list[float]] = {item: [] for item in items}
    peaks, device, done = dict.fromkeys(items, 0.0), batch.input.device, 0
    with frozen(model), frozen(fast):
        for round_number in range(repeats + 1):
            for item, (_, action) in items.items():
                if device.type == "cuda":
                    torch.cuda.reset_peak_memory_stats(device)
                taken = clocked(action, device)
                peaks[item] = max(peaks[item], peak_memory_mib(device))
                if round_number > 0:
                    seconds[item].append(taken)
                done += 1
                progress(done, len(items) * (repeats + 1), item)
    middle = {item: median(taken) for item, taken in seconds.items()}
    return [
        Timing(item, count, middle[item], middle[item] / count, middle[item] / count / middle[FLOOR], peaks[item])
        for item, (count, _) in items.items()
    ]


def whole_pass(
    model: MultiTaskModel,
    tasks: Sequence[Task],
    loader: Callable[[], Sequence[Batch]],
    attack: Attack,
    device: torch.device,
) -> dict[str, float]:
    """Throughput of a whole pass and the shares of loading and metrics.

    Args:
        model: on `device`.
        tasks: all its tasks.
        loader: decodes the batches anew.
        attack: one cell is computed with it.
        device: where to compute.

    Returns:
        images, images_per_second, loading_share, metrics_share (0..1).
    """
    batches: list[Batch] = []
    loading = clocked(lambda: batches.extend(loader()), device)
    images = sum(map(len, batches))
    work = Pass(model, tasks, [Plan("bench", attack, EPS * GREY_LEVELS)], 0)
    whole = loading + clocked(lambda: evaluate(work, batches, device, images), device)
    with torch.no_grad():
        ready = [(batch.to(device), model(batch.to(device).input)) for batch in batches]
    metrics = clocked(lambda: [measure(tasks, p, b.targets, b.masks) for b, p in ready], device)
    return {
        "images": images,
        "images_per_second": images / whole,
        "loading_share": loading / whole,
        "metrics_share": metrics / whole,
    }


def peak_memory_mib(device: torch.device) -> float:
    """Highest memory so far: of the process on a CPU, of PyTorch's allocations on a GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def clocked(action: Callable[[], object], device: torch.device) -> float:
    """Seconds that `action` takes, until its last kernel on `device` has ended."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    action()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _forward(model: MultiTaskModel, batch: Batch) -> dict[str, Tensor]:
    with torch.no_grad():
        return model(batch.input)


def _attack(model: MultiTaskModel, attack: Attack, batch: Batch) -> Callable[[], object]:
    losses = TaskLosses.seen_by(attack, model, batch, CleanValues(model, lambda: [batch], batch.input.device))
    eps = batch.input.new_full((len(batch),), EPS)
    return lambda: attack(losses, batch.input, eps, PerImage(0, batch.names), around(batch))


def _with_parameter_gradients(model: MultiTaskModel, action: Callable[[], object]) -> Callable[[], object]:
    def run_it() -> None:
        model.requires_grad_(True)
        try:
            action()
        finally:
            model.requires_grad_(False)
            model.zero_grad(set_to_none=True)

    return run_it
