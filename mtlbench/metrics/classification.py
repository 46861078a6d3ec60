"""Bounded metrics of classification per image, from the counts of each class.

Both score sets agree. Only classes in the ground truth are averaged, as in mIoU, because an attack cannot change this
set. (scikit-learn's macro F1 also averages predicted classes.)
"""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from mtlbench.metrics.base import PAPER_BATCH, Floats, Metric, Scores, Statistics, divide


@dataclass(frozen=True)
class _OfCounts(Metric):
    """A metric of the counts of classes, each [R, C]: predicted correctly, in the truth, predicted."""

    statistics = ("class_counts",)

    def value(self, statistics: Statistics, weights: Floats, scores: Scores, batch: int = PAPER_BATCH) -> Floats:
        """See `Metric.value`; a fraction."""
        return self.of(*np.split(weights @ statistics["class_counts"], 3, axis=1))

    @abstractmethod
    def of(self, correct: Floats, truth: Floats, predicted: Floats) -> Floats:
        """[R]."""


@dataclass(frozen=True)
class Accuracy(_OfCounts):
    """Share of images whose class is predicted correctly."""

    smooth = "one_minus_p"

    def of(self, correct: Floats, truth: Floats, predicted: Floats) -> Floats:
        """See `_OfCounts`."""
        return divide(correct.sum(1), truth.sum(1))


@dataclass(frozen=True)
class Error(_OfCounts):
    """Share of images whose class is predicted wrongly. Its relative rise has no limit as the clean one goes to 0."""

    smooth = "one_minus_p"

    def of(self, correct: Floats, truth: Floats, predicted: Floats) -> Floats:
        """See `_OfCounts`."""
        return divide((truth - correct).sum(1), truth.sum(1))


@dataclass(frozen=True)
class BalancedAccuracy(_OfCounts):
    """Mean over the classes in the ground truth of their recall."""

    smooth = "soft_recall"

    def of(self, correct: Floats, truth: Floats, predicted: Floats) -> Floats:
        """See `_OfCounts`."""
        return _mean(divide(correct, truth), truth)


@dataclass(frozen=True)
class MacroF1(_OfCounts):
    """Mean over the classes in the ground truth of F1, the harmonic mean of precision and recall."""

    smooth = "soft_f1"

    def of(self, correct: Floats, truth: Floats, predicted: Floats) -> Floats:
        """See `_OfCounts`."""
        return _mean(divide(2 * correct, truth + predicted), truth)


def _mean(of_class: Floats, truth: Floats) -> Floats:
    """The mean over the classes that occur, [R]; NaN if none occurs or a count is NaN."""
    occurs = truth != 0
    return divide(np.where(occurs, of_class, 0).sum(1), occurs.sum(1))


METRICS: tuple[Metric, ...] = (
    Accuracy("accuracy", "1", True),
    Error("error", "1", False),
    BalancedAccuracy("balanced_accuracy", "1", True),
    MacroF1("macro_f1", "1", True),
)
