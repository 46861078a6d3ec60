"""How much an attack on one task transfers to the others, and the effect of shared blocks on it.

TR(i -> j) = damage of j / damage of i under the attack on i alone; the ratio of i is the mean over j. These
definitions follow the published summaries of arXiv 2305.12066; the paper's own wording may differ.
"""

import numpy as np
import pandas as pd

from mtlbench.scores.wide import OK, SHARING, block, levels, match, mean_over

MIN_DAMAGE = 1.0
"""Percent. Transferability is undefined if an attack damages its own task by less."""

INDEPENDENT = "independent"
"""The sharing of a model that shares nothing."""

NO_INDEPENDENT = "no independent result"
MIN_RATIO = 0.01
"""The gain is undefined if the ratio of the independent model is smaller."""


def transferability(damages: pd.DataFrame) -> pd.DataFrame:
    """One row for each cell of attack ``single`` and each destination: the other tasks, and their ``mean``.

    Returns:
        Columns: the levels of `damages` without task; source, destination; ratio; gain_vs_independent (the
        ratio over that of the independent model, all else equal); status. Point values only.
    """
    wide = ratios(damages.iloc[:, :1])
    table = _with_gain(levels(wide).assign(ratio=block(wide)[:, 0]))
    table["target"] = table["source"]
    first = [str(name) for name in damages.index.names if name not in ("task", "status")]
    return table[[*first, "source", "destination", "ratio", "gain_vs_independent", "status"]]


def ratios(damages: pd.DataFrame) -> pd.DataFrame:
    """The ratios with their replicates, without gain: a wide frame with the levels source and destination.

    A replicate in which the attack damages its own task too little is NaN, and so is the interval.
    """
    single = damages[damages.index.get_level_values("attack") == "single"]
    keys = levels(single).rename(columns={"target": "source", "task": "destination"})
    cell = [str(name) for name in keys if name not in ("destination", "status")]
    values, itself = block(single), (keys["source"] == keys["destination"]).to_numpy()
    row, found = match(keys, keys.assign(row=np.arange(len(keys)))[itself], cell, "row")
    position = np.where(found > 0, row, 0).astype(np.intp)
    own = np.where((found > 0)[:, None], values[position], np.nan) if len(keys) else values
    statuses = keys["status"].tolist()
    own_status = [statuses[at] if known else None for at, known in zip(position, found > 0, strict=True)]
    inputs = (keys["source"], own[:, 0], own_status, keys["destination"], values[:, 0], keys["status"])
    keys["status"] = pd.Series([_pair_status(*row) for row in zip(*inputs, strict=True)], dtype=object)
    defined = (keys["status"] == OK).to_numpy()[:, None] & (own >= MIN_DAMAGE)
    quotient = values / np.where(defined, own, np.nan)
    index = pd.MultiIndex.from_frame(keys[[*cell, "destination", "status"]])
    pairs = pd.DataFrame(quotient, index, damages.columns)[~itself]
    means = mean_over("destination", pairs, lambda _, why: why, "; ")
    names = levels(means).assign(destination="mean")
    means.index = pd.MultiIndex.from_frame(names[[*cell, "destination", "status"]])
    return pd.concat([pairs, means])


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


def _with_gain(ratios: pd.DataFrame) -> pd.DataFrame:
    """Add gain_vs_independent; the status says if only the gain is undefined."""
    on = [str(name) for name in ratios if name not in (*SHARING, "ratio", "status")]
    base, found = match(ratios, ratios[ratios["sharing"] == INDEPENDENT], on, "ratio")
    reason = np.select(
        [found == 0, found > 1, np.isnan(base), base < MIN_RATIO],
        [
            NO_INDEPENDENT,
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
