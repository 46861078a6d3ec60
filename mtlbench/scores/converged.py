"""What twice the steps of an attack gain, from the cells of ``attack.converged=check``.

Such a cell is of some of the images only; its level ``sample_of`` names the cell of all images that is checked, the
same attack. Two cells with one ``sample_of`` are the attack as it is and the one with twice its steps.
"""

import numpy as np
import pandas as pd

from mtlbench.constants import SAMPLE_OF
from mtlbench.scores.bootstrap import interval
from mtlbench.scores.damage import arp, damage, relative_drops
from mtlbench.scores.wide import block, levels

GAIN = ("converged_gain", "converged_low", "converged_high", "converged_images")

LEAST = 1.0
"""Percent. A smaller damage counts as so much: what is gained on almost nothing is no factor."""


def of_all_images(metrics: pd.DataFrame) -> pd.DataFrame:
    """The wide frame of metrics without the cells of checks, and without the level ``sample_of``."""
    if SAMPLE_OF not in metrics.index.names:
        return metrics
    return metrics[metrics.index.get_level_values(SAMPLE_OF) == ""].droplevel(SAMPLE_OF)


def with_gains(numbers: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """The diagnostics of the cells of all images, with the columns `GAIN`; NaN where nothing was checked.

    Args:
        numbers: from `alarms.checks_frame`, of all cells.
        metrics: wide frame of all cells.
    """
    if numbers.empty:
        return numbers
    found = gains(metrics)
    sampled = levels(metrics)[lambda keys: keys[SAMPLE_OF] != ""]["cell"] if SAMPLE_OF in metrics.index.names else []
    kept = numbers[~numbers["cell"].isin(sampled)].reset_index(drop=True)
    return kept.drop(columns=[*GAIN], errors="ignore").merge(found, how="left", on="cell")


def gains(metrics: pd.DataFrame) -> pd.DataFrame:
    """How much more the attacked tasks are hurt by twice the steps, in percent of what they are hurt, standard scores.

    For an attack on all tasks this is the relative gain in ARP.

    Returns:
        Columns cell (that is checked) and `GAIN`: the gain, its 95 % interval over the sample's images, and how many
        these are; of several samples the largest.
    """
    hurt = _attacked_damage(metrics)
    if hurt.empty:
        return pd.DataFrame(columns=["cell", *GAIN]).astype(dict.fromkeys(GAIN, float))
    keys = levels(hurt)
    keys["row"] = np.arange(len(keys))
    order = keys.sort_values(["n_images", "steps"], kind="stable").groupby([SAMPLE_OF, "n_images"], sort=False)["row"]
    pairs = pd.DataFrame({"once": order.first(), "twice": order.last(), "found": order.size()}).reset_index()
    pairs = pairs[pairs["found"] == 2].drop_duplicates(SAMPLE_OF, keep="last")
    once, twice = block(hurt)[pairs["once"]], block(hurt)[pairs["twice"]]
    gained = pd.DataFrame(100 * (twice - once) / np.maximum(once, LEAST))
    table = pd.DataFrame({"cell": pairs[SAMPLE_OF].to_numpy(), GAIN[0]: gained[0]})
    table[list(GAIN[1:3])] = interval(gained).to_numpy()
    return table.assign(**{GAIN[3]: pairs["n_images"].to_numpy(float)})


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
