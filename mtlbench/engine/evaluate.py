"""One pass over a split: model x loader x attacks x epsilons -> per-image statistics. Knows no disk and no config."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mtlbench.attacks.attack import RAW, Attack
from mtlbench.attacks.ball import BALLS
from mtlbench.attacks.objectives import Total
from mtlbench.attacks.random import PerImage
from mtlbench.data.batch import Batch
from mtlbench.engine.losses import TaskLosses
from mtlbench.engine.scale_free import saturated
from mtlbench.metrics.measure import Measured, measure
from mtlbench.metrics.statistics import STATISTICS
from mtlbench.metrics.visibility import visibility
from mtlbench.models.model import MultiTaskModel
from mtlbench.process import stops
from mtlbench.process.progress import Progress, silent
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


class Record:
    """Statistics of one cell, growing batch by batch on the device.

    Args:
        per_image: name -> [n, k] of the images done so far.
        pooled: name -> [k], summed over them.
        done: how many those are.
    """

    def __init__(
        self, per_image: dict[str, Tensor] | None = None, pooled: dict[str, Tensor] | None = None, done: int = 0
    ):
        self._state = ([per_image] if per_image else []), pooled or {}, done

    @property
    def done(self) -> int:
        """Number of images, from the first one on."""
        return self._state[2]

    def add(self, measured: Measured, images: int) -> None:
        """Append the statistics of the next `images` images."""
        parts, pooled, done = self._state
        pooled = {name: pooled[name] + value if name in pooled else value for name, value in measured.pooled.items()}
        # One step: a signal may stop the pass at any moment, and what it finds must belong together.
        self._state = [*parts, measured.per_image], pooled, done + images

    def arrays(self) -> dict[str, np.ndarray]:
        """Per-image statistics [N, k] in the loader's order and pooled ones [k], on the host."""
        parts, pooled, _ = self._state
        joined = {name: torch.cat([part[name] for part in parts]) for name in (parts[0] if parts else ())}
        return {name: value.cpu().numpy() for name, value in (joined | pooled).items()}

    @staticmethod
    def of(arrays: Mapping[str, np.ndarray], done: int, device: torch.device) -> "Record":
        """A record that continues after its first `done` images; `arrays` as `arrays` gave them."""
        tensors = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
        pooled = {name: tensor for name, tensor in tensors.items() if is_pooled(name)}
        return Record({name: tensor for name, tensor in tensors.items() if name not in pooled}, pooled, done)


def is_pooled(name: str) -> bool:
    """Whether an array of a record is summed over the images; names are ``[<variant>:]<task>/<statistic>``."""
    statistic = STATISTICS.get(name.rpartition("/")[2])
    return "/" in name and statistic is not None and statistic.pooled


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

    model: MultiTaskModel
    tasks: Sequence[Task]
    cells: Sequence[PlannedCell]
    seed: int

    def batch(self, batch: Batch, cell: PlannedCell, clean: Measured) -> Measured:
        """One cell on one batch, of which `clean` is known; what does not fit into memory is done in halves."""
        return _in_halves(batch, lambda part: self._cell(part, cell, clean if part is batch else self.clean(part)))

    def clean(self, batch: Batch) -> Measured:
        """The images as they are."""
        return _in_halves(batch, lambda part: self._measured(part, part.image))

    def _cell(self, batch: Batch, cell: PlannedCell, clean: Measured) -> Measured:
        if cell.attack is None:
            return Measured(clean.per_image | self._gradients(batch) | self._saturated(batch), clean.pooled)
        attack = cell.attack
        losses = TaskLosses(
            self.model, attack.tasks, batch.targets, batch.masks, clean=batch.image, logits=attack.logits
        )
        eps = batch.image.new_full((len(batch),), cell.eps / GREY)
        found = attack(losses, batch.image, eps, PerImage(self.seed, batch.names))
        measured = self._measured(batch, found[""])
        rows = [[task.name for task in self.tasks].index(task.name) for task in attack.tasks]
        with torch.no_grad():
            objective = attack.objective.bind(losses, batch.image)
            if attack.logits == RAW:
                after, before = (objective.score(m.per_image["losses"][:, rows].T) for m in (measured, clean))
            else:  # the losses that are kept are those of raw logits
                after, before = (objective.score(losses(image)) for image in (found[""], batch.image))
        measured.per_image["rise"] = (after - before)[:, None]
        measured.per_image.update(self._checks(batch, found[""], eps, attack.norm))
        for name, image in found.items():
            if name:
                other = self._measured(batch, image)
                measured.per_image.update({f"{name}:{k}": v for k, v in other.per_image.items()})
                measured.pooled.update({f"{name}:{k}": v for k, v in other.pooled.items()})
        return measured

    def _measured(self, batch: Batch, image: Tensor) -> Measured:
        with torch.no_grad():
            predictions = self.model(image)
            losses = TaskLosses(self.model, self.tasks, batch.targets, batch.masks, clean=batch.image).of(predictions)
        measured = measure(self.tasks, predictions, batch.targets, batch.masks)
        measured.per_image["losses"] = losses.T
        return measured

    def _checks(self, batch: Batch, image: Tensor, eps: Tensor, norm: str) -> dict[str, Tensor]:
        """Per image [B, 1]: distance outside ball and box, visibility, whether the model was in training mode."""
        moved = BALLS[norm](batch.image, eps, PerImage(self.seed, batch.names)).distance(image)
        low, high = image.flatten(1).amin(1), image.flatten(1).amax(1)
        outside = torch.stack([moved - eps, -low, high - 1]).amax(0).clamp_min(0)
        seen = visibility(batch.image, image)
        seen["training_mode"] = eps.new_full(eps.shape, any(m.training for m in self.model.modules()))
        return {name: value[:, None] for name, value in {"outside": outside * GREY, **seen}.items()}

    def _gradients(self, batch: Batch) -> dict[str, Tensor]:
        """Each task's input gradient at the clean images, per grey level: mean size, zero and non-finite share."""
        losses = TaskLosses(self.model, self.tasks, batch.targets, batch.masks, clean=batch.image)
        parts = Total().parts(losses, batch.image)[0].flatten(2)
        return {
            "gradient": parts.abs().mean(2).T / GREY,
            "gradient_zero": (parts == 0).double().mean(2).T,
            "gradient_nonfinite": (~parts.isfinite()).double().mean(2).T,
        }

    def _saturated(self, batch: Batch) -> dict[str, Tensor]:
        """[B, T]: share of each image's valid pixels whose clean logits leave cross-entropy no gradient."""
        with torch.no_grad():
            predictions = self.model(batch.image)
        shares = [saturated(task, predictions[task.name], batch.masks[task.name]) for task in self.tasks]
        return {"saturated": torch.stack(shares, 1)}


def _in_halves(batch: Batch, compute: Callable[[Batch], Measured]) -> Measured:
    """`compute` of `batch`, or of its halves where memory does not suffice for the whole."""
    try:
        return compute(batch)
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            raise
    torch.cuda.empty_cache()
    middle = len(batch) // 2
    return Measured.join([_in_halves(half, compute) for half in (batch[:middle], batch[middle:])])


def evaluate(
    work: Pass,
    loader: Iterable[Batch],
    device: torch.device,
    images: int,
    progress: Progress = silent,
    records: dict[str, Record] | None = None,
    failed: Callable[[str, BaseException], None] | None = None,
    begins: Callable[[str], None] = lambda key: None,
) -> dict[str, Record]:
    """Run every cell on every batch; each image is decoded once.

    Args:
        work: what to compute.
        loader: batches of the split in order.
        device: where the model is.
        images: number of images the loader gives, for `progress`.
        progress: told after every batch.
        records: cell -> what is known of it already. It is filled in place, so that whoever holds it has a
            whole number of batches of every cell at any moment.
        failed: told of a cell that raised something, which is then left out while the others go on; without it
            the first failure ends the pass.
        begins: told of every cell before each of its batches.

    Returns:
        key of the cell -> its record; a failed cell's ends before the batch that it failed on.
    """
    records = {} if records is None else records
    for cell in work.cells:
        records.setdefault(cell.key, Record())
    cells, start = list(work.cells), 0
    with frozen(work.model):
        for whole in loader:
            stop = start + len(whole)
            if any(records[cell.key].done < stop for cell in cells):
                batch = whole.to(device)
                for cell in _next(work, cells, records, batch, start, failed, begins):
                    cells.remove(cell)
            start = stop
            progress(stop, images, f"images, {len(cells)} cells at once")
    return records


def _next(
    work: Pass,
    cells: Sequence[PlannedCell],
    records: Mapping[str, Record],
    batch: Batch,
    start: int,
    failed: Callable[[str, BaseException], None] | None,
    begins: Callable[[str], None],
) -> list[PlannedCell]:
    """Add the batch whose first image is number `start` to every cell that does not have it; the cells that failed."""
    lost = []
    clean = work.clean(batch)
    for cell in cells:
        record = records[cell.key]
        have = max(record.done - start, 0)
        if have >= len(batch):
            continue
        # Another batch size than that of the interrupted pass: only its missing images.
        part, known = (batch[have:], work.clean(batch[have:])) if have else (batch, clean)
        begins(cell.key)
        try:
            record.add(work.batch(part, cell, known), len(part))
        except (Exception, SystemExit) as error:
            if failed is None or stops.received:
                raise
            failed(cell.key, error)
            lost.append(cell)
    return lost
