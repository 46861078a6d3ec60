"""Metrics of tasks that predict numbers: depth, keypoints and edges of pixels, measurements of images."""

from dataclasses import dataclass

import numpy as np

from mtlbench.metrics.base import PAPER_BATCH, Floats, Metric, PixelMean, Scores, Statistics, divide
from mtlbench.metrics.layout import DELTAS

TARGETS_UNIT = "the target's"
"""Placeholder for the unit of the task."""


def _error(name: str, unit: str, statistic: str, total: str, smooth: str | None = None) -> Metric:
    """A mean error; the reference averages the means of its batches."""
    return PixelMean(name, unit, False, statistic=statistic, total=total, paper_batches=True, smooth=smooth)


def _delta(name: str) -> Metric:
    """Percentage of pixels with max(p/g, g/p) within the threshold; the reference lets a negative p pass."""
    return PixelMean(
        name,
        "%",
        True,
        statistic="depth_sums",
        total=f"positive_{name}",
        paper_total=name,
        scale=100,
        smooth=f"beyond_{name}",
    )


@dataclass(frozen=True)
class R2(Metric):
    """Share of the variance of the targets that is explained, mean over the outputs; below 0: worse than their mean.

    Outputs with constant targets are left out. Both score sets agree.
    """

    statistics = ("variance_sums",)

    def value(self, statistics: Statistics, weights: Floats, scores: Scores, batch: int = PAPER_BATCH) -> Floats:
        """See `Metric.value`; a fraction."""
        count, square, truth, truth_square = np.split(weights @ statistics["variance_sums"], 4, axis=1)
        around_mean = truth_square - divide(truth**2, count, 0)
        varies = around_mean > ROUNDING * truth_square
        explained = np.where(varies, 1 - divide(square, np.where(varies, around_mean, 1)), 0)
        return np.where(np.isnan(square).any(1), np.nan, divide(explained.sum(1), varies.sum(1)))


ROUNDING = 1e-12
"""Variance relative to the mean square below which targets count as constant."""

METRICS: tuple[Metric, ...] = (
    _error("abs_err", "m", "depth_sums", "abs", "l1"),
    _error("rel_err", "1", "depth_sums", "rel", "relative"),
    *(_delta(name) for name in DELTAS),
    _error("log_depth_err", "log units", "l1_sums", "abs", "l1"),
    _error("keypoint_err", "1", "l1_sums", "abs", "l1"),
    _error("edge_err", "1", "l1_sums", "abs", "l1"),
    PixelMean("mae", TARGETS_UNIT, False, statistic="error_sums", total="abs", smooth="mean_error"),
    PixelMean(
        "rmse", TARGETS_UNIT, False, statistic="error_sums", total="square", root=True, smooth="root_mean_square"
    ),
    R2("r2", "1", True),
)
