"""Smooth log: DGBA on what is reported."""

from mtlbench.attacks.objectives.base import METRICS
from mtlbench.attacks.objectives.dgba import DGBA


class SmoothLog(DGBA):
    """Sum over the tasks of the logarithm of their smooth levels over their clean values: no task starves. Ours.

    Where a task's only metric is its loss, this is `DGBA`.
    """

    name, climbs = "smooth_log", METRICS
