"""How much an attack on one task transfers to the others, and the effect of shared blocks on it.

TR(i -> j) = damage of j / damage of i, both under the attack on i alone; the ratio of i is the mean over j. These
definitions follow the published summaries of arXiv 2305.12066; the paper's own wording may differ. The ratio asks how
much of an attack's damage goes astray. It compares the metrics of two tasks, so that sources of different metrics
cannot be ranked by it; the normalised one, ours, can: damage of j under the attack on i / damage of j under the attack
on j itself, the share of what an attacker of j would have done.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlbench.scores.bootstrap import interval
from mtlbench.scores.quotient import quotient
from mtlbench.scores.wide import OK, SHARING, Block, block, levels, mean_over, point, replicates

MIN_DAMAGE = 1.0
"""Percent. Transferability is undefined if an attack damages its own task by less."""

INDEPENDENT = "independent"
"""The sharing of a model that shares nothing."""

NO_INDEPENDENT = "no independent result"
MIN_RATIO = 0.01
"""The gain is undefined if the ratio of the independent model is smaller."""

GAIN = ("gain", "gain_low", "gain_high")


def transferability(damages: pd.DataFrame) -> pd.DataFrame:
    """One row for each cell of attack ``single`` and each destination: the other tasks, and their ``mean``.

    Returns:
        Columns: the levels of `damages` without task; source, destination; ratio; gain_vs_independent (the ratio over
        that of the independent model, all else equal); status of these two; their intervals over the images,
        ratio_low, ratio_high, gain_low, gain_high; normalised_ratio with normalised_low, normalised_high and
        normalised_status.
    """
    wide, other = ratios(damages), normalised_ratios(damages)
    table = levels(wide).assign(ratio=point(wide))
    gained = gains(wide, independent(levels(wide)))
    table["gain_vs_independent"] = gained["gain"]
    table["status"] = table["status"].where(table["status"] != OK, gained["status"])
    table["target"] = table["source"]
    table[["ratio_low", "ratio_high"]] = interval(wide).to_numpy()
    table[["gain_low", "gain_high"]] = gained[["gain_low", "gain_high"]].to_numpy()
    table["normalised_ratio"] = point(other)
    table[["normalised_low", "normalised_high"]] = interval(other).to_numpy()
    table["normalised_status"] = levels(other)["status"]
    first = [str(name) for name in damages.index.names if name not in ("task", "status")]
    return table[[*first, *COLUMNS]]


COLUMNS = (
    *("source", "destination", "ratio", "gain_vs_independent", "status", "ratio_low", "ratio_high"),
    *("gain_low", "gain_high", "normalised_ratio", "normalised_low", "normalised_high", "normalised_status"),
)
"""Of the table of transferability, behind what names a cell."""


def ratios(damages: pd.DataFrame) -> pd.DataFrame:
    """TR(i -> j) and its mean over j, with replicates: a wide frame with the levels source and destination.

    A replicate in which the attack damages its own task too little is NaN, and so is the interval.
    """
    return _with_means(pairs(damages))


def normalised_ratios(damages: pd.DataFrame) -> pd.DataFrame:
    """Damage of j under the attack on i over that under the attack on j, and its mean over j; rows as in `ratios`.

    Both attacks are on the same model, images and scores, of the same step rule and eps.
    """
    return _with_means(pairs(damages, normalised=True))


def pairs(damages: pd.DataFrame, normalised: bool = False) -> pd.DataFrame:
    """Every source and destination, a task and itself included, for which either ratio is 1."""
    single = damages[damages.index.get_level_values("attack") == "single"]
    keys = levels(single).rename(columns={"target": "source", "task": "destination"})
    cell = [str(name) for name in keys if name not in ("destination", "status")]
    values, itself = block(single), (keys["source"] == keys["destination"]).to_numpy()
    setting = [name for name in cell if name not in ("source", "cell")]
    position, found = _row_of(keys, itself, [*setting, "destination"] if normalised else cell)
    own = np.take(values.T, position, axis=1).T  # as a frame lies in memory
    own[found != 1] = np.nan
    known = keys["status"].tolist()
    own_status = [known[at] for at in position]
    destination = keys["destination"].tolist()
    attacked = destination if normalised else keys["source"].tolist()
    inputs = (attacked, found, own[:, 0], own_status, destination, values[:, 0], known)
    status = [_status(normalised, *row) for row in zip(*inputs, strict=True)]
    keys["status"] = pd.Series(status, index=keys.index, dtype=object)
    own[(keys["status"] != OK).to_numpy()] = np.nan
    own[own < MIN_DAMAGE] = np.nan
    index = pd.MultiIndex.from_frame(keys[[*cell, "destination", "status"]])
    return pd.DataFrame(np.divide(values, own, out=own), index, damages.columns)


def _row_of(keys: pd.DataFrame, which: NDArray[np.bool_], on: list[str]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each row the position of the first of `which` that agrees in `on` (0: there is none), and how many do."""
    known = keys.assign(row=np.arange(len(keys)))[which]
    known = known.groupby(on, dropna=False, sort=False)["row"].agg(["first", "size"]).reset_index()
    matched = keys[on].merge(known, how="left", on=on)[["first", "size"]].fillna(0).to_numpy(np.intp)
    return matched[:, 0], matched[:, 1]


def _with_means(every: pd.DataFrame) -> pd.DataFrame:
    """The pairs of different tasks, and the means over the destinations behind them."""
    keys = levels(every)
    others = every[(keys["source"] != keys["destination"]).to_numpy()]
    means = mean_over("destination", others, lambda _, why: why, "; ")
    names = levels(means).assign(destination="mean")
    means.index = pd.MultiIndex.from_frame(names[list(every.index.names)])
    return pd.concat([others, means])


def _status(
    normalised: bool, attacked: str, found: int, own: float, why: str, destination: str, other: float, other_why: str
) -> str:
    """Why a quotient is undefined.

    Args:
        normalised: which of the two quotients.
        attacked: the task whose damage under the attack on it is the denominator.
        found: how many results have that damage.
        own: the denominator.
        why: its status.
        destination: the task whose damage is above it.
        other: that damage.
        other_why: its status.
    """
    if found != 1:
        none = f"no result of single:{attacked}" if normalised else f"no damage of {attacked} itself"
        return f"undefined: several results of single:{attacked}" if found else f"undefined: {none}"
    if np.isnan(own):
        return f"undefined: {attacked} ({why})"
    if own < MIN_DAMAGE:
        return f"undefined: single:{attacked} hurts {attacked} by {own:.1f} %"
    return f"undefined: {destination} ({other_why})" if np.isnan(other) else OK


def independent(keys: pd.DataFrame) -> NDArray[np.intp]:
    """For each row the position of the same row of the independent model; -1 where there is none, -2 where several."""
    on = [str(name) for name in keys if name not in (*SHARING, "status")]
    position, found = _row_of(keys, (keys["sharing"] == "independent").to_numpy(), on)
    return np.select([found == 1, found == 0], [position, -1], -2)


def gains(wide: pd.DataFrame, base: NDArray[np.intp]) -> pd.DataFrame:
    """Every ratio over that of the independent model.

    Args:
        wide: ratios.
        base: from `independent`.

    Returns:
        Columns of `GAIN`, NaN where the independent ratio is unknown or below `MIN_RATIO`; and status, which is ok
        only where all of the independent ratio's interval lies above that: a quotient by almost nothing moves with
        every rounding.
    """
    rows = wide.iloc[np.maximum(base, 0)]
    below: Block = np.where(base >= 0, point(rows), np.nan)
    found = quotient(wide, rows)
    usable = below >= MIN_RATIO
    numbers = np.where(usable[:, None], found[["value", "ci_low", "ci_high"]].to_numpy(), np.nan)
    sampled = replicates(wide).shape[1] > 0
    reasons = {
        f"gain undefined: {NO_INDEPENDENT}": base == -1,
        "gain undefined: several independent results": base == -2,
        "gain undefined: independent ratio undefined": np.isnan(below),
        f"gain undefined: independent ratio below {MIN_RATIO}": ~usable,
        "gain without interval: a sample of images is undefined": sampled & found["below_low"].isna().to_numpy(),
        f"gain uncertain: the independent ratio may be below {MIN_RATIO}": (found["below_low"] < MIN_RATIO).to_numpy(),
    }
    status = np.select(list(reasons.values()), list(reasons), OK)
    return pd.DataFrame(numbers, columns=GAIN).assign(status=pd.Series(status, dtype=object))
