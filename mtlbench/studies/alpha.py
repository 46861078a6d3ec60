"""How strongly should a task's own loss down-weight it? ARP over the exponent of `power`: 0 is total, 1 is dgba."""

import json

import numpy as np
import pandas as pd

from mtlbench.scores import paired_difference
from mtlbench.scores.wide import OK, levels, replicates
from mtlbench.studies.base import MODEL, Evidence, Study, Table, arranged, attack_settings, tidy, units
from mtlbench.studies.plot import ARP, Axis, Plot

COMPARED = ["difference_to_1", "difference_low", "difference_high", "p_value", "seeds_needed"]


def alpha(evidence: Evidence) -> Study:
    """ARP for each alpha, its paired difference to alpha 1, and how often each alpha is the best.

    `best_share` is the share of bootstrap replicates in which that alpha has the highest ARP of all: one value near 1
    means a clear optimum, many small values a flat one.
    """
    arps = evidence.of(attack="power").arps
    keys = levels(arps)
    keys["alpha"] = [float(json.loads(options)["objective"]["alpha"]) for options in keys["options"]]
    keys["attack_settings"], keys["units"] = attack_settings(keys), units(keys)
    table = tidy(arps, "arp_percent", alpha=keys["alpha"])
    for _, group in keys.groupby(
        [*MODEL, "step", "steps", "eps", "attack_settings", "units"], dropna=False, sort=False
    ):
        rows = group.sort_values("alpha").index
        drawn = replicates(arps)[rows]
        if drawn.size and not np.isnan(drawn).any():
            table.loc[rows, "best_share"] = np.bincount(drawn.argmax(0), minlength=len(rows)) / drawn.shape[1]
        one = rows[group.loc[rows, "alpha"] == 1]
        if len(one) == 1:
            found = paired_difference(arps.iloc[rows], arps.iloc[np.repeat(one, len(rows))])
            table.loc[rows, COMPARED] = found.set_axis(COMPARED, axis=1).set_axis(rows)
        else:
            fine = rows[table.loc[rows, "status"] == OK]
            table.loc[fine, "status"] = f"{len(one) or 'no'} results with alpha 1 to compare with"
    values = ["difference_to_1", "difference_low", "difference_high", "p_value", "best_share"]
    for name in values:
        table[name] = table.get(name, np.nan)
    table["seeds_needed"] = table.get("seeds_needed", pd.Series("", table.index)).fillna("")
    names = ["dataset", "model", "training", "sharing", "step", "steps", "eps", "seeds", "n_images", "scores", "alpha"]
    table = arranged(table, names, ["arp_percent", "ci_low", "ci_high", *values])
    plot = Plot(
        "alpha", "ARP over the exponent alpha (0 = total, 1 = dgba)", table, "line",
        Axis("alpha", "alpha"), ARP, "sharing", panel=("eps",),
    )  # fmt: skip
    return Study(
        (Table("alpha", "ARP over the exponent alpha of power (0 = total, 1 = dgba), percent", table),), (plot,)
    )
