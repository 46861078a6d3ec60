"""How far an attack on one task carries to the others, and how much further when they share blocks.

TR(i -> j) = damage of j / damage of i under the attack on i alone; the ratio of i is the mean over j. These
definitions follow the published summaries of arXiv 2305.12066; the paper's own wording may differ.
"""

import numpy as np
import pandas as pd

from mtlbench.scores.wide import OK, SHARING, block, levels, match

MIN_DAMAGE = 1.0
"""Percent. The transferability of an attack that damages its own task by less is undefined."""

MIN_RATIO = 0.01
"""The gain over an independent model that transfers less is undefined."""


def transferability(damages: pd.DataFrame) -> pd.DataFrame:
    """One row for each cell of attack ``single`` and each destination: the other tasks, and their ``mean``.

    Returns:
        Columns: the levels of `damages` without task; source, destination; ratio; gain_vs_independent (the
        ratio over that of the independent model, all else equal); status. Point values only.
    """
    rows = levels(damages).assign(damage=block(damages)[:, 0])
    rows = rows[rows["attack"] == "single"].rename(columns={"target": "source", "task": "destination"})
    cell = [str(name) for name in rows if name not in ("destination", "status", "damage")]
    pairs = _pairs(rows, cell)
    ratios = _with_gain(pd.concat([pairs, _means(pairs, cell)], ignore_index=True))
    ratios["target"] = ratios["source"]
    first = [str(name) for name in damages.index.names if name not in ("task", "status")]
    return ratios[[*first, "source", "destination", "ratio", "gain_vs_independent", "status"]]


def _pairs(rows: pd.DataFrame, cell: list[str]) -> pd.DataFrame:
    """The ratio of each cell to each task that it does not attack."""
    itself = rows["source"] == rows["destination"]
    own = rows.loc[itself, [*cell, "damage", "status"]]
    pairs = rows[~itself].merge(own, how="left", on=cell, suffixes=("", "_own"))
    inputs = ("source", "damage_own", "status_own", "destination", "damage", "status")
    status = [_pair_status(*row) for row in zip(*(pairs[name] for name in inputs), strict=True)]
    pairs["status"] = pd.Series(status, dtype=object)
    pairs["ratio"] = (pairs["damage"] / pairs["damage_own"]).where(pairs["status"] == OK)
    return pairs[[*cell, "destination", "ratio", "status"]]


def _pair_status(
    source: str, own: float, own_status: object, destination: str, other: float, other_status: str
) -> str:
    if not isinstance(own_status, str):
        return f"undefined: no damage of {source} itself"
    if np.isnan(own):
        return f"undefined: {source} ({own_status})"
    if own < MIN_DAMAGE:
        return f"undefined: single:{source} hurts {source} by {own:.1f} %"
    return f"undefined: {destination} ({other_status})" if np.isnan(other) else OK


def _means(pairs: pd.DataFrame, cell: list[str]) -> pd.DataFrame:
    """The mean ratio of each cell: NaN if a pair is."""
    groups = pairs.groupby(cell, dropna=False, sort=False)
    means = groups.agg(ratio=("ratio", "mean"), status=("status", _joined)).reset_index()
    means["ratio"] = means["ratio"].where(means["status"] == OK)
    return means.assign(destination="mean")


def _joined(status: pd.Series) -> str:
    return "; ".join(sorted(set(status) - {OK})) or OK


def _with_gain(ratios: pd.DataFrame) -> pd.DataFrame:
    """Add gain_vs_independent; where that alone is undefined, the status says so."""
    on = [str(name) for name in ratios if name not in (*SHARING, "ratio", "status")]
    base, found = match(ratios, ratios[ratios["sharing"] == "independent"], on, "ratio")
    reason = np.select(
        [found == 0, found > 1, np.isnan(base), base < MIN_RATIO],
        [
            "no independent result",
            "several independent results",
            "independent ratio undefined",
            f"independent ratio below {MIN_RATIO}",
        ],
        "",
    )
    usable = (ratios["status"] == OK) & (reason == "")
    explained = np.array([f"gain undefined: {text}" for text in reason], dtype=object)
    return ratios.assign(
        gain_vs_independent=ratios["ratio"].to_numpy() / np.where(usable, base, np.nan),
        status=ratios["status"].where((ratios["status"] != OK) | usable, explained),
    )
