"""Losses that multiplying the logits by a number does not change.

A cross-entropy is exactly 0 in float32 from a gap of 17 between the logits on: a confident head has no gradient left,
and looks robust. These losses see decisions, not confidence. Per image [B], masked, as in `losses`.

Each divides by a `scale` of its own kind (`SCALES`), that of the clean image and a constant of the attack. A loss that
is not given one takes it from the prediction at hand, as a constant too.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlbench.engine.masked import at_size, masked_mean, same_pixels
from mtlbench.metrics.vectors import known
from mtlbench.tasks import Kind, Loss, Task

FLOOR = 1e-3
"""What `dlr` has left at least: a loss of exactly 0 is that of an image without anything valid."""

SOFT = 3.0
"""Cross-entropy of logits / (spread / 3) is as strong as the plain one of usual networks, whose spread is near 3."""


def class_margin(
    prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None, scale: Tensor | None = None
) -> Tensor:
    """softplus(-(z_y - max other) / scale) of class ids, in nats; `scale` is the clean image's z_1st - z_3rd.

    Margin and scale are those of the difference of logits ratio (see `dlr`). Ours: the scale stays that of the clean
    image, so that an attack moves the class and not the scale, and softplus keeps the loss positive, near log 2 on the
    border. Two classes have their gap as the scale.
    """
    margin, weights = _margin("class_margin", prediction, target, mask, class_weights)
    return masked_mean(_softplus(-margin / _constant(scale, prediction, mask, gap)), weights)


def dlr(
    prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None, scale: Tensor | None = None
) -> Tensor:
    """Difference of logits ratio of class ids, in (0, 2).

    1 - (z_y - max other) / (z_1st - z_3rd), after Croce and Hein 2020 (arXiv 2003.01690, eq. 6). Ours: where the class
    is wrong already, by m, m / (z_1st - z_3rd + m) takes the place of the ratio, which has no limit there and would
    drown the losses of other tasks. Two classes have no third: m / (scale + |m|) is their ratio, in which `scale` is
    the gap on the clean image. Where the right class is the third one, it is flat.
    """
    margin, weights = _margin("dlr", prediction, target, mask, class_weights)
    if prediction.shape[1] > 2:
        whole = gap(prediction) + (-margin).clamp_min(0)
    else:
        whole = _constant(scale, prediction, mask, gap) + margin.abs()
    return masked_mean(1 - margin / ((1 + FLOOR) * _positive(whole)), weights)


def label_margin(
    prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None, scale: Tensor | None = None
) -> Tensor:
    """softplus(-margin / scale) in nats, the mean over the attributes that are known; margin = z for 1, -z for 0.

    `scale` is the mean size of the logits of the clean image. Ours.
    """
    same_pixels("label_margin", prediction, target, mask, channels=prediction.shape[1])
    return binary(prediction / _constant(scale, prediction, mask, size)[:, None], target, mask)


def binary(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy [B] in nats, the mean over all labels that are 0 or 1."""
    counts = known(target, mask)
    nats = _softplus(torch.where(target == 1, -prediction, prediction))
    return masked_mean(nats.flatten(2), counts.to(nats.dtype).flatten(2))


def gap(prediction: Tensor) -> Tensor:
    """From the highest of the logits [B, C, h, w] to the third, to the second of two, itself of one: [B, h, w]."""
    if prediction.shape[1] == 1:
        return prediction[:, 0].abs()
    highest = prediction.topk(min(prediction.shape[1], 3), 1).values
    return highest[:, 0] - highest[:, -1]


def size(prediction: Tensor) -> Tensor:
    """Mean size of the logits [B, A, h, w]: [B, h, w]."""
    return prediction.abs().mean(1)


def spread(prediction: Tensor) -> Tensor:
    """Standard deviation of the logits [B, C, h, w] over the classes: [B, h, w]; the size of one."""
    return prediction.std(1, correction=0) if prediction.shape[1] > 1 else size(prediction)


Scale = Callable[[Tensor], Tensor]
SCALE_FREE: dict[str, Loss] = {"class_margin": class_margin, "dlr": dlr, "label_margin": label_margin}
"""Losses that take a `scale`."""

SCALES: Mapping[str, Scale] = {"class_margin": gap, "dlr": gap}
"""Loss -> the scale that it takes, where that is not the one of its kind of logits (`OF_KIND`)."""

OF_KIND: Mapping[Kind, Scale] = {"classes": spread, "attributes": size}
"""What a target holds -> the scale of its logits."""


def of_images(scale: Scale, prediction: Tensor, mask: Tensor) -> Tensor:
    """The mean of a scale over the valid pixels of each image: [B], a constant; 1 where there is none to measure."""
    values = scale(prediction.detach())
    return _positive(masked_mean(values, mask[:, 0].to(values.dtype)))


SATURATED = 17.0
"""Gap of logits above which the cross-entropy of the higher class is exactly 0 in float32: ln 2^24 = 16.6."""


def saturated(task: Task, prediction: Tensor, mask: Tensor) -> Tensor:
    """Share [B] of an image's valid pixels whose highest logit is `SATURATED` above the second; 0 if none is valid.

    Of attributes, the share of logits of that size. 0 where the attack climbs no cross-entropy: nothing saturates.
    """
    valid = at_size(mask, (prediction.shape[-2], prediction.shape[-1]))[:, 0].double()
    if task.climbed == "cross_entropy" and prediction.shape[1] > 1:
        highest = prediction.topk(2, 1).values
        beyond = (highest[:, 0] - highest[:, 1] > SATURATED).double()
    elif task.climbed == "bce":
        beyond = (prediction.abs() > SATURATED).double().mean(1)
    else:
        return valid.new_zeros(len(prediction))
    return masked_mean(beyond, valid)


def _margin(
    loss: str, prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None
) -> tuple[Tensor, Tensor]:
    """z_y - max other [B, h, w], and the weights of the pixels."""
    same_pixels(loss, prediction, target, mask, channels=1)
    ids = torch.where(mask[:, 0], target[:, 0].long(), 0)
    right = F.one_hot(ids, prediction.shape[1]).movedim(-1, 1).bool()
    margin = prediction.gather(1, ids[:, None])[:, 0] - prediction.masked_fill(right, -torch.inf).amax(1)
    weights = mask[:, 0].to(margin.dtype)
    return margin, weights if class_weights is None else weights * class_weights.to(margin)[ids]


def _softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)); in double precision, because in single its last bit depends on where a number is in memory."""
    return F.softplus(x.double()).to(x.dtype)


def _positive(scale: Tensor) -> Tensor:
    return torch.where(scale > 0, scale, 1)


def _constant(scale: Tensor | None, prediction: Tensor, mask: Tensor, kind: Scale) -> Tensor:
    """A scale [B, 1, 1]: the given one [B], or that of the prediction."""
    return (of_images(kind, prediction, mask) if scale is None else scale)[:, None, None]
