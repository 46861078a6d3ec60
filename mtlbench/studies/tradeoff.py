"""Are accurate trees also fragile? Clean accuracy against ARP over the sharing trees."""

import numpy as np
import pandas as pd

from mtlbench.scores import accuracy_lost, over_seeds, paired_difference
from mtlbench.scores.wide import OK, Block, block, levels
from mtlbench.studies.base import MODEL, Evidence, Plot, Study, Table, arranged, labels, tidy

FEWEST_TREES = 3
NAMES = ["dataset", "model", "training", "sharing", "shared_blocks", "tree", "attack", "step", "steps", "eps"]


def tradeoff(evidence: Evidence) -> Study:
    """Clean accuracy lost against single-task models, and ARP, of every tree; the Pareto-optimal trees.

    `pareto` marks trees that no other tree dominates in both, by the mean values. The second table ranks the trees by
    ARP, by accuracy lost and by size, and correlates the ranks (Spearman).
    """
    lost_wide = over_seeds(accuracy_lost(evidence.metrics, "independent"))
    lost = tidy(lost_wide, "clean_lost_percent")
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
    ranks = _rank_correlations(evidence.arps, lost_wide, attacked["attack"], together)
    table = arranged(
        table, [*NAMES, "seeds", "n_images", "scores"], [*values, "arp_percent", "ci_low", "ci_high", "pareto"]
    )
    plot = Plot(
        "tradeoff", table, "point", "clean_lost_percent", "arp_percent", "sharing", ("attack", "eps"),
        "Clean accuracy lost against single-task models, and ARP", ("clean accuracy lost, %", "ARP, %"),
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
    """Spearman's rho, over the trees, of ARP with clean accuracy lost and with the number of block copies.

    Args:
        arps: wide frame, one row per attack on a tree.
        lost: wide frame, one row per tree.
        attacks: label of the attack of each row of `arps`.
        together: levels that are constant within one correlation.
    """
    keys = levels(arps).assign(attack=attacks)
    trees = levels(lost)[list(MODEL)].assign(row=range(len(lost)))
    row = keys[list(MODEL)].merge(trees, how="left", on=list(MODEL))["row"]
    rows, values = [], []
    for _, group in keys[row.notna()].groupby(together, dropna=False, sort=False):
        if len(group) < FEWEST_TREES:
            continue
        arp = block(arps)[group.index]
        # `models.sharing.Tree.copies`, from the text of a tree: studies may not import models.
        copies = group["tree"].map(lambda tree: 1 + sum(mark in "|," for mark in tree)).to_numpy(np.float64)
        others = {
            "clean_lost_percent": block(lost)[row[group.index].astype(int)],
            "block_copies": np.broadcast_to(copies[:, None], arp.shape),
        }
        for name, other in others.items():
            rows.append(group.iloc[0].drop(["sharing", "shared_blocks", "tree"]).to_dict())
            rows[-1] |= {"trees": len(group), "with": name}
            values.append(_spearman(arp, other))
    shown = [name for name in NAMES if name not in ("sharing", "shared_blocks", "tree")]
    shown += ["trees", "seeds", "n_images", "scores", "with"]
    wide = pd.DataFrame(np.array(values).reshape(len(rows), arps.shape[1]))
    numbers = paired_difference(wide, 0 * wide).rename(columns={"diff": "rho"})
    table = pd.DataFrame(rows, columns=shown).join(numbers)
    return arranged(table, shown, [*numbers])


def _spearman(a: Block, b: Block) -> Block:
    """Rank correlation of each column of a [n, R] with that of b; NaN if one is constant or undefined."""
    ranks = [pd.DataFrame(values).rank().to_numpy() for values in (a, b)]
    x, y = (r - r.mean(0) for r in ranks)
    size = np.sqrt((x**2).sum(0) * (y**2).sum(0))
    return np.divide((x * y).sum(0), size, out=np.full(size.shape, np.nan), where=size > 0)


def _pareto(points: np.ndarray) -> np.ndarray:
    """Mask of the Pareto-optimal points of [n, 2], lower being better; NaN never is."""
    if not len(points):
        return np.zeros(0, bool)
    no_worse = (points[:, None] <= points[None]).all(2)
    better = (points[:, None] < points[None]).any(2)
    return ~(no_worse & better).any(0) & ~np.isnan(points).any(1)
