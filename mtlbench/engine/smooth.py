"""Smooth levels of metrics: what an objective climbs instead of a task's loss. Per image [B], in the metric's unit.

A level is the metric itself where lower is better, and what is missing to the best value where higher is: its rise
over the metric's clean value is the relative drop that ARP averages. Decisions are softened: by a softmax of logits in
thirds of their clean spread (`scale_free`), by a sigmoid of the angle or the depth ratio (`ANGLE`, `LOG_RATIO`). A
level is a loss: same arguments, 0 and no gradient where nothing is valid.

A metric names its level (`Metric.smooth`): one of `LEVELS`, a loss of `losses.LOSSES`, or a function of yours.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlbench.engine.dense import one_minus_p
from mtlbench.engine.masked import masked_mean, same_pixels
from mtlbench.errors import DataError
from mtlbench.metrics.layout import DELTAS, WITHIN
from mtlbench.metrics.vectors import known
from mtlbench.tasks import Loss

ANGLE = 4.0
"""Temperature of the shares within an angle, in degrees."""

LOG_RATIO = 0.08
"""Temperature of the shares within a depth ratio, in its logarithm."""

SHORT_OF_1 = 0.9999
"""Factor on a cosine: the slope of arccos has no limit at 1. An angle of 10 degrees changes by .03."""

SMALLEST_RATIO = 0.1
"""Of prediction and depth: below, a pixel is wrong at every threshold, and the logarithm has no meaning."""


def soft_iou(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """1 - the mean over the image's classes of the soft intersection over the soft union, in [0, 1]."""
    hit, truth, predicted = _soft_counts("soft_iou", prediction, target, mask)
    return _over_classes(1 - hit / (truth + predicted - hit).clamp_min(_TINY), truth)


def soft_f1(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """1 - the mean over the image's classes of the soft F1, in [0, 1]."""
    hit, truth, predicted = _soft_counts("soft_f1", prediction, target, mask)
    return _over_classes(1 - 2 * hit / (truth + predicted).clamp_min(_TINY), truth)


def soft_recall(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """1 - the mean over the image's classes of the soft recall, in [0, 1]."""
    hit, truth, _ = _soft_counts("soft_recall", prediction, target, mask)
    return _over_classes(1 - hit / truth.clamp_min(_TINY), truth)


@dataclass(frozen=True)
class PixelSum:
    """Levels that are means over pixels of one thing, an angle or a depth ratio, which is computed once for all.

    Attributes:
        base: (prediction, target, mask) -> [B, h, w].
        parts: weights, and functions from `base` to the level of each pixel.
    """

    base: Callable[[Tensor, Tensor, Tensor], Tensor]
    parts: tuple[tuple[float, Callable[[Tensor], Tensor]], ...]

    def __call__(
        self, prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None
    ) -> Tensor:
        """The weighted sum of the levels [B]."""
        # In double precision: in single, the last bit of a sigmoid depends on where a number is in memory.
        values = self.base(prediction, target, mask).double()
        first, *others = [weight * part(values) for weight, part in self.parts]
        return masked_mean(sum(others, start=first).to(prediction.dtype), mask[:, 0].to(prediction.dtype))


def degrees(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Angle of each pixel [B, h, w] between directions of any length."""
    same_pixels("degrees", prediction, target, mask, channels=max(prediction.shape[1], 2))
    alike = F.cosine_similarity(prediction, torch.where(mask, target.to(prediction.dtype), 0), dim=1)
    return torch.rad2deg(torch.acos(SHORT_OF_1 * alike))


def ratio(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Prediction over depth of each pixel [B, h, w]; the prediction where the depth is ignored, or none."""
    same_pixels("ratio", prediction, target, mask, channels=prediction.shape[1])
    if prediction.shape[1] != 1:
        raise DataError(f"ratio: depth has one channel; the prediction has {prediction.shape[1]}")
    return (prediction / torch.where(mask & (target > 0), target.to(prediction.dtype), 1))[:, 0]


def itself(values: Tensor) -> Tensor:
    """Of angles: their mean. It stands for the median, too, of which an attack makes less."""
    return values


def beyond_angle(values: Tensor, most: float) -> Tensor:
    """100 where an angle is above `most` degrees, softened."""
    return 100 * torch.sigmoid((values - most) / ANGLE)


def relative(values: Tensor) -> Tensor:
    """Of ratios: the absolute error over the depth."""
    return (values - 1).abs()


def beyond_ratio(values: Tensor, most: float) -> Tensor:
    """100 where a depth is wrong by more than the factor `most`, softened."""
    return 100 * torch.sigmoid((values.clamp_min(SMALLEST_RATIO).log().abs() - math.log(most)) / LOG_RATIO)


def mean_error(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Mean absolute error over pixels and outputs."""
    error = _difference("mean_error", prediction, target, mask).abs().mean(1)
    return masked_mean(error, mask[:, 0].to(error.dtype))


def root_mean_square(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Root of the image's mean squared error over pixels and outputs; no gradient where it is 0."""
    square = _difference("root_mean_square", prediction, target, mask).square().mean(1)
    mean = masked_mean(square, mask[:, 0].to(square.dtype))
    return torch.where(mean > 0, torch.where(mean > 0, mean, 1).sqrt(), 0 * mean)


def wrong_labels(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Share of the known attributes whose label is wrong, in [0, 1]: the sigmoid of the logit's other sign."""
    same_pixels("wrong_labels", prediction, target, mask, channels=prediction.shape[1])
    wrong = torch.sigmoid(torch.where(target == 1, -prediction, prediction).double()).to(prediction.dtype)
    return masked_mean(wrong.flatten(2), known(target, mask).to(wrong.dtype).flatten(2))


LEVELS: dict[str, Loss] = {
    "one_minus_p": one_minus_p,
    "soft_iou": soft_iou,
    "soft_f1": soft_f1,
    "soft_recall": soft_recall,
    "angle": PixelSum(degrees, ((1.0, itself),)),
    **{
        f"beyond_{most:g}_degrees": PixelSum(degrees, ((1.0, partial(beyond_angle, most=most)),))
        for most in WITHIN.values()
    },
    "relative": PixelSum(ratio, ((1.0, relative),)),
    **{f"beyond_{name}": PixelSum(ratio, ((1.0, partial(beyond_ratio, most=most)),)) for name, most in DELTAS.items()},
    "mean_error": mean_error,
    "root_mean_square": root_mean_square,
    "wrong_labels": wrong_labels,
}
"""The levels that are no losses already, by the names under which built-in metrics know them."""

_TINY = 1e-12


def _soft_counts(level: str, prediction: Tensor, target: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of each image and class [B, C]: probability on its pixels, pixels in the truth, probability anywhere."""
    same_pixels(level, prediction, target, mask, channels=1)
    classes = torch.arange(prediction.shape[1], device=prediction.device)[:, None, None]
    truth = mask & (target == classes)
    shares = prediction.softmax(1)
    hit, predicted = (torch.where(where, shares, 0).sum((2, 3)) for where in (truth, mask))
    return hit, truth.sum((2, 3)).to(shares.dtype), predicted


def _over_classes(of_class: Tensor, truth: Tensor) -> Tensor:
    """The mean over the classes that occur in an image [B]; 0 where none does."""
    occurs = truth > 0
    return torch.where(occurs, of_class, 0).sum(1) / occurs.sum(1).clamp_min(1)


def _difference(level: str, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    same_pixels(level, prediction, target, mask, channels=prediction.shape[1])
    return prediction - torch.where(mask, target.to(prediction.dtype), 0)
