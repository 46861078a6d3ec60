"""How much damage does a gradient do? ARP over the number of steps, for every step rule."""

import pandas as pd

from mtlbench.scores.wide import block, levels
from mtlbench.studies.base import Evidence, Plot, Study, Table, arranged, labels, tidy

SAME = ("dataset", "fingerprint", "model", "training", "sharing", "tree", "seeds", "scores", "method", "eps")


def steps(evidence: Evidence) -> Study:
    """ARP of each step rule and number of steps, and what is missing to the strongest of the same attack.

    ``short_percent`` is how much less ARP it has than the strongest rule and number of steps on the same model, images
    and eps, in percent of that.
    """
    arps = evidence.arps
    keys = levels(arps).assign(arp_percent=block(arps)[:, 0])
    keys["method"] = labels(keys)
    same = [name for name in SAME if name in keys]
    best = keys.groupby(same, dropna=False)["arp_percent"].transform("max")
    table = tidy(arps, "arp_percent", method=keys["method"], short_percent=100 * (1 - keys["arp_percent"] / best))
    columns = [
        *("dataset", "model", "training", "sharing", "method", "eps", "step", "steps", "seeds", "n_images", "scores")
    ]
    table = arranged(table, columns, ["arp_percent", "ci_low", "ci_high", "short_percent"])
    plot = Plot(
        "steps", table.assign(panel=_panel(table)), "line", "steps", "arp_percent", "step", ("panel", "eps"),
        "ARP over the number of gradient steps", ("steps", "ARP, %"), log=True,
    )  # fmt: skip
    return Study((Table("steps", "ARP over steps, for every step rule", table),), (plot,))


def _panel(table: pd.DataFrame) -> pd.Series:
    """Model and attack, as far as they differ."""
    names = [name for name in ("dataset", "training", "sharing", "method") if table[name].nunique() > 1]
    return table[names or ["method"]].agg(", ".join, axis=1)
