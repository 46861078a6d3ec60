"""What damage costs: ARP against gradient evaluations, for DGBA and for a search over weightings of total."""

import pandas as pd

from mtlbench.scores.frame import names
from mtlbench.scores.wide import block, levels
from mtlbench.studies.base import MODEL, Evidence, Plot, Study, Table, arranged, labels, tidy

PER_IMAGE, OF_RUN, SINGLE_TASK = "best weighting per image", "best weighting of the run", "best single task"


def cost(evidence: Evidence) -> Study:
    """ARP and gradient evaluations per image of every attack.

    A search over weightings pays for every weighting that it tries. `weighted_total` appears three times: choosing
    per image by the averaged relative loss change, choosing one weighting for the run by its ARP (an oracle: an
    attacker has no metrics), and that oracle over the corners of the grid only, which are attacks on single tasks.
    """
    spent = {
        (found["dataset"], found["options"]): cell.provenance.get("gradients_per_image", 0)
        for cell in evidence.cells
        for found in [names(cell)]
    }
    arps = evidence.arps
    keys = levels(arps).assign(arp_percent=block(arps)[:, 0])
    keys["method"] = labels(keys)
    keys["gradients_per_image"] = [spent.get(found, 0) for found in zip(keys["dataset"], keys["options"], strict=True)]
    rows = pd.concat([keys[keys["attack"] != "weighted_total"], _searches(keys[keys["attack"] == "weighted_total"])])
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
        "cost", counted, "line", "gradients_per_image", "arp_percent", "method", ("sharing", "eps"),
        "ARP against the gradients that an attack evaluates", ("gradient evaluations per image", "ARP, %"), log=True,
    )  # fmt: skip
    return Study((Table("cost", "ARP against gradient evaluations per image", table),), (plot,))


def _searches(keys: pd.DataFrame) -> pd.DataFrame:
    """The rows of weighted_total that count, named by how the weighting is chosen, with what the search costs."""
    tried = keys["target"].str.match(r"w\d+/")
    point = keys["target"].where(tried, "w0").str[1:].str.split("/")
    corner = tried & (point.map(lambda counts: sum(count != "0" for count in counts)) == 1)
    grid = keys.groupby(["options", *MODEL, "eps"], dropna=False)["target"].transform(
        lambda t: t.str.match(r"w\d+/").sum()
    )
    setting = [*MODEL, "step", "steps", "eps", "options"]

    def best(of: pd.Series, name: str) -> pd.DataFrame:
        ordered = keys[of].sort_values("arp_percent", ascending=False, kind="stable")
        return ordered.drop_duplicates(setting).assign(method=f"weighted_total, {name}")

    corners = best(corner, SINGLE_TASK)
    tasks = corners["target"].str.count("/") + 1
    corners["gradients_per_image"] *= tasks / grid[corners.index]
    return pd.concat([best(~tried, PER_IMAGE), best(tried, OF_RUN), corners])
