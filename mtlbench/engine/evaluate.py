"""One pass over a split: model x loader x attacks x epsilons -> per-image statistics. Needs no disk, no config."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import Total
from mtlbench.attacks.random import PerImage
from mtlbench.data.batch import Batch
from mtlbench.engine.around import around
from mtlbench.engine.counting import FREE, Cost, Counted
from mtlbench.engine.draws import ATTACK, RISE, SCORE, drawn
from mtlbench.engine.losses import Forward, TaskLosses
from mtlbench.engine.plan import Plan
from mtlbench.engine.record import Record
from mtlbench.engine.scale_free import saturated
from mtlbench.engine.smoothing import Smoothing
from mtlbench.engine.terms import ValuesOf
from mtlbench.metrics.measure import Measured, measure
from mtlbench.metrics.visibility import visibility
from mtlbench.models.inference import for_inference
from mtlbench.models.model import MultiTaskModel
from mtlbench.process import signals
from mtlbench.process.progress import Progress, silent
from mtlbench.tasks import Task

CPU_PIXELS = 32 * 64 * 64
T = TypeVar("T")


def cpu_block(size: tuple[int, int]) -> int:
    """Images computed at once on a CPU, from 4 to 32, whatever the batch size.

    CPU kernels round differently for different shapes, so results are bit-equal for every batch size only if the block
    depends on nothing but the image size [H, W]. About this many pixels keep two to eight cores busy.
    """
    return min(max(CPU_PIXELS // (size[0] * size[1]), 4), 32)


@contextmanager
def frozen(model: torch.nn.Module) -> Iterator[None]:
    """Context manager: evaluation mode and no parameter gradients inside; restores the previous state."""
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
    """The constants of a pass over all batches.

    Attributes:
        model: frozen, on the device; `evaluate` computes with what `for_inference` makes of it.
        tasks: all its tasks.
        cells: what to compute; the alternatives of a cell come before it.
        seed: of random starts and noise.
        clean_values: of metrics, for attacks that climb them.
        defence: what stands between the inputs and the model; its predictions are those that are measured.
    """

    model: MultiTaskModel
    tasks: Sequence[Task]
    cells: Sequence[Plan]
    seed: int
    clean_values: ValuesOf | None = None
    defence: Smoothing | None = None

    def batch(self, share: "Share", cell: Plan) -> Measured:
        """One cell on one batch."""
        batch, clean, attack = share.batch, share.clean, cell.attack
        if attack is None:
            more = _in_halves(len(batch), lambda part: self._of_clean(batch[part]), Measured.join)
            return Measured(clean.per_image | more.per_image, clean.pooled)
        images, names = share.attacked(cell), [task.name for task in self.tasks]
        rows = [names.index(task.name) for task in attack.tasks]

        def statistics(part: slice) -> Measured:
            measured = self.measured(batch[part], images[part])
            before, after = clean.per_image["losses"][part, rows].T, measured.per_image["losses"][:, rows].T
            # The recorded ones are the attacked model's own losses.
            if not attack.climbs_own_losses or attack.source is not None or self.defence is not None:
                with torch.no_grad():
                    before, after = (
                        attack.expected(self._losses(batch[part], attack, RISE))(x)
                        for x in (batch.input[part], images[part])
                    )
            measured.per_image["rise"] = attack.rise(before, after, batch.input[part])[:, None]
            measured.per_image.update(
                self._diagnostics(batch[part], images[part], cell.eps / batch.space.scale, attack)
            )
            return measured

        return _in_halves(len(batch), statistics, Measured.join)

    def attacked(self, batch: Batch, cell: Plan, alternatives: Sequence[Tensor]) -> tuple[Tensor, Cost]:
        """Attack a batch: the attacked images, and what they cost.

        Where the cell has alternatives, the images are chosen from `alternatives`, the attacked images of each.
        """
        assert cell.attack is not None
        losses = Counted(self._losses(batch, cell.attack, ATTACK))
        if alternatives:
            return cell.attack.select(alternatives, losses, batch.input), self._times_draws(losses.cost)
        eps = batch.input.new_full((len(batch),), cell.eps / batch.space.scale)
        random = PerImage(self.seed, batch.names)
        return cell.attack(losses, batch.input, eps, random, around(batch)), self._times_draws(losses.cost)

    def _losses(self, batch: Batch, attack: Attack, purpose: str) -> TaskLosses:
        """What an attack sees; of a random model with the draws of a purpose."""
        model = self.model if attack.source is None else attack.source
        assert isinstance(model, MultiTaskModel)
        return TaskLosses.seen_by(attack, self._forward(batch, model, purpose), batch, self.clean_values)

    def _forward(self, batch: Batch, model: MultiTaskModel, purpose: str = SCORE) -> Forward:
        """What has a gradient: a model, a random one with the draws of a purpose; behind a defence its mean."""
        found = drawn(model, self.seed, batch.names, purpose)
        return found if self.defence is None else self.defence.averaged(found, self.tasks, batch, self.seed)

    def _times_draws(self, cost: Cost) -> Cost:
        """The cost of evaluations of `_forward` in those of the model."""
        times = 1 if self.defence is None else self.defence.attack_draws
        return Cost(times * cost.gradients, times * cost.forwards)

    def predictions(self, batch: Batch, found: Tensor) -> Mapping[str, Tensor]:
        """What the model says of clean or attacked inputs of a batch; a random one with the draws that score it."""
        return self._answers(batch, found)[0]

    @torch.no_grad()
    def _answers(self, batch: Batch, found: Tensor) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        """Predictions for inputs of a batch, clean or attacked, and arrays of the defence, a row for each."""
        if self.defence is None:
            return drawn(self.model, self.seed, batch.names)(found), {}
        forward_of = partial(drawn, self.model, self.seed)
        return self.defence.smoothed(forward_of, self.tasks, batch, found, self.seed)

    def measured(self, batch: Batch, image: Tensor) -> Measured:
        """Statistics and losses of clean or attacked images."""
        (predictions, more), forward = self._answers(batch, image), self._forward(batch, self.model)
        with torch.no_grad():
            losses = TaskLosses(forward, self.tasks, batch.targets, batch.masks, clean=batch.input).of(predictions)
        measured = measure(self.tasks, predictions, batch.targets, batch.masks)
        measured.per_image.update({"losses": losses.T, **more})
        return measured

    def _diagnostics(self, batch: Batch, found: Tensor, radius: float, attack: Attack) -> dict[str, Tensor]:
        """Per input [B, 1]: distance outside ball and box, visibility, whether the model was in training mode."""
        eps = batch.input.new_full((len(batch),), radius)
        random = PerImage(self.seed, batch.names)
        ball = attack.ball(batch.input, eps, random, around(batch))
        seen = {"outside": ball.outside(found) * batch.space.scale}
        if batch.space.form == "image":
            seen |= visibility(batch.input, found)
        seen["training_mode"] = eps.new_full(eps.shape, any(m.training for m in self.model.modules()))
        return {name: value[:, None] for name, value in seen.items()}

    def _of_clean(self, batch: Batch) -> Measured:
        """Statistics of clean images only, per task and image.

        The input gradient per unit of eps, where an input may be moved: mean size, zero and non-finite share; and the
        share of valid pixels whose logits leave cross-entropy no gradient.
        """
        forward = self._forward(batch, self.model)
        losses = TaskLosses(forward, self.tasks, batch.targets, batch.masks, clean=batch.input)
        directions = Total().task_directions(losses, batch.input)[0]
        found = {
            "gradient": _mean(directions.abs(), batch.movable) / batch.space.scale,
            "gradient_zero": _mean((directions == 0).double(), batch.movable),
            "gradient_nonfinite": _mean((~directions.isfinite()).double(), batch.movable),
        }
        with torch.no_grad():
            predictions = forward(batch.input, losses.names)
        shares = [saturated(task, predictions[task.name], batch.masks[task.name]) for task in self.tasks]
        return Measured(found | {"saturated": torch.stack(shares, 1)}, {})


def _mean(values: Tensor, movable: Tensor | None) -> Tensor:
    """Mean [B, T] of values [T, B, ...] over those of an input that may be moved."""
    if movable is None:
        return values.flatten(2).mean(2).T
    free = movable.flatten(1)
    return (torch.where(free, values.flatten(2), 0).sum(2) / free.sum(1)).T


class Share:
    """Results on one batch that the cells of a pass share.

    Args:
        work: the pass.
        batch: on the device.
        wanted: keys of the cells whose images another cell chooses from.

    Attributes:
        clean: the statistics of the clean images.
        cost: cell -> what it cost, its alternatives included.
    """

    def __init__(self, work: Pass, batch: Batch, wanted: Collection[str]) -> None:
        self.work, self.batch, self.wanted = work, batch, wanted
        self.clean = _in_halves(len(batch), lambda part: work.measured(batch[part], batch.input[part]), Measured.join)
        self.cost: dict[str, Cost] = {}
        self._kept: dict[str, Tensor] = {}

    def attacked(self, cell: Plan) -> Tensor:
        """The attacked images of a cell; cached until used if another cell chooses from them."""
        images = self._search(cell)
        if cell.key in self.wanted:
            self._kept[cell.key] = images
        return images

    def _search(self, cell: Plan) -> Tensor:
        batch, kept = self.batch, self._kept
        found = [kept.pop(one.key) if one.key in kept else self._search(one) for one in cell.alternatives]
        self.cost[cell.key] = sum((self.cost[one.key] for one in cell.alternatives), FREE)

        def some(rows: slice) -> Tensor:
            images, cost = self.work.attacked(batch[rows], cell, [images[rows] for images in found])
            self.cost[cell.key] += cost
            return images

        return _in_halves(len(batch), some, torch.cat)


def _in_halves(images: int, compute: Callable[[slice], T], join: Callable[[list[T]], T]) -> T:
    """`compute` on all images at once, or recursively on halves if the GPU runs out of memory, joined."""

    def some(part: slice) -> list[T]:
        try:
            return [compute(part)]
        except torch.OutOfMemoryError:
            if part.stop - part.start == 1:
                raise
        torch.cuda.empty_cache()
        middle = (part.start + part.stop) // 2
        return [*some(slice(part.start, middle)), *some(slice(middle, part.stop))]

    found = some(slice(0, images))
    return found[0] if len(found) == 1 else join(found)


def evaluate(
    work: Pass,
    loader: Iterable[Batch],
    device: torch.device,
    images: int,
    progress: Progress = silent,
    records: dict[str, Record] | None = None,
    on_failure: Callable[[str, BaseException], None] | None = None,
    on_cell: Callable[[str], None] = lambda key: None,
) -> dict[str, Record]:
    """Run every cell on every batch; each image is decoded once.

    Args:
        work: what to compute.
        loader: batches of the split in order.
        device: where the model is.
        images: number of images the loader gives, for `progress`.
        progress: callback, called after every batch.
        records: cell -> its record from an interrupted pass. It is updated in place, so that the caller always sees a
            whole number of batches of every cell.
        on_failure: callback (key, error) for a cell that raised an error; the other cells continue. None: the first
            failure ends the pass.
        on_cell: callback (key), called for every cell before each of its batches.

    Returns:
        key of the cell -> its record; a failed cell's ends before the batch that it failed on.
    """
    records = {} if records is None else records
    for cell in work.cells:
        records.setdefault(cell.key, Record())
    cells, start = list(work.cells), 0
    sources = {id(one): one for cell in cells if cell.attack and (one := cell.attack.source) is not None}
    with ExitStack() as stack:
        for model in (work.model, *sources.values()):
            stack.enter_context(frozen(model))
        work = replace(work, model=for_inference(work.model))
        for whole in loader:
            stop = start + len(whole)
            if any(records[cell.key].done < stop for cell in cells):
                batch = whole.to(device)
                for cell in _next(work, cells, records, batch, start, on_failure, on_cell):
                    cells.remove(cell)
            start = stop
            progress(stop, images, f"images, {len(cells)} cells at once")
    return records


def _next(
    work: Pass,
    cells: Sequence[Plan],
    records: Mapping[str, Record],
    batch: Batch,
    start: int,
    on_failure: Callable[[str, BaseException], None] | None,
    on_cell: Callable[[str], None],
) -> list[Plan]:
    """Add the batch that starts at image `start` to every cell that lacks it; returns the cells that failed."""
    missing = [cell for cell in cells if records[cell.key].done < start + len(batch)]
    wanted = {one.key for cell in missing for one in cell.alternatives}
    shares: dict[int, Share] = {}
    lost = []
    for cell in missing:
        record = records[cell.key]
        # The batch size may differ from that of the interrupted pass: compute only the missing images.
        have = max(record.done - start, 0)
        if have not in shares:
            shares[have] = Share(work, batch[have:], wanted)
        share = shares[have]
        on_cell(cell.key)
        try:
            record.add(work.batch(share, cell), len(share.batch), share.cost.get(cell.key, FREE))
        except (Exception, SystemExit) as error:
            if on_failure is None or signals.received:
                raise
            on_failure(cell.key, error)
            lost.append(cell)
    return lost
