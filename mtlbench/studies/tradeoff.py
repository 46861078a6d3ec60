"""Are accurate trees also fragile? Clean accuracy against ARP over the sharing trees."""

import numpy as np
import pandas as pd

from mtlbench.constants import NO_ATTACK
from mtlbench.scores import accuracy_lost, over_seeds
from mtlbench.scores.ranks import permutation_p, rank_interval, spearman
from mtlbench.scores.wide import block, levels
from mtlbench.studies.base import MODEL, Evidence, Study, Table, arranged, labels, pareto, tidy, with_accuracy_lost
from mtlbench.studies.plot import ARP, Axis, Plot

FEWEST_TREES = 3
NAMES = ["dataset", "model", "training", "sharing", "shared_blocks", "tree", "attack", "step", "steps", "eps"]


def tradeoff(evidence: Evidence) -> Study:
    """Clean accuracy lost against single-task models, and ARP, of every tree; the Pareto-optimal trees.

    `pareto` marks trees that no other tree dominates in both, by the mean values. The second table ranks the trees by
    ARP, by accuracy lost and by size, and correlates the ranks (Spearman).
    """
    lost_wide = over_seeds(accuracy_lost(evidence.of(attack=NO_ATTACK).metrics, "independent"))
    attacked = tidy(evidence.arps, "arp_percent", label=labels(levels(evidence.arps)))
    attacked = attacked.drop(columns="attack").rename(columns={"label": "attack"})
    values = ["clean_lost_percent", "lost_low", "lost_high"]
    table = with_accuracy_lost(attacked, lost_wide)
    together = [name for name in table if name in (*MODEL, *NAMES, "target", "options")]
    together = [name for name in together if name not in ("sharing", "shared_blocks", "tree")]
    table["pareto"] = False
    for _, group in table.groupby(together, dropna=False):
        table.loc[group.index, "pareto"] = pareto(group[["clean_lost_percent", "arp_percent"]].to_numpy())
    ranks = _rank_correlations(evidence.arps, lost_wide, attacked["attack"], together)
    table = arranged(
        table, [*NAMES, "seeds", "n_images", "scores"], [*values, "arp_percent", "ci_low", "ci_high", "pareto"]
    )
    plot = Plot(
        "tradeoff", "Clean accuracy lost against single-task models, and ARP", table, "scatter",
        Axis("clean_lost_percent", "clean accuracy lost", "%", "lost_low", "lost_high"),
        ARP, "sharing", front="pareto", panel=("attack", "eps"),
    )  # fmt: skip
    return Study(
        (
            Table("tradeoff", "Clean accuracy lost against single-task models, and ARP, percent", table),
            Table("tradeoff_ranks", "Rank correlation of ARP over the trees", ranks),
        ),
        (plot,),
    )


def _rank_correlations(
    arps: pd.DataFrame, lost: pd.DataFrame, attacks: pd.Series, together: list[str]
) -> pd.DataFrame:
    """Spearman's rho, over the trees, of mean ARP with mean clean accuracy lost and with the number of block copies.

    The p-value is that of permuting the trees, and the interval is over trees too, whatever the images and seeds.

    Args:
        arps: wide frame, one row per attack on a tree.
        lost: wide frame, one row per tree.
        attacks: label of the attack of each row of `arps`.
        together: levels that are constant within one correlation.
    """
    keys = levels(arps).assign(attack=attacks)
    trees = levels(lost)[list(MODEL)].assign(row=range(len(lost)))
    row = keys[list(MODEL)].merge(trees, how="left", on=list(MODEL))["row"]
    rows: list[dict[str, object]] = []
    damage, accuracy = block(arps)[:, 0], block(lost)[:, 0]
    for _, group in keys[row.notna()].groupby(together, dropna=False, sort=False):
        if len(group) < FEWEST_TREES:
            continue
        # `models.sharing.Tree.copies`, from the text of a tree: studies know cells, not models.
        copies = group["tree"].map(lambda tree: 1 + sum(mark in "|," for mark in tree)).to_numpy(np.float64)
        others = {"clean_lost_percent": accuracy[row[group.index].astype(int)], "block_copies": copies}
        for name, other in others.items():
            arp, known = damage[group.index], len(group)
            rho = spearman(arp, other)
            low, high = rank_interval(rho, known)
            found = {"rho": rho, "ci_low": low, "ci_high": high, "p_value": permutation_p(arp, other)}
            rows.append({str(k): v for k, v in group.iloc[0].items() if k not in ("sharing", "shared_blocks", "tree")})
            rows[-1] |= {"trees": known, "with": name, "over": "trees", **found}
    shown = [name for name in NAMES if name not in ("sharing", "shared_blocks", "tree")]
    shown += ["trees", "seeds", "n_images", "scores", "with"]
    values = ["rho", "ci_low", "ci_high", "p_value"]
    return arranged(pd.DataFrame(rows, columns=[*shown, "over", *values]), shown, values)
