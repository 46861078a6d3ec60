"""One pass over a split: model x loader x attacks x epsilons -> per-image statistics. Knows no disk and no config."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import Total
from mtlbench.attacks.random import PerImage
from mtlbench.data.batch import Batch
from mtlbench.losses import TaskLosses
from mtlbench.metrics.measure import Measured, measure
from mtlbench.metrics.visibility import visibility
from mtlbench.models.tree_model import TreeModel
from mtlbench.progress import Progress, silent
from mtlbench.tasks import Task

GREY = 255.0
CPU_PIXELS = 32 * 64 * 64


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

    def add(self, measured: Measured) -> None:
        """Append the statistics of one batch."""
        for name, value in measured.per_image.items():
            self.per_image.setdefault(name, []).append(value)
        for name, value in measured.pooled.items():
            self.pooled[name] = self.pooled[name] + value if name in self.pooled else value

    def arrays(self) -> dict[str, np.ndarray]:
        """Per-image statistics [N, k] in the loader's order and pooled ones [k], on the host."""
        joined = {name: torch.cat(values) for name, values in self.per_image.items()}
        return {name: value.cpu().numpy() for name, value in (joined | self.pooled).items()}


def cpu_block(size: tuple[int, int]) -> int:
    """Images computed at once on a CPU, from 4 to 32, whatever the batch size.

    CPU kernels round differently for other shapes, so only a block that depends on nothing but the image size
    [H, W] makes results bit-equal from any batch size. About this many pixels keep two to eight cores busy.
    """
    return min(max(CPU_PIXELS // (size[0] * size[1]), 4), 32)


@contextmanager
def frozen(model: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode and no parameter gradients inside; everything as before afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    needed = [p.requires_grad for p in model.parameters()]
    model.eval().requires_grad_(False)
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, need in zip(model.parameters(), needed, strict=True):
            parameter.requires_grad_(need)


@dataclass(frozen=True)
class Pass:
    """What stays the same over all batches of a pass.

    Attributes:
        model: frozen, on the device.
        tasks: all its tasks.
        cells: what to compute.
        seed: of random starts and noise.
    """

    model: TreeModel
    tasks: Sequence[Task]
    cells: Sequence[PlannedCell]
    seed: int

    def batch(self, batch: Batch) -> dict[str, Measured]:
        """Every cell on one batch; a batch that does not fit into memory is halved."""
        try:
            clean = self._measured(batch, batch.image)
            return {cell.key: self._cell(batch, cell, clean) for cell in self.cells}
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise
        torch.cuda.empty_cache()
        first, second = (self.batch(half) for half in (batch[: len(batch) // 2], batch[len(batch) // 2 :]))
        return {key: Measured.join([first[key], second[key]]) for key in first}

    def _cell(self, batch: Batch, cell: PlannedCell, clean: Measured) -> Measured:
        if cell.attack is None:
            return Measured(clean.per_image | self._gradients(batch), clean.pooled)
        attack = cell.attack
        losses = TaskLosses(self.model, attack.tasks, batch.targets, batch.masks)
        eps = batch.image.new_full((len(batch),), cell.eps / GREY)
        found = attack(losses, batch.image, eps, PerImage(self.seed, batch.names))
        measured = self._measured(batch, found[""])
        rows = [[task.name for task in self.tasks].index(task.name) for task in attack.tasks]
        with torch.no_grad():
            objective = attack.objective.bind(losses, batch.image)
        after, before = (objective.score(m.per_image["losses"][:, rows].T) for m in (measured, clean))
        measured.per_image["rise"] = (after - before)[:, None]
        measured.per_image.update(self._checks(batch, found[""], eps))
        for name, image in found.items():
            if name:
                other = self._measured(batch, image)
                measured.per_image.update({f"{name}:{k}": v for k, v in other.per_image.items()})
                measured.pooled.update({f"{name}:{k}": v for k, v in other.pooled.items()})
        return measured

    def _measured(self, batch: Batch, image: Tensor) -> Measured:
        with torch.no_grad():
            predictions = self.model(image)
            losses = TaskLosses(self.model, self.tasks, batch.targets, batch.masks).of(predictions)
        measured = measure(self.tasks, predictions, batch.targets, batch.masks)
        measured.per_image["losses"] = losses.T
        return measured

    def _checks(self, batch: Batch, image: Tensor, eps: Tensor) -> dict[str, Tensor]:
        """Per image [B, 1]: distance outside ball and box, visibility, whether the model was in training mode."""
        moved = (image - batch.image).abs().flatten(1).amax(1)
        low, high = image.flatten(1).amin(1), image.flatten(1).amax(1)
        outside = torch.stack([moved - eps, -low, high - 1]).amax(0).clamp_min(0)
        seen = visibility(batch.image, image)
        seen["training_mode"] = eps.new_full(eps.shape, any(m.training for m in self.model.modules()))
        return {name: value[:, None] for name, value in {"outside": outside * GREY, **seen}.items()}

    def _gradients(self, batch: Batch) -> dict[str, Tensor]:
        """Each task's input gradient at the clean images, per grey level: mean size, zero and non-finite share."""
        losses = TaskLosses(self.model, self.tasks, batch.targets, batch.masks)
        parts = Total().parts(losses, batch.image)[0].flatten(2)
        return {
            "gradient": parts.abs().mean(2).T / GREY,
            "gradient_zero": (parts == 0).double().mean(2).T,
            "gradient_nonfinite": (~parts.isfinite()).double().mean(2).T,
        }


def evaluate(
    work: Pass, loader: Iterable[Batch], device: torch.device, images: int, progress: Progress = silent
) -> dict[str, Record]:
    """Run every cell on every batch; each image is decoded once.

    Args:
        work: what to compute.
        loader: batches of the split in order.
        device: where the model is.
        images: number of images the loader gives, for `progress`.
        progress: told after every batch.

    Returns:
        key of the cell -> its record.
    """
    records = {cell.key: Record() for cell in work.cells}
    done = 0
    with frozen(work.model):
        for batch in loader:
            for key, measured in work.batch(batch.to(device)).items():
                records[key].add(measured)
            done += len(batch)
            progress(done, images, f"images, {len(records)} cells at once")
    return records
