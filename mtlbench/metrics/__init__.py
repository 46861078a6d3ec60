"""Metrics as in arXiv 2305.12066: statistics of images, and their reduction to numbers.

`measure` (torch) turns a batch into additive statistics. `METRICS` (NumPy only) turns the statistics of a
split into numbers, for the whole split or for bootstrap samples of its images, in two score sets: ``paper``
follows the reference implementation, ``standard`` accumulates over all pixels of the split.

To add a metric, add it to a ``METRICS`` tuple of this package and name it in `mtlbench.tasks`; what it sums,
if that is new, goes into `layout` and `statistics`.
"""

from collections.abc import Sequence

from mtlbench.metrics import normals, regression, segmentation
from mtlbench.metrics.base import PAPER_BATCH, Floats, Metric, PixelMean, Scores, Statistics
from mtlbench.tasks import Task

__all__ = ["METRICS", "PAPER_BATCH", "Metric", "PixelMean", "Scores", "statistics_of", "values"]

METRICS: dict[str, Metric] = {
    metric.name: metric for metric in (*segmentation.METRICS, *normals.METRICS, *regression.METRICS)
}
"""Every metric by name, in table order."""


def statistics_of(task: Task) -> tuple[str, ...]:
    """Names of the statistics that the metrics of `task` read, each once."""
    return tuple(dict.fromkeys(name for metric in task.metrics for name in METRICS[metric].statistics))


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
        for name in task.metrics:
            result[task.name, name] = METRICS[name].value(own, weights, scores, batch)
    return result
