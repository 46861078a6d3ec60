"""What a cell stores of a metric that `METRICS` does not know, and the metric again: a report needs no plugin for it.

A quotient (`PixelMean`) is data. Any other metric is a class of a plugin, which the report must be given; nothing is
imported because a cell names it, only modules that are loaded already are looked into.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from mtlbench.errors import DataError, UsageError
from mtlbench.metrics import METRICS, metrics_of
from mtlbench.metrics.base import RATIO, Metric, PixelMean
from mtlbench.options import is_number
from mtlbench.tasks import Task

TYPES: Mapping[str, type] = {
    "name": str,
    "unit": str,
    "statistic": str,
    "paper_total": str,
    "higher_is_better": bool,
    "paper_batches": bool,
    "root": bool,
}
"""Fields of a quotient and what they must be."""


def formulas_of(tasks: Sequence[Task]) -> dict[str, dict[str, Any]]:
    """Task -> metric -> description, of the metrics that are not those of `METRICS`."""
    found = {
        task.name: {metric.name: metric.described() for metric in metrics_of(task) if metric != _built_in(metric.name)}
        for task in tasks
    }
    return {name: described for name, described in found.items() if described}


def _built_in(name: str) -> Metric | None:
    """What the name alone stands for."""
    return metrics_of(Task("", 0, "", (name,)))[0] if name in METRICS else None


def rebuilt(task: str, metric: str, described: Mapping[str, Any] | None) -> str | Metric:
    """A metric of a stored cell: its name where it is built in, what was `described` otherwise.

    Raises:
        DataError: it is the class of a plugin that is not loaded; the message names it.
        ValueError: the description is not what `formulas_of` writes.
    """
    if described is None:
        return metric
    fields = {name: value for name, value in described.items() if name not in ("formula", "computed_by")}
    if fields.get("name") != metric:
        raise ValueError(f"metric {metric} of {task} is described under the name {fields.get('name')}")
    if described["formula"] == RATIO:
        wrong = [name for name, kind in TYPES.items() if not isinstance(fields.get(name), kind)]
        if wrong or not is_number(fields.get("scale")):
            raise ValueError(f"metric {metric} of {task}: {(*wrong, 'scale')[0]} is not what a quotient has")
        try:
            return PixelMean(**fields)
        except UsageError as error:
            raise ValueError(str(error)) from error
    module, _, name = str(described["formula"]).partition(":")
    kind = getattr(sys.modules.get(module), name, None)
    if not (isinstance(kind, type) and issubclass(kind, Metric)):
        raise DataError(
            f"metric {metric} of task {task} is computed by {described['formula']}, which is not loaded: "
            f"name its module, plugins=[{module.partition('.')[0]}]"
        )
    found: Metric = kind(**fields)
    return found
