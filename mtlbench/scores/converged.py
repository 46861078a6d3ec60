"""What twice the steps of an attack gain, and random search, from the cells of the checks of an attack.

Such a cell is of some of the images only (``attack.converged=check``, ``attack.black_box=check``); its level
``sample_of`` names the cell of all images that is checked, the same attack. Of those with one ``sample_of``, two with
the same step rule are the attack as it is and the one with twice its steps; one of random search is the third.
"""

import numpy as np
import pandas as pd

from mtlbench.constants import SAMPLE_OF
from mtlbench.scores.bootstrap import interval, paired_difference
from mtlbench.scores.damage import arp, damage, relative_drops
from mtlbench.scores.gradient_free import FREE_GAIN
from mtlbench.scores.wide import block, levels

GAIN = ("converged_gain", "converged_low", "converged_high", "converged_images")

RANDOM_SEARCH = "square"
"""The step rule of ``attack.black_box=check``."""

LEAST = 1.0
"""Percent. A smaller damage counts as so much: what is gained on almost nothing is no factor."""


def of_all_images(metrics: pd.DataFrame) -> pd.DataFrame:
    """The wide frame of metrics without the cells of checks, and without the level ``sample_of``."""
    if SAMPLE_OF not in metrics.index.names:
        return metrics
    return metrics[metrics.index.get_level_values(SAMPLE_OF) == ""].droplevel(SAMPLE_OF)


def with_gains(numbers: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """The diagnostics of the cells of all images, with the columns `GAIN`; NaN where nothing was checked.

    Where a check searched without gradients, also with the columns `FREE_GAIN`.

    Args:
        numbers: from `alarms.checks_frame`, of all cells.
        metrics: wide frame of all cells.
    """
    if numbers.empty:
        return numbers
    hurt = _attacked_damage(metrics)
    found, free = gains(hurt), free_gains(hurt)
    sampled = levels(metrics)[lambda keys: keys[SAMPLE_OF] != ""]["cell"] if SAMPLE_OF in metrics.index.names else []
    kept = numbers[~numbers["cell"].isin(sampled)].reset_index(drop=True)
    kept = kept.drop(columns=[*GAIN], errors="ignore").merge(found, how="left", on="cell")
    return kept if free.empty else kept.merge(free, how="left", on="cell")


def gains(hurt: pd.DataFrame) -> pd.DataFrame:
    """How much more the attacked tasks are hurt by twice the steps, in percent of what they are hurt, standard scores.

    For an attack on all tasks this is the relative gain in ARP.

    Args:
        hurt: wide frame, the mean damage of the attacked tasks in the cells of checks.

    Returns:
        Columns cell (that is checked) and `GAIN`: the gain, its 95 % interval over the sample's images, and how many
        these are; of several samples the largest.
    """
    if hurt.empty:
        return pd.DataFrame(columns=["cell", *GAIN]).astype(dict.fromkeys(GAIN, float))
    keys = levels(hurt)
    keys["row"] = np.arange(len(keys))
    same = [SAMPLE_OF, "n_images", "step"]
    order = keys.sort_values(["n_images", "steps"], kind="stable").groupby(same, sort=False)["row"]
    pairs = pd.DataFrame({"once": order.first(), "twice": order.last(), "found": order.size()}).reset_index()
    pairs = pairs[pairs["found"] == 2].drop_duplicates(SAMPLE_OF, keep="last")
    once, twice = block(hurt)[pairs["once"]], block(hurt)[pairs["twice"]]
    gained = pd.DataFrame(100 * (twice - once) / np.maximum(once, LEAST))
    table = pd.DataFrame({"cell": pairs[SAMPLE_OF].to_numpy(), GAIN[0]: gained[0]})
    table[list(GAIN[1:3])] = interval(gained).to_numpy()
    return table.assign(**{GAIN[3]: pairs["n_images"].to_numpy(float)})


def free_gains(hurt: pd.DataFrame) -> pd.DataFrame:
    """By how many points more random search hurts the attacked tasks, standard scores.

    Args:
        hurt: as of `gains`.

    Returns:
        Columns cell (that is checked) and `FREE_GAIN`: the difference and its 95 % interval; of several samples those
        of the largest.
    """
    if hurt.empty:
        return pd.DataFrame(columns=["cell", *FREE_GAIN])
    keys = levels(hurt)[[SAMPLE_OF, "n_images", "step", "steps"]]
    keys["row"] = np.arange(len(keys))
    of_search = keys["step"] == RANDOM_SEARCH
    own = keys[~of_search].sort_values("steps", kind="stable").drop_duplicates([SAMPLE_OF, "n_images"])
    pairs = own.merge(keys[of_search], on=[SAMPLE_OF, "n_images"], suffixes=("", "_free"))
    pairs = pairs.sort_values("n_images", kind="stable").drop_duplicates(SAMPLE_OF, keep="last")
    found = paired_difference(hurt.iloc[pairs["row_free"]], hurt.iloc[pairs["row"]])
    table = pd.DataFrame({"cell": pairs[SAMPLE_OF].to_numpy()})
    table[list(FREE_GAIN)] = found[["diff", "ci_low", "ci_high"]].to_numpy()
    return table


def _attacked_damage(metrics: pd.DataFrame) -> pd.DataFrame:
    """The mean damage of the tasks that each cell of a check attacks, a wide frame."""
    if SAMPLE_OF not in metrics.index.names:
        return metrics.iloc[:0]
    keys = levels(metrics)
    sampled = metrics[((keys[SAMPLE_OF] != "") & (keys["scores"] == "standard")).to_numpy()]
    if sampled.empty:
        return sampled
    damages = damage(relative_drops(sampled))
    keys = levels(damages)
    tasks = set(keys["task"])
    attacked = [
        task in named if (named := tasks & set(target.split("+"))) else True
        for task, target in zip(keys["task"], keys["target"], strict=True)
    ]
    return arp(damages[attacked])
