"""One pass over a split: model x loader x attacks x epsilons -> per-image statistics. Knows no disk and no config."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from mtlbench.attacks.objectives import Objective
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import Step
from mtlbench.data.batch import Batch
from mtlbench.losses import TaskLosses
from mtlbench.metrics.measure import Measured, measure
from mtlbench.models.tree_model import TreeModel
from mtlbench.progress import Progress, silent
from mtlbench.tasks import Task

GREY = 255.0


@dataclass(frozen=True)
class Attack:
    """What to climb, how, and whose losses.

    Attributes:
        objective: built from conf/attack.
        step: built from conf/attack/step.
        tasks: the tasks whose losses the objective sees, one for `single`.
    """

    objective: Objective
    step: Step
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class PlannedCell:
    """One cell of a pass: an attack at one epsilon, or no attack.

    Attributes:
        key: names it in the result.
        attack: None for the clean cell.
        eps: in grey levels of 255.
    """

    key: str
    attack: Attack | None
    eps: float


@dataclass
class Record:
    """Statistics of one cell, growing batch by batch on the device."""

    per_image: dict[str, list[Tensor]] = field(default_factory=dict)
    pooled: dict[str, Tensor] = field(default_factory=dict)

    def add(self, measured: Measured, more: dict[str, Tensor]) -> None:
        """Append one batch; `more` are further per-image values [B] or [B, k]."""
        for name, value in (measured.per_image | more).items():
            self.per_image.setdefault(name, []).append(value)
        for name, value in measured.pooled.items():
            self.pooled[name] = self.pooled[name] + value if name in self.pooled else value

    def arrays(self) -> dict[str, np.ndarray]:
        """Per-image statistics [N, k] in the loader's order and pooled ones [k], on the host."""
        joined = {name: torch.cat(values) for name, values in self.per_image.items()}
        return {name: value.cpu().numpy() for name, value in (joined | self.pooled).items()}


@contextmanager
def frozen(model: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode and no parameter gradients inside; everything as before afterwards."""
    training = model.training
    needed = [p.requires_grad for p in model.parameters()]
    model.eval().requires_grad_(False)
    try:
        yield
    finally:
        model.train(training)
        for parameter, need in zip(model.parameters(), needed, strict=True):
            parameter.requires_grad_(need)


def evaluate(
    model: TreeModel,
    loader: Iterable[Batch],
    tasks: Sequence[Task],
    cells: Sequence[PlannedCell],
    device: torch.device,
    seed: int,
    images: int,
    progress: Progress = silent,
) -> dict[str, Record]:
    """Run every cell on every batch; each image is decoded once.

    Args:
        model: on `device`.
        loader: batches of the split in order.
        tasks: all tasks of the model.
        cells: what to compute.
        device: where to compute.
        seed: of random starts and noise.
        images: number of images the loader gives, for `progress`.
        progress: told after every cell of every batch.

    Returns:
        key of the cell -> its record.
    """
    records = {cell.key: Record() for cell in cells}
    done = 0
    with frozen(model):
        for batch in loader:
            batch = batch.to(device)
            for cell in cells:
                image = _attacked(model, batch, cell, seed)
                records[cell.key].add(*_measured(model, batch, image, tasks))
                done += len(batch)
                progress(done, images * len(cells), "")
    return records


def _attacked(model: TreeModel, batch: Batch, cell: PlannedCell, seed: int) -> Tensor:
    if cell.attack is None:
        return batch.image
    attack = cell.attack
    losses = TaskLosses(model, attack.tasks, batch.targets, batch.masks)
    eps = batch.image.new_full((len(batch),), cell.eps / GREY)
    return attack.step(losses, attack.objective, batch.image, eps, PerImage(seed, batch.names))


def _measured(
    model: TreeModel, batch: Batch, image: Tensor, tasks: Sequence[Task]
) -> tuple[Measured, dict[str, Tensor]]:
    with torch.no_grad():
        predictions = model(image)
        losses = TaskLosses(model, tasks, batch.targets, batch.masks).of(predictions)
        moved = (image - batch.image).abs().flatten(1).amax(1)
    return measure(tasks, predictions, batch.targets, batch.masks), {
        "losses": losses.T,
        "moved": moved * GREY,
    }
