"""Is an attack that sees no gradient of the model stronger than one that does? Then its gradients are hidden.

Gradient-free are random search, and what was made on another model (`Attack.source`).
"""

from collections.abc import Callable, Collection

import pandas as pd

from mtlbench.constants import NO_ATTACK
from mtlbench.scores.bootstrap import paired_difference
from mtlbench.scores.damage import arp, damage, relative_drops
from mtlbench.scores.wide import SAME_MODEL

GAIN = "gradient_free_gain"
GAIN_LOW = "gradient_free_low"
GAIN_HIGH = "gradient_free_high"
FREE_GAIN = (GAIN, GAIN_LOW, GAIN_HIGH)


def with_gradient_free(numbers: pd.DataFrame, frame: Callable[[Collection[str]], pd.DataFrame]) -> pd.DataFrame:
    """`numbers` with three columns more, if a gradient-free attack can be compared with another one.

    ``gradient_free_gain`` is how much higher the ARP of the gradient-free attack of the same model, images, eps, norm
    and attacked tasks is, in points, ``gradient_free_low`` and ``gradient_free_high`` its 95 % interval; of several
    attacks the one whose lower end is highest. NaN where there is none.

    Args:
        numbers: from `alarms.checks_frame`.
        frame: keys of cells -> a wide frame of metrics that holds them and their clean cells.
    """
    pairs = _pairs(numbers)
    if pairs.empty:
        return numbers
    metrics = frame({*pairs["cell"], *pairs["free"]})
    keys = metrics.index
    wanted = keys.get_level_values("cell").isin([*pairs["cell"], *pairs["free"]])
    wanted |= keys.get_level_values("attack") == NO_ATTACK
    part = metrics[wanted & (keys.get_level_values("scores") == "standard")]
    arps = arp(damage(relative_drops(part)))
    row = {cell: at for at, cell in enumerate(arps.index.get_level_values("cell"))}
    both = pairs[pairs["cell"].isin(row) & pairs["free"].isin(row)].copy()
    mine, others = (arps.iloc[[row[cell] for cell in both[name]]] for name in ("free", "cell"))
    found = paired_difference(mine, others)
    both[[GAIN, GAIN_LOW, GAIN_HIGH]] = found[["diff", "ci_low", "ci_high"]].to_numpy()
    known = numbers[["cell", *FREE_GAIN]] if GAIN in numbers else both.iloc[:0]
    every = pd.concat([known[["cell", *FREE_GAIN]].dropna(), both[["cell", *FREE_GAIN]]])
    best = every.sort_values(GAIN_LOW, na_position="first", kind="stable").drop_duplicates("cell", keep="last")
    return numbers.drop(columns=[*FREE_GAIN], errors="ignore").merge(best, on="cell", how="left")


def _pairs(numbers: pd.DataFrame) -> pd.DataFrame:
    """The cells of attacks with gradients, and ``free``, those without that they are to be compared with."""
    if "forwards_per_image" not in numbers:
        return pd.DataFrame({"cell": [], "free": []})
    counted = numbers["forwards_per_image"].astype(float) > 0  # older cells tell nothing, noise asks nothing
    attacked = counted & (numbers["attack"] != NO_ATTACK) & (numbers["eps"] > 0)
    free = (numbers["gradients_per_image"] == 0) | numbers["transferred"].eq(True)
    on = [name for name in (*SAME_MODEL, "eps", "norm", "target") if name in numbers and name != "scores"]
    others = numbers[attacked & free][[*on, "cell"]].rename(columns={"cell": "free"})
    return numbers[attacked & ~free][[*on, "cell"]].merge(others, on=on)[["cell", "free"]]
