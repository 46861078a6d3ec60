"""How much damage does a gradient do, and when is an attack done? ARP over steps, for every step rule."""

import pandas as pd

from mtlbench.scores.wide import block, levels
from mtlbench.studies.base import MODEL, Evidence, Study, Table, arranged, labels, of_other_seeds, tidy
from mtlbench.studies.plot import ARP, Axis, Plot

SAME = (*MODEL, "method", "eps")


def steps(evidence: Evidence) -> Study:
    """ARP of each step rule and number of steps.

    ``short_percent`` is how much less ARP it has than the strongest rule and number of steps on the same model, images
    and eps, in percent of that; ``twice_gains_percent`` how much more the same rule has with twice the steps, in
    percent of its own ARP, NaN where nobody tried.
    """
    arps = evidence.arps
    keys = levels(arps).assign(arp_percent=block(arps)[:, 0])
    keys["method"] = labels(keys)
    same = [name for name in SAME if name in keys]
    best = keys.groupby(same, dropna=False)["arp_percent"].transform("max")
    why = of_other_seeds(keys.assign(what=keys["step"] + " " + keys["steps"].astype(str)), same, "what")
    short = (100 * (1 - keys["arp_percent"] / best)).where(why == "")
    table = tidy(arps, "arp_percent", method=keys["method"], short_percent=short)
    table["status"] = table["status"].where(why == "", why)
    table["twice_gains_percent"] = _gain_of_twice(keys, [*same, "step"])
    columns = [
        *("dataset", "model", "training", "sharing", "method", "eps", "step", "steps", "seeds", "n_images", "scores")
    ]
    values = ["arp_percent", "ci_low", "ci_high", "short_percent", "twice_gains_percent"]
    table = arranged(table, columns, values)
    plot = Plot(
        "steps", "ARP over the number of gradient steps", table, "line",
        Axis("steps", "gradient steps"), ARP, "step", panel=("sharing", "method", "eps"),
    )  # fmt: skip
    return Study((Table("steps", "ARP over steps, for every step rule", table),), (plot,))


def _gain_of_twice(keys: pd.DataFrame, same: list[str]) -> pd.Series:
    """Percent of each row's ARP that the row with twice its steps, and all else equal, has more."""
    twice = keys.assign(steps=keys["steps"] / 2).drop_duplicates([*same, "steps"])
    found = (
        keys[[*same, "steps"]].astype({"steps": float}).merge(twice, how="left", on=[*same, "steps"])["arp_percent"]
    )
    return 100 * (found / keys["arp_percent"] - 1)
