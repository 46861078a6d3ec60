"""Statistics of a batch: everything that is stored of a prediction, and that the built-in metrics need.

A statistic first makes a map (one value per pixel), then sums it under the mask: per image, so that batching and
bootstraps over images do not need the pixels again, or pooled if a row per image would be too large. Nothing here
synchronises with the device: no `.item()`, no boolean indexing, no `bincount`.

A NaN prediction under the mask makes the sums of its image NaN, so that it cannot look like a robust model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlbench.errors import DataError
from mtlbench.metrics.bio import span_counts
from mtlbench.metrics.layout import BINS_PER_DEGREE, CLASS_BLOCKS, COLUMNS, DELTAS, WITHIN, bins
from mtlbench.metrics.vectors import error_sums, label_counts, label_scores, variance_sums


@dataclass(frozen=True)
class PixelMap:
    """One value per pixel from a prediction and its target.

    The prediction is prepared at its own size, which is cheaper, and then resized as in the reference
    (nearest, sampling at floor(i * in / out)); a pixelwise function and this resize commute exactly.

    Args:
        prepare: prediction [B, C, h, w] -> [B, K, h, w].
        compare: (prepared [B, K, H, W], target [B, c, H, W], mask [B, 1, H, W]) -> [B, 1, H, W].
    """

    prepare: Callable[[Tensor], Tensor]
    compare: Callable[[Tensor, Tensor, Tensor], Tensor]

    def __call__(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """The map, at the size of `target`; undefined (but without errors) where `mask` is False."""
        prepared = self.prepare(prediction)
        if prepared.shape[-2:] != target.shape[-2:]:
            prepared = F.interpolate(prepared, size=target.shape[-2:], mode="nearest")
        return self.compare(prepared, target, mask)


Reduce = Callable[..., Tensor]


@dataclass(frozen=True)
class Statistic:
    """The sum of a map under a mask.

    Args:
        map: what is summed.
        reduce: (map, target, mask, channels C of the prediction, class weights [C] or None) -> [B, k], or [k]
            where `pooled`; columns as in `layout`.
        pooled: the images are summed as well.
        labelled: `reduce` takes the names of the classes as well.
    """

    map: PixelMap
    reduce: Reduce
    pooled: bool = False
    labelled: bool = False

    def __call__(
        self,
        prediction: Tensor,
        target: Tensor,
        mask: Tensor,
        class_weights: Tensor | None = None,
        labels: tuple[str, ...] = (),
    ) -> Tensor:
        """The statistic of a batch; int64 or float64, [B, k] or, pooled, [k]."""
        return self.of(self.map(prediction, target, mask), target, mask, prediction.shape[1], class_weights, labels)

    def of(
        self,
        values: Tensor,
        target: Tensor,
        mask: Tensor,
        channels: int,
        class_weights: Tensor | None,
        labels: tuple[str, ...],
    ) -> Tensor:
        """The statistic of the values of `map`."""
        more = (labels,) if self.labelled else ()
        return self.reduce(values, target, mask, channels, class_weights, *more)


# Maps


def _predicted_class(prediction: Tensor) -> Tensor:
    """The class with the largest logit as a float, NaN where a logit is NaN."""
    largest, classes = prediction.max(1, keepdim=True)
    return torch.where(largest.isnan(), torch.nan, classes.float())


def _log_softmax(prediction: Tensor) -> Tensor:
    return prediction.float().log_softmax(1)


def _unit(vectors: Tensor) -> Tensor:
    """Vectors scaled to length 1; a zero vector stays zero."""
    vectors = vectors.float()
    return vectors / _length(vectors).clamp_min(1e-12)


def _length(vectors: Tensor) -> Tensor:
    return vectors.square().sum(1, keepdim=True).sqrt()


def _first(prepared: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    return prepared


def _negative_log_likelihood(log_probability: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    return -log_probability.gather(1, _class_index(target, mask))


def _angle(unit: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Angle in degrees, 90 for a zero prediction: 2 atan2(|u - v|, |u + v|).

    This is Kahan's form; arccos in float32 cannot resolve angles below 0.02 degree.
    """
    truth = _unit(target)
    return torch.rad2deg(2 * torch.atan2(_length(unit - truth), _length(unit + truth)))


def _cosine(unit: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    return (unit * _unit(target)).sum(1, keepdim=True).clamp(-1, 1)


def _absolute_error(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    return (prediction - target.float()).abs()


def _class_index(target: Tensor, mask: Tensor) -> Tensor:
    """Class ids, 0 at masked pixels: an ignore label such as 255 is not a valid index."""
    return torch.where(mask, target.long(), 0)


CLASS = PixelMap(_predicted_class, _first)
LIKELIHOOD = PixelMap(_log_softmax, _negative_log_likelihood)
ANGLE = PixelMap(_unit, _angle)
COSINE = PixelMap(_unit, _cosine)
ERROR = PixelMap(Tensor.float, _absolute_error)
PREDICTION = PixelMap(Tensor.float, _first)


# Sums


def _sum(values: Tensor, mask: Tensor) -> Tensor:
    """[B] float64: the sum of each image under the mask, independent of values outside; NaN instead of infinity."""
    sums = torch.where(mask, values, 0).sum((1, 2, 3), dtype=torch.float64)
    return torch.where(sums.isinf(), torch.nan, sums)


def _columns(statistic: str, sums: dict[str, Tensor]) -> Tensor:
    return torch.stack([sums[name] for name in COLUMNS[statistic]], dim=1)


def _class_counts(classes: Tensor, target: Tensor, mask: Tensor, channels: int, _: Tensor | None) -> Tensor:
    """[B, 3 C] float64, see `CLASS_BLOCKS`."""
    truth = _class_index(target, mask)
    predicted = classes.nan_to_num(0).long()
    ones = mask.long().flatten(1)
    hit = (mask & (predicted == truth)).long().flatten(1)
    zeros = torch.zeros(len(mask), channels, dtype=torch.int64, device=mask.device)
    counted = {
        "correct": zeros.scatter_add(1, truth.flatten(1), hit),
        "truth": zeros.scatter_add(1, truth.flatten(1), ones),
        "predicted": zeros.scatter_add(1, predicted.flatten(1), ones),
    }
    counts = torch.cat([counted[block] for block in CLASS_BLOCKS], dim=1).double()
    broken = (mask & classes.isnan()).flatten(1).any(1, keepdim=True)
    return torch.where(broken, torch.nan, counts)


def _cross_entropy(loss: Tensor, target: Tensor, mask: Tensor, channels: int, weights: Tensor | None) -> Tensor:
    """Weights [C] multiply the pixels of their class and, in the denominator, count them."""
    weight = torch.ones_like(loss) if weights is None else weights[_class_index(target, mask)]
    return _columns("cross_entropy", {"weight": _sum(weight, mask), "loss": _sum(weight * loss, mask)})


def _angle_sums(degrees: Tensor, target: Tensor, mask: Tensor, channels: int, _: Tensor | None) -> Tensor:
    sums = {"count": _sum(mask, mask), "angle": _sum(degrees, mask)}
    nothing = 0 * sums["angle"]  # NaN in images with a NaN prediction: a comparison would only count it as wrong
    within = {name: _sum(degrees <= most, mask) + nothing for name, most in WITHIN.items()}
    return _columns("angle_sums", sums | within)


def _depth_sums(depth: Tensor, target: Tensor, mask: Tensor, channels: int, _: Tensor | None) -> Tensor:
    if channels != 1:
        raise DataError(f"depth metrics are of one channel; the prediction has {channels}")
    truth = target.float()
    error = (depth - truth).abs()
    ratio = torch.maximum(depth / truth, truth / depth)
    sums = {"count": _sum(mask, mask), "abs": _sum(error, mask), "rel": _sum(error / truth, mask)}
    nothing = 0 * sums["abs"]  # NaN in images with a NaN prediction
    for name, most in DELTAS.items():
        sums[name] = _sum(ratio <= most, mask) + nothing
        sums[f"positive_{name}"] = _sum((ratio <= most) & (depth > 0), mask) + nothing
    return _columns("depth_sums", sums)


def _count_and_sum(
    values: Tensor, target: Tensor, mask: Tensor, channels: int, _: Tensor | None, *, statistic: str
) -> Tensor:
    count, total = COLUMNS[statistic]
    return _columns(statistic, {count: _sum(mask, mask), total: _sum(values, mask)})


def _histogram(degrees: Tensor, name: str) -> Tensor:
    """Bin of each pixel, int64; the last one for NaN."""
    last = bins(name)
    index = (degrees.nan_to_num(0) * BINS_PER_DEGREE[name]).long().clamp(max=last - 1)
    return torch.where(degrees.isnan(), last, index)


def _angle_histogram(degrees: Tensor, target: Tensor, mask: Tensor, channels: int, _: Tensor | None) -> Tensor:
    """[B, 181] int64."""
    index = _histogram(degrees, "angle_histogram").flatten(1)
    zeros = torch.zeros(len(mask), bins("angle_histogram") + 1, dtype=torch.int64, device=mask.device)
    return zeros.scatter_add_(1, index, mask.long().flatten(1))


def _angle_histogram_fine(degrees: Tensor, target: Tensor, mask: Tensor, channels: int, _: Tensor | None) -> Tensor:
    """[92161] int64 over all images."""
    index = _histogram(degrees, "angle_histogram_fine").flatten()
    zeros = torch.zeros(bins("angle_histogram_fine") + 1, dtype=torch.int64, device=mask.device)
    return zeros.scatter_add_(0, index, mask.long().flatten())


STATISTICS: dict[str, Statistic] = {
    "class_counts": Statistic(CLASS, _class_counts),
    "span_counts": Statistic(CLASS, span_counts, labelled=True),
    "cross_entropy": Statistic(LIKELIHOOD, _cross_entropy),
    "angle_sums": Statistic(ANGLE, _angle_sums),
    "angle_histogram": Statistic(ANGLE, _angle_histogram),
    "angle_histogram_fine": Statistic(ANGLE, _angle_histogram_fine, pooled=True),
    "cosine_sums": Statistic(COSINE, partial(_count_and_sum, statistic="cosine_sums")),
    "depth_sums": Statistic(PREDICTION, _depth_sums),
    "l1_sums": Statistic(ERROR, partial(_count_and_sum, statistic="l1_sums")),
    "error_sums": Statistic(ERROR, error_sums),
    "variance_sums": Statistic(PREDICTION, variance_sums),
    "label_counts": Statistic(PREDICTION, label_counts),
    "label_scores": Statistic(PREDICTION, label_scores),
}
"""Every statistic by name; `Metric.statistics` refers to these."""
