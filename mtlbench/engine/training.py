"""Training of a multi-task model: a recipe, and a loop that can be killed and resumed at any moment.

The loop of arXiv 2305.12066, section 3: Adam on the sum of the task losses, weight 1 each. Our batch loss of a task
is the mean of its per-image losses, whereas the reference pools the pixels of the batch. Plain SGD is for networks
whose theory is that of gradient descent (`models.two_layer`).
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import Parameter

from mtlbench.constants import SMALLEST_LOSS
from mtlbench.data.base import MultiTaskDataset
from mtlbench.data.batch import Batch
from mtlbench.data.loader import shuffled
from mtlbench.engine.losses import TaskLosses
from mtlbench.engine.precision import FP32, check, computing_in, in_identity
from mtlbench.errors import CheckpointError, MtlbenchError, UsageError
from mtlbench.models.checkpoint import UNREADABLE, describe, read_pickle
from mtlbench.models.tree_model import TreeModel
from mtlbench.options import is_number, number, one_of, positive, whole
from mtlbench.process.progress import Progress, silent
from mtlbench.storage.files import write_atomically

STATE_VERSION = 3
ADAM, SGD = "adam", "sgd"
EQUAL, LOG = "equal", "log"
SECONDS_BETWEEN_SAVES = 60.0
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """How a model is trained; every field changes the weights.

    Args:
        iterations: number of optimiser steps.
        batch_size: images per step.
        lr: learning rate; the peak under ``one_cycle``.
        schedule: ``one_cycle`` (up for 30 % of the steps, then down to 0, by cosines) or ``halve`` (halved every
            `halve_every` steps).
        halve_every: see `schedule`.
        betas: of Adam.
        weight_decay: the L2 penalty in the gradient.
        seed: of the initial weights, the order of images and their augmentation.
        precision: of the arithmetic, see `mtlbench.engine.precision`.
        optimiser: ``adam``, or ``sgd`` without momentum.
        weighting: of the task losses: ``equal`` descends their sum, ``log`` the sum of their logarithms, which does
            not depend on the scale of a loss: dgba's balance on the side of training.
    """

    iterations: int
    batch_size: int
    lr: float
    schedule: str = "halve"
    halve_every: int = 4000
    betas: tuple[float, float] = (0.5, 0.999)
    weight_decay: float = 1e-4
    seed: int = 0
    precision: str = FP32
    optimiser: str = ADAM
    weighting: str = EQUAL

    def __post_init__(self) -> None:
        check(self.precision, "training.precision")
        for name in ("iterations", "batch_size", "halve_every"):
            whole(getattr(self, name), f"training.{name}")
        one_of(self.optimiser, "training.optimiser", (ADAM, SGD))
        one_of(self.schedule, "training.schedule", ("one_cycle", "halve"))
        one_of(self.weighting, "training.weighting", (EQUAL, LOG))
        positive(self.lr, "training.lr")
        number(self.weight_decay, "training.weight_decay", "a number of at least 0", least=0)
        if len(self.betas) != 2 or not all(is_number(beta, 0) and beta < 1 for beta in self.betas):
            raise UsageError(f"training.betas={self.betas}: expected two numbers from 0 to below 1")

    def identity(self) -> dict[str, object]:
        """Everything that affects the weights: numbers as floats, without options that nothing reads."""
        floats = {"lr": float(self.lr), "weight_decay": float(self.weight_decay)}
        found = asdict(self) | floats | {"betas": [float(beta) for beta in self.betas]}
        idle = {"precision"} | (set() if self.schedule == "halve" else {"halve_every"})
        idle |= {"optimiser"} if self.optimiser == ADAM else {"betas"}  # Adam was there before the option
        idle |= {"weighting"} if self.weighting == EQUAL else set()  # and so was the sum
        return {name: value for name, value in found.items() if name not in idle} | in_identity(self.precision)

    def rate(self, iteration: int) -> float:
        """Learning rate of an iteration, counted from 0; a pure function, so that resuming needs no state."""
        if self.schedule == "halve":
            return self.lr * 0.5 ** (iteration // self.halve_every)
        share = (iteration + 0.5) / self.iterations
        if share < 0.3:
            return self.lr * (0.04 + 0.96 * (1 - math.cos(math.pi * share / 0.3)) / 2)
        return self.lr * (1 + math.cos(math.pi * (share - 0.3) / 0.7)) / 2

    def descended(self, losses: Tensor) -> Tensor:
        """The number that a step descends, of task losses [T]."""
        return losses.sum() if self.weighting == EQUAL else losses.clamp_min(SMALLEST_LOSS).log().sum()

    def optimiser_of(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        """The optimiser of these parameters."""
        if self.optimiser == SGD:
            return torch.optim.SGD(parameters, lr=self.lr, weight_decay=self.weight_decay)
        return torch.optim.Adam(parameters, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay)


Perturb = Callable[[TreeModel, Batch, int], Tensor | None]
"""(model, batch, iteration) -> attacked images for a second step, or None: adversarial training."""

Change = Callable[[Batch, int], Tensor]
"""(batch, iteration) -> the inputs that a clean step sees."""

Rows = Callable[[TreeModel, TaskLosses, Batch, Tensor], Tensor]
"""(model, training losses, batch, attacked images) -> rows [T, B] that the second step descends."""


@dataclass
class Curve:
    """The record of a training, stored beside the weights.

    Attributes:
        tasks: their names.
        rows: training loss of each task on clean images, one row per iteration.
        seconds: spent on clean steps, loading included, and on adversarial ones, attack included.
    """

    tasks: tuple[str, ...]
    rows: list[list[float]]
    seconds: list[float] = field(default_factory=lambda: [0.0, 0.0], compare=False)

    @property
    def cost(self) -> dict[str, float]:
        """``training_seconds``, and ``times_clean``: the ratio of this to the time of its clean steps alone."""
        whole, clean = sum(self.seconds), self.seconds[0]
        return {"training_seconds": round(whole, 1), "times_clean": round(whole / clean, 2) if clean else 1.0}

    def csv(self) -> str:
        """The curve as text with a header."""
        lines = [",".join(("iteration", *self.tasks))]
        lines += [",".join((str(i), *(f"{v:.6g}" for v in row))) for i, row in enumerate(self.rows)]
        return "\n".join(lines) + "\n"


def train(
    model: TreeModel,
    dataset: MultiTaskDataset,
    recipe: Recipe,
    device: torch.device,
    state: Path,
    save_every: int = 100,
    workers: int = 0,
    progress: Progress = silent,
    perturb: Perturb | None = None,
    change: Change | None = None,
    rows: Rows | None = None,
) -> Curve:
    """Train `model` in place and return its curve.

    Args:
        model: freshly built from `recipe.seed`, on `device`.
        dataset: training split.
        recipe: how to train.
        device: where.
        state: file to which the training's state is saved every `save_every` iterations, and at least once a minute;
            if it exists, training resumes from it and, on a CPU, ends bit-equal to an uninterrupted one.
        save_every: see `state`.
        workers: decoding processes.
        progress: callback, called after every iteration.
        perturb: makes adversarial images; each iteration then takes a clean and an adversarial step.
        change: makes the inputs of the clean step, such as noisy ones; None takes those of the dataset.
        rows: what the second step descends; None for the losses of the attacked images.
    """
    optimiser = recipe.optimiser_of(model.parameters())
    curve = Curve(model.order, [])
    identity = describe(model) | asdict(recipe)
    done = _resume(state, identity, model, optimiser, curve)
    loader = shuffled(dataset, recipe.batch_size, recipe.seed, done, recipe.iterations, workers)
    clock, saved = time.perf_counter(), time.monotonic()
    with computing_in(recipe.precision, model):
        for iteration, batch in enumerate(loader, start=done):
            batch = batch.to(device)
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate(iteration)
            inputs = batch.input if change is None else change(batch, iteration)
            of_batch = TaskLosses(model, dataset.tasks, batch.targets, batch.masks, training=True)
            losses = _step(model, optimiser, recipe, iteration, partial(of_batch, inputs))
            curve.rows.append(_finite(losses.tolist(), model.order, iteration))
            clock = _spent(curve, 0, clock)
            attacked = None if perturb is None else perturb(model, batch, iteration)
            if attacked is not None:
                second = partial(rows, model, of_batch, batch) if rows else of_batch
                _step(model, optimiser, recipe, iteration, partial(second, attacked)).tolist()
                clock = _spent(curve, 1, clock)
            due = (iteration + 1) % save_every == 0 or time.monotonic() - saved > SECONDS_BETWEEN_SAVES
            if due and iteration + 1 < recipe.iterations:
                _save(state, identity, model, optimiser, curve)
                saved = time.monotonic()
            progress(iteration + 1, recipe.iterations, _note(curve))
    return curve


def _step(
    model: TreeModel,
    optimiser: torch.optim.Optimizer,
    recipe: Recipe,
    iteration: int,
    rows: Callable[[], Tensor],
) -> Tensor:
    """One optimiser step on rows [T, B]; returns the task losses [T] before it."""
    # Dropout draws from the global generator: it is seeded per step so that a resumed training is bit-equal.
    torch.manual_seed(recipe.seed * 1_000_003 + iteration)
    model.train()
    losses = rows().mean(1)
    optimiser.zero_grad(set_to_none=True)
    recipe.descended(losses).backward()
    optimiser.step()
    return losses.detach()


def _spent(curve: Curve, kind: int, since: float) -> float:
    """Add the time since `since` to the clean (0) or adversarial (1) seconds; returns the current time."""
    now = time.perf_counter()
    curve.seconds[kind] += now - since
    return now


def _finite(losses: list[float], tasks: Sequence[str], iteration: int) -> list[float]:
    for task, value in zip(tasks, losses, strict=True):
        if not math.isfinite(value):
            raise MtlbenchError(
                f"training diverged: the {task} loss is {value} at iteration {iteration}; try a smaller training.lr"
            )
    return losses


def _note(curve: Curve) -> str:
    recent = torch.tensor(curve.rows[-20:]).mean(0).tolist()
    return "  ".join(f"{name} {value:.3f}" for name, value in zip(curve.tasks, recent, strict=True))


def _save(
    path: Path, identity: Mapping[str, object], model: TreeModel, optimiser: torch.optim.Optimizer, curve: Curve
) -> None:
    buffer = BytesIO()
    state = {
        "version": STATE_VERSION,
        "identity": dict(identity),
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "rows": curve.rows,
        "seconds": curve.seconds,
    }
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def _resume(
    path: Path, identity: Mapping[str, object], model: TreeModel, optimiser: torch.optim.Optimizer, curve: Curve
) -> int:
    """Restore a training; returns the number of iterations done, 0 if there is no usable state."""
    if not path.exists():
        return 0
    try:
        state = read_pickle(path)
    except CheckpointError as error:
        log.warning("%s; the training starts from the beginning", error)
        return 0
    described = state.get("identity") if isinstance(state, dict) and state.get("version") == STATE_VERSION else None
    # Older recipes without these options used these.
    older = {"precision": FP32, "optimiser": ADAM, "weighting": EQUAL}
    if not isinstance(described, dict) or older | described != identity:
        log.warning("%s: of another model, recipe or version; the training starts from the beginning", path)
        return 0
    try:
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        curve.rows, curve.seconds = state["rows"], state["seconds"]
        return len(curve.rows)
    except UNREADABLE as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path}: damaged ({reason}); delete it to train from the beginning") from error
