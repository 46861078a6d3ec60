"""The interface of a metric: from statistics of N images to one number, for R weightings of the images. No torch."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mtlbench.errors import UsageError
from mtlbench.identity import dotted
from mtlbench.metrics.layout import COLUMNS, NAMES, column
from mtlbench.tasks import Loss

Compute = Callable[[Any, Any, Any], Any]
"""Torch: (prediction [B, C, H, W] at the target's size, target [B, c, H, W], mask [B, 1, H, W]) -> sums [B, k]."""

Floats = NDArray[np.float64]
Statistics = Mapping[str, NDArray[Any]]
Scores = Literal["paper", "standard"]

RATIO = "ratio"
"""The stored name of the formula of a `PixelMean`."""

PAPER_BATCH = 16
"""Batch size of the reference; the score set `paper` averages over such batches."""


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
    def computed(self) -> Mapping[str, Compute]:
        """Statistics that the metric defines itself: name -> function; empty for built-in metrics."""
        return {}

    def described(self) -> dict[str, Any]:
        """The metric as JSON values: its class as ``module:name``, and its fields; see `formulas.rebuilt`."""
        return {"formula": dotted(self)} | {f.name: getattr(self, f.name) for f in fields(self)}

    @property
    def smooth(self) -> str | Loss | None:
        """A differentiable level of the metric per image, which an attack may climb; None: it has none.

        A key of `mtlbench.engine.losses.LOSSES`, or a function of that signature. It is the metric itself where lower
        is better, else what is missing to the best value, in the metric's unit, bounded where the metric is. Logits
        come in thirds of their spread on the clean image.
        """
        return None

    @property
    def stand_in(self) -> str | None:
        """Of a metric of a set of images, which has no level of one image: the level of another metric in its place.

        A name in `mtlbench.engine.losses.LOSSES`, bounded as the metric is. Without one the task's loss takes its
        place, which of a confident task may rise without limit, so that nothing is left for the other tasks.
        """
        return None

    @property
    @abstractmethod
    def statistics(self) -> tuple[str, ...]:
        """Names of the statistics that `value` reads."""

    @abstractmethod
    def value(self, statistics: Statistics, weights: Floats, scores: Scores, batch: int = PAPER_BATCH) -> Floats:
        """The value of the metric for each row of `weights`.

        Args:
            statistics: name -> [N, k] per image, in dataset order, or [k] pooled.
            weights: [R, N], how often each image counts: ones for the value itself, or the counts of a bootstrap.
            scores: ``standard`` divides once, over all pixels; ``paper`` follows the reference implementation
                of arXiv 2305.12066, quirks included.
            batch: images in a batch of the reference (`paper` only).

        Returns:
            [R]; NaN without valid pixels.
        """


@dataclass(frozen=True)
class PixelMean(Metric):
    """A mean over pixels or images: the quotient of two columns of one statistic. Pure data, no code.

    Args:
        statistic: the statistic.
        total: its column that is the numerator, by name or number; `paper_total` replaces it in the score set `paper`.
        count: its column that is the denominator.
        scale: 100 for percent.
        paper_batches: in the score set `paper`, average the means of batches, weighted by their images.
        root: take the square root of the quotient.
        compute: function that computes the statistic if it is not built in; columns are then numbers.
        smooth: see `Metric.smooth`.
    """

    statistic: str
    total: str | int
    count: str | int = "count"
    paper_total: str = ""
    scale: float = 1.0
    paper_batches: bool = False
    root: bool = False
    compute: Compute | None = field(default=None, compare=False)
    smooth: str | Loss | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        own = self.statistic not in COLUMNS
        if own and not self.statistic.isidentifier():
            raise UsageError(f"metric {self.name}: statistic {self.statistic!r}: expected a plain name")
        if self.compute is not None and self.statistic in NAMES:
            raise UsageError(f"metric {self.name}: statistic {self.statistic} is mtlbench's; expected another name")
        for given in (self.total, self.count):
            number = isinstance(given, int) and not isinstance(given, bool) and given >= 0
            if not (number if own else isinstance(given, str) and given in COLUMNS[self.statistic]):
                expected = "a number from 0" if own else f"one of {', '.join(COLUMNS[self.statistic])}"
                raise UsageError(f"metric {self.name}: column {given!r} of {self.statistic}: expected {expected}")

    @property
    def statistics(self) -> tuple[str, ...]:
        """The one statistic."""
        return (self.statistic,)

    @property
    def computed(self) -> Mapping[str, Compute]:
        """See `Metric.computed`."""
        return {} if self.compute is None else {self.statistic: self.compute}

    def described(self) -> dict[str, Any]:
        """The quotient, which can be rebuilt without code; the function of its statistic is recorded too."""
        found: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self) if f.compare}
        return {"formula": RATIO, **found} | ({} if self.compute is None else {"computed_by": dotted(self.compute)})

    def value(self, statistics: Statistics, weights: Floats, scores: Scores, batch: int = PAPER_BATCH) -> Floats:
        """See `Metric.value`."""
        total = self.paper_total or self.total if scores == "paper" else self.total
        sums = statistics[self.statistic]
        mean = batch_mean if scores == "paper" and self.paper_batches else pixel_mean
        quotient = mean(sums[:, self._column(total)], sums[:, self._column(self.count)], weights, batch)
        return self.scale * (np.sqrt(quotient) if self.root else quotient)

    def _column(self, given: str | int) -> int:
        return given if isinstance(given, int) else column(self.statistic, given)


def pixel_mean(totals: Floats, counts: Floats, weights: Floats, batch: int) -> Floats:
    """Sum of totals [N] over sum of counts [N], for each row of weights [R, N]: [R]; `batch` has no effect."""
    return divide(weights @ totals, weights @ counts)


def batch_mean(totals: Floats, counts: Floats, weights: Floats, batch: int) -> Floats:
    """The mean over groups of `batch` consecutive images of their means, weighted by images: [R].

    A group without a valid pixel is left out.
    """
    starts = np.arange(0, len(totals), batch)
    group_totals = np.add.reduceat(weights * totals, starts, axis=1)
    group_counts = np.add.reduceat(weights * counts, starts, axis=1)
    images = np.add.reduceat(weights, starts, axis=1)
    used = group_counts != 0
    means = divide(group_totals, np.where(used, group_counts, 1))
    return divide(np.where(used, images * means, 0).sum(1), np.where(used, images, 0).sum(1))


def divide(numerator: Floats, denominator: Floats, otherwise: float = np.nan) -> Floats:
    """The quotient; NaN, or `otherwise`, if the denominator is zero."""
    out = np.full(np.shape(numerator), float(otherwise))
    return np.divide(numerator, denominator, out=out, where=denominator != 0)
