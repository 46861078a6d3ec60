"""How good predictions are, whatever the size of logits, and the best constant to hold it against."""

from math import nan

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlbench.data.batch import Batch
from mtlbench.engine.baseline import constants
from mtlbench.engine.losses import at_size, loss_of, valid_images
from mtlbench.tasks import Task

PIXELS = 64 * 64
"""More of an image are not looked at."""

TEMPERATURES = tuple(2.0**power for power in range(-6, 9))
"""Logits are divided by the best of these: a model that is only too sure is none that does not know."""


def quality(task: Task, prediction: Tensor, target: Tensor, mask: Tensor) -> float:
    """Mean loss over the images that have something to score; arguments as in `qualities`."""
    return float(qualities(task, prediction, target, mask).nanmean())


def qualities(task: Task, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """The loss of each image [B], NaN where nothing is to score; cross-entropies at the best temperature for all.

    Args:
        task: whose.
        prediction: [B, C, h, w].
        target: [B, c, H, W].
        mask: [B, 1, H, W].
    """
    return _losses(task, *_thinned(prediction.float(), target, mask))


def best_constant(task: Task, prediction: Tensor, target: Tensor, mask: Tensor) -> float:
    """`quality` of the best prediction of this shape that ignores the image, fitted to the same targets.

    Frequencies are smoothed: a handful of images that happen to be of one class make no constant right for all. NaN
    where no target counts at the size of the prediction.
    """
    prediction, target, mask = _thinned(prediction.float(), target, mask)
    if not bool(mask.any()):
        return nan
    batch = Batch(prediction.cpu(), {task.name: target.cpu()}, {task.name: mask.cpu()}, ("",) * len(prediction))
    candidates = [_smoothed(task, constants([task], [batch])[task.name], len(prediction)).to(prediction)]
    if task.holds == "values":  # the median is best for absolute errors, the mean for squared ones
        candidates.append(torch.stack([target[:, i : i + 1][mask].float().mean() for i in range(target.shape[1])]))
    found = (_losses(task, one[None, :, None, None].expand_as(prediction), target, mask) for one in candidates)
    return min(float(losses.nanmean()) for losses in found)


def varies(target: Tensor, mask: Tensor) -> bool:
    """Whether the targets that count are not all the same; else there is nothing to know."""
    counted = target.movedim(1, -1)[mask[:, 0]]
    return bool((counted.amax(0) != counted.amin(0)).any())


def _smoothed(task: Task, constant: Tensor, images: int) -> Tensor:
    """As if every class had been seen in one more image; of a class per pixel, all of them together in one more."""
    if task.holds == "classes":
        more = 1 if task.per_image else 1 / task.channels
        return ((images * constant.softmax(0) + more) / (images + more * task.channels)).log()
    if task.holds == "attributes":
        return torch.logit((images * constant.sigmoid() + 1) / (images + 2))
    return constant


def _thinned(prediction: Tensor, target: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """All at the prediction's size, and of large maps every n-th row and column."""
    height, width = prediction.shape[2:]
    target, mask = at_size(target, (height, width)), at_size(mask, (height, width))
    step = max(1, round((height * width / PIXELS) ** 0.5))
    return prediction[..., ::step, ::step], target[..., ::step, ::step], mask[..., ::step, ::step]


def _losses(task: Task, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    if task.holds in ("classes", "attributes"):
        of = _nats if task.holds == "classes" else _attribute_nats
        found = [of(prediction / t, target, mask) for t in TEMPERATURES]
    else:
        found = [loss_of(task.loss)(prediction, target, mask, None)]
    # A loss that is no number is as bad as can be; only what is not to be scored is left out of means.
    known = [losses.where(~losses.isnan(), torch.inf).where(valid_images(mask), torch.nan) for losses in found]
    return min(known, key=lambda losses: float(losses.nanmean()))


def _nats(logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    return loss_of("cross_entropy")(logits, target, mask, None)


def _attribute_nats(logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """[B], over the attributes that are known to be 0 or 1."""
    known = ((target == 0) | (target == 1)) & mask
    nats = F.binary_cross_entropy_with_logits(logits, torch.where(known, target, 0).float(), reduction="none")
    return (nats * known).flatten(1).sum(1) / known.flatten(1).sum(1).clamp_min(1)
