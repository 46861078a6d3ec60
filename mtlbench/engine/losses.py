"""Masked per-image losses [B] for training on and attacking the tasks of arXiv 2305.12066, section "setting".

Every loss takes a prediction [B, C, h, w], a target [B, c, h, w] *at the prediction's size* (`at_size` resizes with
nearest, as the reference does), a mask [B, 1, h, w] bool and class weights [C] or None. Ignored pixels have weight 0.
An image without a valid pixel has loss exactly 0 and no gradient; `valid_images` counts the others. Shapes that fit
only by broadcasting raise a `DataError`. Losses whose gradient does not vanish for a confident head are in
`scale_free`.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlbench.attacks.attack import NORMALISED, RAW
from mtlbench.engine.masked import at_size, masked_mean, same_pixels, valid_images
from mtlbench.engine.scale_free import SCALE_FREE, SCALES, SOFT, binary, of_images
from mtlbench.errors import DataError, UsageError
from mtlbench.options import one_of
from mtlbench.tasks import Loss, Task, named

__all__ = ["LOSSES", "TaskLosses", "at_size", "loss_of", "masked_mean", "valid_images"]


def cross_entropy(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None) -> Tensor:
    """Cross-entropy in nats of logits [B, C, h, w] against class ids [B, 1, h, w], optionally weighted by class.

    The mean divides by the summed weights, as `torch.nn.CrossEntropyLoss` does for a batch of one image.
    """
    same_pixels("cross_entropy", prediction, target, mask, channels=1)
    valid = mask[:, 0]
    ids = torch.where(valid, target[:, 0].long(), 0)
    nats = F.cross_entropy(prediction, ids, reduction="none")
    weights = valid.to(nats.dtype)
    return masked_mean(nats, weights if class_weights is None else weights * class_weights.to(nats)[ids])


def cosine(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """One minus the cosine, in [0, 2], between directions [B, 3, h, w] of any length."""
    # The cosine of vectors with one channel is only a sign.
    same_pixels("cosine", prediction, target, mask, channels=max(prediction.shape[1], 2))
    alike = F.cosine_similarity(prediction, torch.where(mask, target.to(prediction.dtype), 0), dim=1)
    return masked_mean(1 - alike, mask[:, 0].to(prediction.dtype))


def l1(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Absolute error in the unit of the target, both [B, C, h, w]; summed over channels, as its metric is."""
    same_pixels("l1", prediction, target, mask, channels=prediction.shape[1])
    error = (prediction - torch.where(mask, target.to(prediction.dtype), 0)).abs()
    error = error.squeeze(1) if error.shape[1] == 1 else error.sum(1)
    return masked_mean(error, mask[:, 0].to(prediction.dtype))


def l2(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Squared error in the squared unit of the target, both [B, C, h, w]; summed over channels."""
    same_pixels("l2", prediction, target, mask, channels=prediction.shape[1])
    error = (prediction - torch.where(mask, target.to(prediction.dtype), 0)).square().sum(1)
    return masked_mean(error, mask[:, 0].to(prediction.dtype))


def bce(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Binary cross-entropy in nats of logits [B, A, h, w]: the mean over the labels that are 0 or 1."""
    same_pixels("bce", prediction, target, mask, channels=prediction.shape[1])
    return binary(prediction, target, mask)


LOSSES: dict[str, Loss] = {
    "cross_entropy": cross_entropy,
    "cosine": cosine,
    "l1": l1,
    "l2": l2,
    "bce": bce,
    **SCALE_FREE,
}


def loss_of(given: str | Loss) -> Loss:
    """The loss of that name; a function is returned unchanged.

    Raises:
        UsageError: no such name.
    """
    found = LOSSES.get(given) if isinstance(given, str) else given
    if found is None:
        raise UsageError(f"loss {given}: expected a function, or one of {', '.join(LOSSES)}")
    return found


class TaskLosses:
    """The losses of some tasks on a fixed batch as a function of its images: x [B, 3, H, W] -> [T, B].

    Args:
        forward: (images, task names) -> task name -> prediction; called with the names of `tasks` only, so that a
            model can run only their paths.
        tasks: the T tasks, in the order of the rows.
        targets: task name -> [B, c, H, W].
        masks: task name -> [B, 1, H, W] bool.
        clean: the clean images [B, 3, H, W], on which the scales of logits are measured, once and only if a loss needs
            them.
        logits: ``normalised`` divides the input of cross-entropies by a third of its spread on the clean image, so
            that multiplying the logits by a constant changes nothing; ``raw`` does not.
        training: use the training losses; if false, those that an attack climbs.
    """

    def __init__(
        self,
        forward: Callable[[Tensor, Sequence[str]], Mapping[str, Tensor]],
        tasks: Sequence[Task],
        targets: Mapping[str, Tensor],
        masks: Mapping[str, Tensor],
        *,
        clean: Tensor | None = None,
        logits: str = RAW,
        training: bool = False,
    ) -> None:
        self.forward, self.tasks = forward, tuple(tasks)
        self.names = [task.name for task in tasks]
        self.targets = {name: targets[name] for name in self.names}
        self.masks = {name: masks[name] for name in self.names}
        self.clean, self.training = clean, training
        self.logits = one_of(logits, "attack.logits", (RAW, NORMALISED))
        self._sized: dict[tuple[str, tuple[int, int]], tuple[Tensor, Tensor]] = {}
        self._scales: dict[str, Tensor] | None = None

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
        clean = None if self.clean is None else self.clean.repeat(times, 1, 1, 1)
        return TaskLosses(
            self.forward, self.tasks, targets, masks, clean=clean, logits=self.logits, training=self.training
        )

    def _loss(self, task: Task, prediction: Tensor) -> Tensor:
        task.check_shapes(prediction.shape, self.targets[task.name].shape, self.masks[task.name].shape)
        target, mask = self._at(task.name, (prediction.shape[-2], prediction.shape[-1]))
        weights = prediction.new_tensor(task.class_weights) if task.class_weights else None
        given = task.loss if self.training else task.climbed
        if isinstance(given, str) and given in SCALE_FREE:
            return SCALE_FREE[given](prediction, target, mask, weights, self._scale(task))
        if self.logits == NORMALISED and given in ("cross_entropy", "bce") and not self.training:
            scale = self._scale(task)
            if scale is None:
                raise ValueError("normalised logits need the clean images")
            prediction = prediction / (scale / SOFT)[:, None, None, None]
        losses = loss_of(given)(prediction, target, mask, weights)
        if losses.shape != (len(prediction),):
            raise DataError(
                f"{task.name}: loss {named(given)} is {list(losses.shape)}; expected one number an image, "
                f"[{len(prediction)}]"
            )
        return losses

    def _scale(self, task: Task) -> Tensor | None:
        """The scale [B] of the task's logits on the clean images; None without clean images."""
        if self.clean is None:
            return None
        if self._scales is None:
            with torch.no_grad():
                predictions = self.forward(self.clean, self.names)
            self._scales = {one.name: self._measured(one, predictions[one.name]) for one in self.tasks}
        return self._scales[task.name]

    def _measured(self, task: Task, prediction: Tensor) -> Tensor:
        """The scale [B] by which the attack's loss sees the clean logits; 1 for a loss that takes no logits."""
        scale = SCALES.get(task.climbed) if isinstance(task.climbed, str) else None
        _, mask = self._at(task.name, (prediction.shape[-2], prediction.shape[-1]))
        return prediction.new_ones(len(prediction)) if scale is None else of_images(scale, prediction, mask)

    def _at(self, name: str, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        if (name, size) not in self._sized:
            self._sized[name, size] = at_size(self.targets[name], size), at_size(self.masks[name], size)
        return self._sized[name, size]
