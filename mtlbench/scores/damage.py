"""The effect of an attack on each metric (relative drop), each task (damage) and all tasks (ARP)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlbench.constants import MIN_CLEAN, NO_ATTACK
from mtlbench.errors import DataError
from mtlbench.metrics import METRICS
from mtlbench.scores.wide import ABOUT_METRIC, OK, SAME_MODEL, Block, block, groups, levels, mean_over, with_status


def relative_drops(metrics: pd.DataFrame) -> pd.DataFrame:
    """Relative drop s (c - a) / |c| of every attacked row, s = 1 if higher is better, else -1.

    The clean value c stands in the row with ``attack == "none"`` and ``eps == 0`` that agrees in task, metric
    and `SAME_MODEL`.
    """
    drops, _ = drops_and_clean(metrics)
    return drops[drops.index.get_level_values("attack") != NO_ATTACK]


def damage(drops: pd.DataFrame) -> pd.DataFrame:
    """Damage of each task in percent: the mean relative drop of its metrics."""
    drops = drops.droplevel([name for name in ABOUT_METRIC if name in drops.index.names])
    return mean_over("metric", 100 * drops, lambda metric, why: f"{metric}: {why}", "; ")


def arp(damages: pd.DataFrame) -> pd.DataFrame:
    """ARP of each cell in percent: the mean damage of its tasks; NaN if the damage of any task is."""
    result = mean_over("task", damages, lambda task, why: f"{task} ({why})", ", ")
    status = result.index.get_level_values("status")
    return with_status(result, (OK if text == OK else f"undefined: {text}" for text in status))


def drops_and_clean(metrics: pd.DataFrame) -> tuple[pd.DataFrame, Block]:
    """Relative drops of all rows, the clean ones included, and the clean values [rows, 1 + R]."""
    keys = levels(metrics)
    clean = (keys["attack"] == NO_ATTACK) & (keys["eps"] == 0)
    return drops_from(metrics, clean, [*SAME_MODEL, "task", "metric"], ("clean", "attacked"))


def drops_from(
    metrics: pd.DataFrame, reference: pd.Series, on: Sequence[str], names: tuple[str, str]
) -> tuple[pd.DataFrame, Block]:
    """Relative drop of every row from its reference row, and the reference values [rows, 1 + R].

    Args:
        metrics: wide frame.
        reference: which rows are references, bool [rows].
        on: levels, if present, in which a row and its reference agree.
        names: what the reference and the row itself are called in a status.
    """
    group = groups(metrics.index, [name for name in on if name in metrics.index.names])
    known = np.flatnonzero(reference.to_numpy())
    number = group.max(initial=-1) + 1
    found, row = np.bincount(group[known], minlength=number)[group], np.zeros(number, np.intp)
    row[group[known]] = known  # of groups with one reference, the others are not used
    a = block(metrics)
    c = np.where((found == 1)[:, None], a[row[group]], np.nan)
    sign = np.where(higher_is_better(levels(metrics)), 1.0, -1.0)[:, None]
    usable = np.abs(c) >= MIN_CLEAN
    drops = sign * (c - a) / np.where(usable, np.abs(c), np.nan)
    first, second = names
    status = np.select(
        [found == 0, found > 1, np.isnan(c[:, 0]), ~usable[:, 0], np.isnan(a[:, 0])],
        [
            f"no {first} result",
            f"several {first} results",
            f"no {first} value",
            f"{first} value is 0",
            f"no {second} value",
        ],
        OK,
    )
    return with_status(pd.DataFrame(drops, metrics.index, metrics.columns), status), c


def higher_is_better(keys: pd.DataFrame) -> NDArray[np.bool_]:
    """The direction of the metric of each row.

    Raises:
        DataError: a metric is unknown.
    """
    return about_metric(keys, "higher_is_better").to_numpy(bool)


def about_metric(keys: pd.DataFrame, what: str) -> pd.Series:
    """``unit`` or ``higher_is_better`` of the metric of each row; from the frame, else from `METRICS`.

    Raises:
        DataError: a metric is unknown.
    """
    if what in keys:
        return keys[what]
    unknown = sorted(set(keys["metric"]) - set(METRICS))
    if unknown:
        raise DataError(f"metric {unknown[0]!r} in the results is unknown; known are {', '.join(METRICS)}")
    return keys["metric"].map(lambda name: getattr(METRICS[name], what))
