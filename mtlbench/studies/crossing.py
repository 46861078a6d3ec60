"""From which radius on does balancing the losses pay? Every attack against `total`, over eps."""

import json

import numpy as np
import pandas as pd

from mtlbench.scores.wide import OK, Block, block, levels
from mtlbench.studies.base import (
    DIFFERENCE,
    MODEL,
    Evidence,
    Study,
    Table,
    arranged,
    attack_settings,
    compared,
    labels,
    rows_of,
    tidy,
)
from mtlbench.studies.plot import ARP, Axis, Plot

TOTAL = "total"
SAME = (*MODEL, "step", "steps", "attack_settings", "loss")
NAMES = ("dataset", "model", "training", "sharing", "shared_blocks", "method", "step", "steps")
ABOVE, BELOW, BACK = "above total at every eps", "below total at every eps", "below total at the largest eps"


def crossing(evidence: Evidence) -> Study:
    """ARP of every attack on all tasks, its difference to that of total, and the eps at which this changes its sign.

    The crossing lies behind the largest eps at which the attack is not above total, where the straight line between
    the differences at that eps and at the next is 0. An attack that is above, or below, at every eps has none; nor has
    one that falls back below total. The intervals are over images and trainings, as everywhere. An attack on other
    losses (``attack.loss``) is compared with total on these.
    """
    arps = evidence.of(target="all").arps
    keys = levels(arps)
    keys["attack_settings"], keys["method"] = attack_settings(keys), labels(keys)
    keys["loss"] = keys["options"].map(_loss)
    keys["total"] = (keys["attack"] == TOTAL) & (
        (keys["method"] == TOTAL) | keys["method"].str.startswith(f"{TOTAL}(loss=")
    )
    base = rows_of(keys, keys["total"], [name for name in (*SAME, "eps") if name in keys])
    known = base.notna().to_numpy()
    others = arps.iloc[base[known].astype(int)]
    table = compared(tidy(arps, "arp_percent", method=keys["method"]), known, arps[known], others, "difference")
    shown = [*NAMES, "eps", "seeds", "n_images", "scores"]
    table = arranged(table, shown, ["arp_percent", "ci_low", "ci_high", *DIFFERENCE])
    found = _crossings(keys[known], block(arps[known]) - block(others), arps.columns)
    return Study(
        (
            Table("crossing", "Where each attack gets ahead of total: eps", found),
            Table("crossing_arp", "ARP over eps, and its difference to that of total", table),
        ),
        (
            Plot(
                "crossing", "ARP over eps", table, "line", Axis("eps", "eps"), ARP, "method",
                panel=("dataset", "model", "training", "sharing", "step"),
            ),
        ),
    )  # fmt: skip


def _loss(options: str) -> str:
    """The losses that take the place of the tasks' own; empty for these."""
    loss = json.loads(options).get("objective", {}).get("loss")
    return json.dumps(loss, sort_keys=True) if loss else ""


def _crossings(keys: pd.DataFrame, differences: Block, columns: pd.Index) -> pd.DataFrame:
    """A row for each attack but total, from its differences to total [rows, columns] at each eps."""
    same = [name for name in (*SAME, "method") if name in keys and name != "eps"]
    keys = keys.reset_index(drop=True)
    rows, values = [], []
    for group, part in keys[~keys["total"]].groupby(same, dropna=False, sort=False):
        part = part.sort_values("eps")
        ahead = differences[part.index]
        at = crossings(part["eps"].to_numpy(float), ahead)
        rows.append((*group, _status(ahead[:, 0], at)))
        values.append(at)
    index = pd.MultiIndex.from_frame(pd.DataFrame(rows, columns=[*same, "status"]))
    wide = pd.DataFrame(np.array(values).reshape(len(rows), len(columns)), index, columns)
    table = tidy(wide, "crossing_eps")
    return arranged(table, [*NAMES, "seeds", "n_images", "scores"], ["crossing_eps", "ci_low", "ci_high"])


def crossings(eps: Block, ahead: Block) -> Block:
    """Where differences that end above 0 rise above it for the last time [C]; NaN where there is no such place.

    Args:
        eps: ascending [E].
        ahead: differences [E, C].
    """
    found = np.full(ahead.shape[1], np.nan)
    for column, values in enumerate(ahead.T):
        not_ahead = np.flatnonzero(values <= 0)
        last = not_ahead[-1] if len(not_ahead) else -1
        if 0 <= last < len(eps) - 1 and np.isfinite(values).all():
            below, above = values[last], values[last + 1]
            found[column] = eps[last] + (eps[last + 1] - eps[last]) * below / (below - above)
    return found


def _status(ahead: Block, at: Block) -> str:
    if not np.isfinite(ahead).all():
        return "an ARP is undefined"
    if np.isfinite(at[0]):
        return OK if np.isfinite(at).all() else "no interval: not every resample crosses"
    return ABOVE if (ahead > 0).all() else BELOW if (ahead <= 0).all() else BACK
