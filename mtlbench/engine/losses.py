"""Masked per-image losses [B], the ones that train and attack the tasks of arXiv 2305.12066, section "setting".

Every loss takes a prediction [B, C, h, w], a target [B, c, h, w] *at the prediction's size* (`at_size` makes
it, nearest, as the reference does), a mask [B, 1, h, w] bool and class weights [C] or None. Ignored pixels have
weight 0. An image without a valid pixel has loss exactly 0 and no gradient; `valid_images` counts the others.
Shapes that only broadcasting would take are a `DataError`.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlbench.errors import DataError, UsageError
from mtlbench.tasks import Task

Loss = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]


def at_size(labels: Tensor, size: tuple[int, int]) -> Tensor:
    """Nearest-resample labels [B, c, H, W] of any dtype to [B, c, *size], sampling at floor(i * in / out)."""
    if labels.shape[-2:] == size:
        return labels
    rows, columns = (
        torch.arange(out, device=labels.device) * given // out
        for out, given in zip(size, labels.shape[-2:], strict=True)
    )
    return labels[..., rows[:, None], columns]


def masked_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Per-image weighted mean [B] of values [B, h, w]; 0 where the weights [B, h, w] of an image are all zero."""
    total = weights.sum((1, 2))
    return (values * weights).sum((1, 2)) / torch.where(total > 0, total, torch.ones_like(total))


def cross_entropy(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None) -> Tensor:
    """Cross-entropy in nats of logits [B, C, h, w] against class ids [B, 1, h, w], weighted by class if asked.

    The mean divides by the summed weights, as `torch.nn.CrossEntropyLoss` does for a batch of one image.
    """
    _same_pixels("cross_entropy", prediction, target, mask, channels=1)
    valid = mask[:, 0]
    ids = torch.where(valid, target[:, 0].long(), 0)
    nats = F.cross_entropy(prediction, ids, reduction="none")
    weights = valid.to(nats.dtype)
    return masked_mean(nats, weights if class_weights is None else weights * class_weights.to(nats)[ids])


def cosine(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """One minus the cosine, in [0, 2], between directions [B, 3, h, w] of any length."""
    _same_pixels("cosine", prediction, target, mask, channels=max(prediction.shape[1], 2))  # of 1 it is but a sign
    alike = F.cosine_similarity(prediction, torch.where(mask, target.to(prediction.dtype), 0), dim=1)
    return masked_mean(1 - alike, mask[:, 0].to(prediction.dtype))


def l1(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Absolute error in the unit of the target, both [B, C, h, w]; summed over channels, as its metric is."""
    _same_pixels("l1", prediction, target, mask, channels=prediction.shape[1])
    error = (prediction - torch.where(mask, target.to(prediction.dtype), 0)).abs()
    error = error.squeeze(1) if error.shape[1] == 1 else error.sum(1)
    return masked_mean(error, mask[:, 0].to(prediction.dtype))


def _same_pixels(loss: str, prediction: Tensor, target: Tensor, mask: Tensor, channels: int) -> None:
    """Refuse a target that has not `channels` channels, or a target or mask of other images or pixels."""
    images, size = len(prediction), prediction.shape[2:]
    if target.shape != (images, channels, *size) or mask.shape != (images, 1, *size):
        raise DataError(
            f"{loss}: prediction {list(prediction.shape)}, target {list(target.shape)}, mask {list(mask.shape)}; "
            f"expected a target {[images, channels, *size]} and a mask {[images, 1, *size]}"
        )


LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "cosine": cosine, "l1": l1}


def loss_of(given: str | Loss) -> Loss:
    """A loss by name, or itself.

    Raises:
        UsageError: no such name.
    """
    found = LOSSES.get(given) if isinstance(given, str) else given
    if found is None:
        raise UsageError(f"loss {given}: expected a function, or one of {', '.join(LOSSES)}")
    return found


def valid_images(mask: Tensor) -> Tensor:
    """Which images of a mask [B, 1, h, w] have at least one valid pixel, [B] bool."""
    return mask.flatten(1).any(1)


class TaskLosses:
    """The losses of some tasks on a fixed batch as a function of its images: x [B, 3, H, W] -> [T, B].

    Args:
        forward: (images, task names) -> task name -> prediction; called with the names of `tasks` only, so that a
            model can run just their paths.
        tasks: the T tasks, in the order of the rows.
        targets: task name -> [B, c, H, W].
        masks: task name -> [B, 1, H, W] bool.
    """

    def __init__(
        self,
        forward: Callable[[Tensor, Sequence[str]], Mapping[str, Tensor]],
        tasks: Sequence[Task],
        targets: Mapping[str, Tensor],
        masks: Mapping[str, Tensor],
    ) -> None:
        self.forward, self.tasks = forward, tuple(tasks)
        self.names = [task.name for task in tasks]
        self.targets = {name: targets[name] for name in self.names}
        self.masks = {name: masks[name] for name in self.names}
        self._sized: dict[tuple[str, tuple[int, int]], tuple[Tensor, Tensor]] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """Per-image losses [T, B] of images `x`."""
        return self.of(self.forward(x, self.names))

    def of(self, predictions: Mapping[str, Tensor]) -> Tensor:
        """Per-image losses [T, B] of given predictions."""
        return torch.stack([self._loss(task, predictions[task.name]) for task in self.tasks])

    def repeat(self, times: int) -> "TaskLosses":
        """The same losses for a batch that holds the images `times` times in a row."""
        if times == 1:
            return self
        targets = {k: v.repeat(times, 1, 1, 1) for k, v in self.targets.items()}
        masks = {k: v.repeat(times, 1, 1, 1) for k, v in self.masks.items()}
        return TaskLosses(self.forward, self.tasks, targets, masks)

    def _loss(self, task: Task, prediction: Tensor) -> Tensor:
        task.check_shapes(prediction.shape, self.targets[task.name].shape, self.masks[task.name].shape)
        target, mask = self._at(task.name, (prediction.shape[-2], prediction.shape[-1]))
        weights = prediction.new_tensor(task.class_weights) if task.class_weights else None
        return loss_of(task.loss)(prediction, target, mask, weights)

    def _at(self, name: str, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        if (name, size) not in self._sized:
            self._sized[name, size] = at_size(self.targets[name], size), at_size(self.masks[name], size)
        return self._sized[name, size]
