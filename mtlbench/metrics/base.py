"""What a metric is: statistics of N images to one number, for R weightings of the images. No torch."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mtlbench.metrics.layout import column

Floats = NDArray[np.float64]
Statistics = Mapping[str, NDArray[Any]]
Scores = Literal["paper", "standard"]

PAPER_BATCH = 16
"""Batch size of the reference, over whose batches the score set `paper` averages."""


@dataclass(frozen=True)
class Metric(ABC):
    """One number of one task, with its unit and direction.

    Args:
        name: as in `Task.metrics`.
        unit: of the value; "1" for a pure number.
        higher_is_better: the direction.
    """

    name: str
    unit: str
    higher_is_better: bool

    @property
    @abstractmethod
    def statistics(self) -> tuple[str, ...]:
        """Names of the statistics that `value` reads."""

    @abstractmethod
    def value(self, statistics: Statistics, weights: Floats, scores: Scores, batch: int = PAPER_BATCH) -> Floats:
        """The metric, once for each row of `weights`.

        Args:
            statistics: name -> [N, k] per image, in dataset order, or [k] pooled.
            weights: [R, N], how often each image counts: ones for the value itself, a bootstrap's
                counts otherwise.
            scores: ``standard`` divides once, over all pixels; ``paper`` follows the reference implementation
                of arXiv 2305.12066, quirks included.
            batch: images in a batch of the reference (`paper` only).

        Returns:
            [R]; NaN where no pixel counts.
        """


@dataclass(frozen=True)
class PixelMean(Metric):
    """The mean of something over pixels: two columns of one statistic, divided.

    Args:
        statistic: the statistic.
        total: its column to divide; `paper_total` replaces it in the score set `paper`.
        count: its column to divide by.
        scale: 100 for percent.
        paper_batches: in the score set `paper`, average the means of batches, weighted by their images.
    """

    statistic: str
    total: str
    count: str = "count"
    paper_total: str = ""
    scale: float = 1.0
    paper_batches: bool = False

    @property
    def statistics(self) -> tuple[str, ...]:
        """The one statistic."""
        return (self.statistic,)

    def value(self, statistics: Statistics, weights: Floats, scores: Scores, batch: int = PAPER_BATCH) -> Floats:
        """See `Metric.value`."""
        total = self.paper_total or self.total if scores == "paper" else self.total
        sums = statistics[self.statistic]
        mean = batch_mean if scores == "paper" and self.paper_batches else pixel_mean
        return self.scale * mean(
            sums[:, column(self.statistic, total)],
            sums[:, column(self.statistic, self.count)],
            weights,
            batch,
        )


def pixel_mean(totals: Floats, counts: Floats, weights: Floats, batch: int) -> Floats:
    """All totals [N] over all counts [N], for each row of weights [R, N]: [R]; `batch` changes nothing."""
    return divide(weights @ totals, weights @ counts)


def batch_mean(totals: Floats, counts: Floats, weights: Floats, batch: int) -> Floats:
    """The mean of the means of groups of `batch` consecutive images, weighted by images: [R].

    A group without a counting pixel has no mean and takes no part.
    """
    starts = np.arange(0, len(totals), batch)
    group_totals = np.add.reduceat(weights * totals, starts, axis=1)
    group_counts = np.add.reduceat(weights * counts, starts, axis=1)
    images = np.add.reduceat(weights, starts, axis=1)
    used = group_counts != 0
    means = divide(group_totals, np.where(used, group_counts, 1))
    return divide(np.where(used, images * means, 0).sum(1), np.where(used, images, 0).sum(1))


def divide(numerator: Floats, denominator: Floats) -> Floats:
    """The quotient, NaN where the denominator is zero."""
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator != 0)
