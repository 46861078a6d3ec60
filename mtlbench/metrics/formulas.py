"""Stores metrics that are not built in with a cell and rebuilds them, so that a report needs no plugin for quotients.

A quotient (`PixelMean`) is data. Any other metric is a class of a plugin, which must be given to the report; nothing
is imported because a cell names it, only modules that are already loaded are searched.
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
"""Fields of a quotient and their types."""


def formulas_of(tasks: Sequence[Task]) -> dict[str, dict[str, Any]]:
    """Task -> metric -> description, for the metrics that are not in `METRICS`."""
    found = {
        task.name: {metric.name: metric.described() for metric in metrics_of(task) if metric != _built_in(metric.name)}
        for task in tasks
    }
    return {name: described for name, described in found.items() if described}


def _built_in(name: str) -> Metric | None:
    """The built-in metric of this name."""
    return metrics_of(Task("", 0, "", (name,)))[0] if name in METRICS else None


def rebuilt(task: str, metric: str, described: Mapping[str, Any] | None) -> str | Metric:
    """A metric of a stored cell, by its name if built in, otherwise rebuilt from `described`.

    Raises:
        DataError: its class is in a plugin that is not loaded; the message names it.
        ValueError: the description was not written by `formulas_of`.
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
