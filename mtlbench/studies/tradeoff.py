"""Is a tree that is accurate also fragile? Clean accuracy against ARP over the sharing trees."""

import numpy as np

from mtlbench.scores import accuracy_lost, over_seeds
from mtlbench.scores.wide import OK, levels
from mtlbench.studies.base import MODEL, Evidence, Plot, Study, Table, arranged, labels, tidy

NAMES = ["dataset", "model", "training", "sharing", "shared_blocks", "tree", "attack", "step", "steps", "eps"]


def tradeoff(evidence: Evidence) -> Study:
    """Clean accuracy lost against single-task models, and ARP, of every tree; which trees nothing else beats in both.

    `pareto` marks trees of which no other has less of both, by the mean values.
    """
    lost = tidy(over_seeds(accuracy_lost(evidence.metrics, "independent")), "clean_lost_percent")
    lost = lost.rename(columns={"ci_low": "lost_low", "ci_high": "lost_high", "status": "lost_status"})
    attacked = tidy(evidence.arps, "arp_percent", label=labels(levels(evidence.arps)))
    attacked = attacked.drop(columns="attack").rename(columns={"label": "attack"})
    values = ["clean_lost_percent", "lost_low", "lost_high"]
    table = attacked.merge(lost[[*MODEL, *values, "lost_status"]], how="left", on=list(MODEL))
    table["status"] = table["status"].where(table["status"] != OK, table.pop("lost_status").fillna("no clean result"))
    together = [name for name in table if name in (*MODEL, *NAMES, "target", "options")]
    together = [name for name in together if name not in ("sharing", "shared_blocks", "tree")]
    table["pareto"] = False
    for _, group in table.groupby(together, dropna=False):
        table.loc[group.index, "pareto"] = _pareto(group[["clean_lost_percent", "arp_percent"]].to_numpy())
    table = arranged(
        table, [*NAMES, "seeds", "n_images", "scores"], [*values, "arp_percent", "ci_low", "ci_high", "pareto"]
    )
    plot = Plot(
        "tradeoff", table, "point", "clean_lost_percent", "arp_percent", "sharing", ("attack", "eps"),
        "Clean accuracy lost against single-task models, and ARP", ("clean accuracy lost, %", "ARP, %"),
    )  # fmt: skip
    return Study(
        (Table("tradeoff", "Clean accuracy lost against single-task models, and ARP, percent", table),), (plot,)
    )


def _pareto(points: np.ndarray) -> np.ndarray:
    """Which of the points [n, 2] no other is at least as low as in both and lower in one; NaN never is."""
    if not len(points):
        return np.zeros(0, bool)
    no_worse = (points[:, None] <= points[None]).all(2)
    better = (points[:, None] < points[None]).any(2)
    return ~(no_worse & better).any(0) & ~np.isnan(points).any(1)
