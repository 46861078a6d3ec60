"""Metrics of semantic segmentation."""

from dataclasses import dataclass

import numpy as np

from mtlbench.metrics.base import (
    PAPER_BATCH,
    Floats,
    Metric,
    PixelMean,
    Scores,
    Statistics,
    batch_mean,
    divide,
    pixel_mean,
)


@dataclass(frozen=True)
class MeanIoU(Metric):
    """Mean over classes of intersection over union, from counts accumulated over the split.

    `standard` averages the classes that occur in the ground truth; `paper` those with at least one pixel
    predicted correctly, as the reference does: a class without any correct pixel under attack drops out of the mean.
    """

    statistics = ("class_counts",)
    smooth = "soft_iou"

    def value(self, statistics: Statistics, weights: Floats, scores: Scores, batch: int = PAPER_BATCH) -> Floats:
        """See `Metric.value`; a fraction."""
        correct, truth, predicted = np.split(weights @ statistics["class_counts"], 3, axis=1)
        iou = divide(correct, truth + predicted - correct)
        averaged = (correct if scores == "paper" else truth) != 0
        return divide(np.where(averaged, iou, 0).sum(1), averaged.sum(1))


@dataclass(frozen=True)
class PixelAccuracy(Metric):
    """Share of pixels whose class is predicted correctly; in `paper` the mean over batches."""

    statistics = ("class_counts",)
    smooth = "one_minus_p"

    def value(self, statistics: Statistics, weights: Floats, scores: Scores, batch: int = PAPER_BATCH) -> Floats:
        """See `Metric.value`; a fraction."""
        correct, truth, _ = np.split(statistics["class_counts"], 3, axis=1)
        mean = batch_mean if scores == "paper" else pixel_mean
        return mean(correct.sum(1), truth.sum(1), weights, batch)


METRICS: tuple[Metric, ...] = (
    MeanIoU("miou", "1", True),
    PixelAccuracy("pixel_accuracy", "1", True),
    PixelAccuracy("token_accuracy", "1", True),  # the same of words
    PixelMean(
        "cross_entropy",
        "nat",
        False,
        statistic="cross_entropy",
        total="loss",
        count="weight",
        paper_batches=True,
        smooth="cross_entropy",
    ),
)
