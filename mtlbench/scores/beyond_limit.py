"""Accuracy that no classifier can have: where theory knows a limit, an attack that leaves more has failed.

Sources of the limits: the datasets that know them (`MultiTaskDataset.limits`); on clusters, no classifier keeps more
than 1 - min(K1, K - K1) / K at the l2 radius sqrt(2) / 2 (Min and Vidal 2025, proposition 1). That is of the whole
distribution. A constant classifier keeps the most frequent class at every radius, so where the very inputs have more
of it than the distribution, their share is the limit. With K = 2 and eps within the noise of that radius, chance
may lift a sound cell above it.
"""

import numpy as np

from mtlbench.storage.store import Cell

ACCURACY, MOST = "accuracy_left", "accuracy_limit"
"""Columns of the checks: of the attacked task that is the furthest above its limit."""

COUNTS = "class_counts"
ROUNDING = 1e-9
"""7/12 is above 1 - 5/12 in float64."""


def beyond_limit(cell: Cell) -> dict[str, float]:
    """The columns `ACCURACY` and `MOST` of a cell; empty where no attacked task exceeds a limit at its radius."""
    found = [
        (kept, limit)
        for task, (radius, most) in (cell.provenance.get("limits") or {}).items()
        if cell.identity.get("norm") == "l2" and cell.identity["eps"] >= radius
        if task in (cell.identity.get("tasks") or ())
        for kept, frequent in [_shares(cell, task)]
        if kept > (limit := max(most, frequent)) + ROUNDING
    ]
    if not found:
        return {}
    kept, limit = max(found, key=lambda one: one[0] - one[1])
    return {ACCURACY: kept, MOST: limit}


def _shares(cell: Cell, task: str) -> tuple[float, float]:
    """Of all inputs, those that are classified correctly, and those of the most frequent class."""
    correct, truth, _ = np.split(cell.arrays[f"{task}/{COUNTS}"].sum(0), 3)
    return float(correct.sum() / truth.sum()), float(truth.max() / truth.sum())
