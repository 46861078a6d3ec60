"""Metrics of binary attributes per image. Both score sets agree; unknown labels are ignored.

Each is the mean over the attributes for which it is defined: F1 and average precision need a label 1, the area under
the curve a label 0 as well.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mtlbench.metrics.base import PAPER_BATCH, Floats, Metric, Scores, Statistics, divide


@dataclass(frozen=True)
class LabelAccuracy(Metric):
    """Mean over attributes of the share of images whose label is predicted correctly."""

    statistics = ("label_counts",)
    smooth = "wrong_labels"

    def value(self, statistics: Statistics, weights: Floats, scores: Scores, batch: int = PAPER_BATCH) -> Floats:
        """See `Metric.value`; a fraction."""
        hit, _, false_positive, false_negative = np.split(weights @ statistics["label_counts"], 4, axis=1)
        return _mean_of_defined(divide(hit, hit + false_positive + false_negative), broken=np.isnan(hit))


@dataclass(frozen=True)
class LabelF1(Metric):
    """Mean over attributes of F1 of the label 1."""

    statistics = ("label_counts",)
    stand_in = "wrong_labels"

    def value(self, statistics: Statistics, weights: Floats, scores: Scores, batch: int = PAPER_BATCH) -> Floats:
        """See `Metric.value`; a fraction."""
        _, positive, false_positive, false_negative = np.split(weights @ statistics["label_counts"], 4, axis=1)
        f1 = divide(2 * positive, 2 * positive + false_positive + false_negative)
        occurs = positive + false_negative != 0
        return _mean_of_defined(np.where(occurs, f1, np.nan), broken=np.isnan(positive))


@dataclass(frozen=True)
class _Ranking(Metric):
    """A ranking metric of the logits of each attribute; equal logits share one threshold."""

    statistics = ("label_scores",)
    stand_in = "wrong_labels"

    def value(self, statistics: Statistics, weights: Floats, scores: Scores, batch: int = PAPER_BATCH) -> Floats:
        """See `Metric.value`; a fraction."""
        logits, labels = np.split(statistics["label_scores"], 2, axis=1)
        pairs = zip(logits.T, labels.T, strict=True)
        found = np.stack([_ranked(logit, label, weights, self.area) for logit, label in pairs], axis=1)
        broken = weights @ (np.isnan(logits) & ~np.isnan(labels)) > 0
        return _mean_of_defined(found, broken)

    @abstractmethod
    def area(self, true: Floats, false: Floats) -> Floats:
        """From positives and negatives above each threshold [R, K], highest first, to the metric [R]."""


@dataclass(frozen=True)
class MeanAP(_Ranking):
    """Average precision, the sum over thresholds of precision times the rise in recall (no interpolation)."""

    def area(self, true: Floats, false: Floats) -> Floats:
        """See `_Ranking`."""
        rise = np.diff(true, prepend=0, axis=1)
        return divide((rise * divide(true, true + false, 0)).sum(1), true[:, -1])


@dataclass(frozen=True)
class AUROC(_Ranking):
    """Area under the ROC curve: the probability that a 1 is ranked above a 0, ties counting half."""

    def area(self, true: Floats, false: Floats) -> Floats:
        """See `_Ranking`."""
        rise = np.diff(false, prepend=0, axis=1)
        below = np.concatenate([np.zeros_like(true[:, :1]), true[:, :-1]], axis=1)
        return divide((rise * (true + below) / 2).sum(1), true[:, -1] * false[:, -1])


def _ranked(logits: Floats, labels: Floats, weights: Floats, area: Callable[[Floats, Floats], Floats]) -> Floats:
    """`area` for logits and labels [N] and each row of weights [R, N]: [R]."""
    order = np.flatnonzero(~np.isnan(labels) & ~np.isnan(logits))
    if not len(order):
        return np.full(len(weights), np.nan)
    order = order[np.argsort(-logits[order], kind="stable")]
    sorted_logits = logits[order]
    ends = np.append(np.flatnonzero(sorted_logits[1:] != sorted_logits[:-1]), len(order) - 1)
    drawn, one = weights[:, order], labels[order] == 1
    return area(np.cumsum(drawn * one, axis=1)[:, ends], np.cumsum(drawn * ~one, axis=1)[:, ends])


def _mean_of_defined(of_attribute: Floats, broken: np.ndarray) -> Floats:
    """Mean over the non-NaN attributes [R, A]: [R]; NaN if all are NaN, or a prediction is `broken`."""
    defined = ~np.isnan(of_attribute)
    mean = divide(np.where(defined, of_attribute, 0).sum(1), defined.sum(1))
    return np.where(broken.any(1), np.nan, mean)


METRICS: tuple[Metric, ...] = (
    LabelAccuracy("label_accuracy", "1", True),
    LabelF1("label_f1", "1", True),
    MeanAP("mean_ap", "1", True),
    AUROC("auroc", "1", True),
)
