"""Metrics as in arXiv 2305.12066: statistics of images, and their reduction to numbers.

`measure` (torch) turns a batch into additive statistics. `METRICS` (NumPy only) turns the statistics of a
split into numbers, for the whole split or for bootstrap samples of its images, in two score sets: ``paper``
follows the reference implementation, ``standard`` accumulates over all pixels of the split.

To add a metric, add it to a ``METRICS`` tuple of this package and name it in `mtlbench.tasks`; if it needs new sums,
add them to `layout` and `statistics`.
"""

from collections.abc import Sequence
from dataclasses import replace

from mtlbench.errors import UsageError
from mtlbench.metrics import attributes, classification, normals, regression, segmentation, spans
from mtlbench.metrics.base import PAPER_BATCH, Floats, Metric, PixelMean, Scores, Statistics
from mtlbench.metrics.regression import TARGETS_UNIT
from mtlbench.tasks import Task

__all__ = ["METRICS", "PAPER_BATCH", "Metric", "PixelMean", "Scores", "metrics_of", "statistics_of", "values"]

METRICS: dict[str, Metric] = {
    metric.name: metric
    for module in (segmentation, spans, normals, regression, classification, attributes)
    for metric in module.METRICS
}
"""Every metric by name, in table order."""

METRES = "m"
"""The unit of the published depth errors; other tasks have them in their own unit."""


def metrics_of(task: Task) -> tuple[Metric, ...]:
    """The metrics of `task`, in table order.

    Raises:
        UsageError: one is unknown.
    """
    return tuple(_metric(task, given) for given in task.metrics)


def _metric(task: Task, given: object) -> Metric:
    found = METRICS.get(given) if isinstance(given, str) else given
    if not isinstance(found, Metric):
        raise UsageError(f"metric {given} of task {task.name}: expected a Metric, or one of {', '.join(METRICS)}")
    unit = task.unit or {TARGETS_UNIT: "1"}.get(found.unit)
    return replace(found, unit=unit) if unit and found.unit in (TARGETS_UNIT, METRES) else found


def statistics_of(task: Task) -> tuple[str, ...]:
    """Names of the statistics that the metrics of `task` read, each once."""
    return tuple(dict.fromkeys(name for metric in metrics_of(task) for name in metric.statistics))


def values(
    tasks: Sequence[Task],
    statistics: Statistics,
    weights: Floats,
    scores: Scores,
    batch: int = PAPER_BATCH,
) -> dict[tuple[str, str], Floats]:
    """Every metric of every task.

    Args:
        tasks: what was measured.
        statistics: ``<task>/<statistic>`` -> [N, k] per image, in dataset order, or [k] pooled.
        weights: [R, N], how often each image counts.
        scores: ``paper`` or ``standard``.
        batch: images in a batch of the reference (`paper` only).

    Returns:
        (task, metric) -> [R].
    """
    result = {}
    for task in tasks:
        own = {name: statistics[f"{task.name}/{name}"] for name in statistics_of(task)}
        for metric in metrics_of(task):
            result[task.name, metric.name] = metric.value(own, weights, scores, batch)
    return result
