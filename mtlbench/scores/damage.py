"""How much an attack hurts: each metric (relative drop), each task (damage), all of them (ARP)."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlbench.errors import DataError
from mtlbench.metrics import METRICS
from mtlbench.scores.wide import OK, SAME_MODEL, Block, block, levels, match, mean_over, with_status

MIN_CLEAN = 1e-6
"""A drop relative to a smaller clean value is undefined."""


def relative_drops(metrics: pd.DataFrame) -> pd.DataFrame:
    """Relative drop s (c - a) / |c| of every attacked row, s = 1 if higher is better, else -1.

    The clean value c stands in the row with ``attack == "none"`` and ``eps == 0`` that agrees in task, metric
    and `SAME_MODEL`.
    """
    drops, _ = drops_and_clean(metrics)
    return drops[drops.index.get_level_values("attack") != "none"]


def damage(drops: pd.DataFrame) -> pd.DataFrame:
    """Damage of each task in percent: the mean relative drop of its metrics."""
    return mean_over("metric", 100 * drops, lambda metric, why: f"{metric}: {why}", "; ")


def arp(damages: pd.DataFrame) -> pd.DataFrame:
    """ARP of each cell in percent: the mean damage of its tasks, NaN if that of any task is."""
    result = mean_over("task", damages, lambda task, why: f"{task} ({why})", ", ")
    status = result.index.get_level_values("status")
    return with_status(result, (OK if text == OK else f"undefined: {text}" for text in status))


def drops_and_clean(metrics: pd.DataFrame) -> tuple[pd.DataFrame, Block]:
    """Relative drops of all rows, the clean ones included, and the clean values [rows, 1 + R]."""
    keys = levels(metrics)
    rows, found = _clean_rows(keys)
    a = block(metrics)
    c = np.where((found == 1)[:, None], a[rows], np.nan)
    sign = np.where(higher_is_better(keys["metric"]), 1.0, -1.0)[:, None]
    usable = np.abs(c) >= MIN_CLEAN
    drops = sign * (c - a) / np.where(usable, np.abs(c), np.nan)
    status = np.select(
        [found == 0, found > 1, np.isnan(c[:, 0]), ~usable[:, 0], np.isnan(a[:, 0])],
        [
            "no clean result",
            "several clean results",
            "no clean value",
            "clean value is 0",
            "no attacked value",
        ],
        OK,
    )
    return with_status(pd.DataFrame(drops, metrics.index, metrics.columns), status), c


def higher_is_better(names: pd.Series) -> NDArray[np.bool_]:
    """The direction of each metric.

    Raises:
        DataError: a name is no metric.
    """
    unknown = sorted(set(names) - set(METRICS))
    if unknown:
        raise DataError(f"metric {unknown[0]!r} in the results is unknown; known are {', '.join(METRICS)}")
    return np.array([METRICS[name].higher_is_better for name in names], dtype=bool)


def _clean_rows(keys: pd.DataFrame) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each row the position of its clean row (0 if there is none), and how many there are."""
    on = [name for name in (*SAME_MODEL, "task", "metric") if name in keys]
    clean = keys.assign(row=np.arange(len(keys)))[(keys["attack"] == "none") & (keys["eps"] == 0)]
    row, found = match(keys, clean, on, "row")
    return np.where(found > 0, row, 0).astype(np.intp), found
