"""ARP against the cost in gradient evaluations, for DGBA and for a search over weightings of total."""

import json
from collections.abc import Iterator

import pandas as pd

from mtlbench.scores.frame import names
from mtlbench.scores.wide import SEARCH, WEIGHTING, block, levels
from mtlbench.studies.base import MODEL, Evidence, Study, Table, arranged, attack_settings, labels, tidy, units
from mtlbench.studies.plot import ARP, Axis, Plot

PER_IMAGE, OF_RUN, SINGLE_TASK = "best weighting per image", "best weighting of the run", "best single task"


def cost(evidence: Evidence) -> Study:
    """ARP and gradient evaluations per image of every attack.

    The cost of a search is that of all its weightings. `weighted_total` appears three times: the best weighting per
    image by the averaged relative loss change, the best weighting of the run by its ARP (an oracle: an attacker has no
    metrics), and the same oracle over the corners of the grid only, which are attacks on single tasks.
    """
    spent = {
        (found["dataset"], found["options"]): cell.provenance.get("gradients_per_image", 0)
        for cell in evidence.cells
        for found in [names(cell)]
    }
    arps = evidence.arps
    keys = levels(arps).assign(arp_percent=block(arps)[:, 0])
    keys["method"], keys["attack_settings"], keys["units"] = labels(keys), attack_settings(keys), units(keys)
    keys["gradients_per_image"] = [spent.get(found, 0) for found in zip(keys["dataset"], keys["options"], strict=True)]
    rows = pd.concat([keys[~keys["attack"].isin((SEARCH, WEIGHTING))], *_searches(keys)])
    table = tidy(arps.iloc[rows.index], "arp_percent")
    for name in ("method", "gradients_per_image"):
        table[name] = rows[name].to_numpy()
    table["arp_per_gradient"] = table["arp_percent"] / table["gradients_per_image"].where(lambda n: n > 0)
    columns = [
        *("dataset", "model", "training", "sharing", "method", "step", "steps", "eps", "seeds", "n_images", "scores")
    ]
    table = arranged(table, columns, ["gradients_per_image", "arp_percent", "ci_low", "ci_high", "arp_per_gradient"])
    counted = table[table["gradients_per_image"] > 0]
    plot = Plot(
        "cost", "ARP against the gradients that an attack evaluates", counted, "line",
        Axis("gradients_per_image", "gradient evaluations per image", log=True),
        ARP, "method", panel=("sharing", "eps"),
    )  # fmt: skip
    return Study((Table("cost", "ARP against gradient evaluations per image", table),), (plot,))


def _searches(keys: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The rows of each search, labelled by the selection of the weighting, with the cost of the search."""
    for _, group in keys.groupby(
        [*MODEL, "step", "steps", "eps", "attack_settings", "units"], dropna=False, sort=False
    ):
        tried = group[group["attack"] == WEIGHTING].sort_values("arp_percent", ascending=False, kind="stable")
        weights = tried["options"].map(lambda options: json.loads(options)["objective"]["weights"])
        for row, search in group[group["attack"] == SEARCH].iterrows():
            grid = json.loads(search["options"])["objective"]["grid"]
            own = tried[weights.map(sum).map(lambda total, grid=grid: grid % total == 0).astype(bool)]
            corners = own[weights[own.index].map(max) == weights[own.index].map(sum)]
            price = search["gradients_per_image"]
            yield group.loc[[row]].assign(method=f"{SEARCH}, {PER_IMAGE}")
            yield own.head(1).assign(method=f"{SEARCH}, {OF_RUN}", gradients_per_image=price)
            price = corners["gradients_per_image"].sum()
            yield corners.head(1).assign(method=f"{SEARCH}, {SINGLE_TASK}", gradients_per_image=price)
