"""Metrics of surface normals, all over the pixels of the split; the two score sets agree."""

from dataclasses import dataclass

import numpy as np

from mtlbench.metrics.base import PAPER_BATCH, Floats, Metric, PixelMean, Scores, Statistics
from mtlbench.metrics.layout import BINS_PER_DEGREE, WITHIN


@dataclass(frozen=True)
class AngleMedian(Metric):
    """Median angle over the pixels of the split, in degrees.

    With equal weights it is computed from the fine histogram, accurate to half a bin, 0.001 degree. That histogram is
    summed over the images, so other weights use the coarse per-image histograms, plus the difference between the fine
    and the coarse result for equal weights.
    """

    statistics = ("angle_histogram", "angle_histogram_fine")
    smooth = "angle"

    def value(self, statistics: Statistics, weights: Floats, scores: Scores, batch: int = PAPER_BATCH) -> Floats:
        """See `Metric.value`; both score sets agree."""
        coarse = statistics["angle_histogram"]
        exact = fine_median(statistics["angle_histogram_fine"])
        shift = exact - coarse_median(coarse.sum(0, keepdims=True, dtype=np.float64))
        return np.clip(coarse_median(weights @ coarse) + shift, 0, 180)


def fine_median(counts: np.ndarray) -> float:
    """Mean of the two middle values of a histogram [K + 1], each the centre of its bin; NaN if undefined."""
    total = int(counts.sum())
    if total == 0 or counts[-1]:
        return np.nan
    middle = np.array([(total - 1) // 2, total // 2])
    found = np.searchsorted(np.cumsum(counts), middle, side="right")
    return float((found + 0.5).mean() / BINS_PER_DEGREE["angle_histogram_fine"])


def coarse_median(counts: Floats) -> Floats:
    """Medians of weighted histograms [R, K + 1], linear within a bin: [R]; NaN where undefined."""
    cumulative = np.cumsum(counts[:, :-1], axis=1)
    half = counts.sum(1) / 2
    row = np.arange(len(counts))
    found = np.minimum((cumulative < half[:, None]).sum(1), cumulative.shape[1] - 1)
    inside = counts[row, found]
    defined = (half > 0) & (counts[:, -1] == 0)
    before = cumulative[row, found] - inside
    position = found + np.divide(half - before, inside, out=np.zeros_like(half), where=inside > 0)
    return np.where(defined, position / BINS_PER_DEGREE["angle_histogram"], np.nan)


METRICS: tuple[Metric, ...] = (
    PixelMean("angle_mean", "deg", False, statistic="angle_sums", total="angle", smooth="angle"),
    AngleMedian("angle_median", "deg", False),
    *(
        PixelMean(name, "%", True, statistic="angle_sums", total=name, scale=100, smooth=f"beyond_{most:g}_degrees")
        for name, most in WITHIN.items()
    ),
    PixelMean("cosine_similarity", "1", True, statistic="cosine_sums", total="cosine", smooth="cosine"),
)
