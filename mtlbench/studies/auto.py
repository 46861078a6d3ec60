"""How strong is the reference attack: against every other one, at its own budget and at theirs, and on one task?"""

import json
from collections.abc import Mapping
from functools import reduce
from typing import Any

import pandas as pd

from mtlbench.constants import LINF
from mtlbench.scores import arp, over_seeds
from mtlbench.scores.wide import levels
from mtlbench.studies.base import (
    DIFFERENCE,
    LEAST_AND_MOST,
    MODEL,
    Evidence,
    Study,
    Table,
    arranged,
    compared,
    labels,
    least_and_most,
    rows_of,
    tidy,
)
from mtlbench.studies.plot import ARP, Axis, Plot
from mtlbench.tasks import EVERY_TASK

REFERENCE = "auto"
SHORTER = ("smooth_arp", "mim_linear")
"""Attack and step rule of the reference's recipe with another number of steps."""

SAME = (*MODEL, "eps", "norm", "target")
ONCE = {"restarts": 1}
NOT_PLAIN = frozenset({"logits", "made_on", "eot"})
"""Options with which an attack sees another model than the one that is measured, or several draws of it."""
NAMES = ("dataset", "model", "training", "sharing", "attack", "step", "steps", "eps", "seeds", "n_images", "scores")
CHECKED = (
    "gradients_per_image",
    *("converged_gain", "converged_low", "converged_high"),
    *("gradient_free_gain", "gradient_free_low", "gradient_free_high"),
)
"""Columns of ``checks.csv`` beside the ARP of each model under `auto`."""


def auto(evidence: Evidence) -> Study:
    """ARP of each attack on all tasks, the task that is hurt least and most, and what `auto` does more.

    The first table has the difference to `auto`, in points of ARP; the second that to the same recipe with as many
    steps as the row, so that budgets are equal; the third the damage to the one task that an attack is aimed at; the
    fourth what `auto` says of each model: its budget, what twice the steps gain, and random search.
    """
    wide = over_seeds(evidence.damages)
    arps = evidence.arps[evidence.arps.index.get_level_values("target") == EVERY_TASK]
    keys = _named(levels(arps))
    table = tidy(arps, "arp_percent", label=labels(keys)).join(least_and_most(keys, wide))
    by_name = (keys["attack"] == REFERENCE) & keys["plain"]
    shorter = (keys["attack"] == SHORTER[0]) & (keys["step"] == SHORTER[1]) & keys["plain"]
    values = ["arp_percent", "ci_low", "ci_high", *LEAST_AND_MOST, *DIFFERENCE]
    at_its_own = _with_more(table, keys, arps, SAME, by_name)
    at_theirs = _with_more(table, keys, arps, (*SAME, "steps"), by_name, shorter)
    plot = Plot(
        "auto", "ARP over the number of gradient steps", at_its_own, "line",
        Axis("steps", "gradient steps"), ARP, "attack", panel=("sharing", "step", "eps"),
    )  # fmt: skip
    return Study(
        (
            Table("auto", "ARP of each attack, and what auto does more, in points", _arranged(at_its_own, values)),
            Table(
                "auto_same_steps", "The same against auto's recipe with as many steps", _arranged(at_theirs, values)
            ),
            Table("auto_one_task", "Damage to the one task attacked, and what auto does more", _one_task(wide)),
            Table("auto_models", "auto on each model: ARP, budget, twice the steps, random search", _models(evidence)),
        ),
        (plot,),
    )


def _named(keys: pd.DataFrame) -> pd.DataFrame:
    """The levels, with those that old results lack, and whether an attack is made as its files say."""
    keys = keys.reset_index(drop=True)
    keys["norm"] = keys.get("norm", LINF)
    options = [json.loads(text) for text in keys["options"]]
    climbed = pd.Series(
        [sum(map(len, of.get("objective", {}).get("metrics", {}).values())) for of in options], keys.index
    )
    # An attack on some of the metrics of a task (attack.metrics) climbs another sum than the one that is reported.
    whole = climbed == climbed.groupby([keys["dataset"], keys["attack"], keys["target"]]).transform("max")
    keys["plain"] = whole & pd.Series([_plain(of) for of in options], keys.index, dtype=bool)
    return keys


def _plain(options: Mapping[str, Any]) -> bool:
    """Whether an attack starts once, from the image, and sees the model and the clean values as they are."""
    own_values = "clean_values" not in options.get("objective", {})
    return own_values and options.get("starts", ONCE) == ONCE and not NOT_PLAIN & options.keys()


def _with_more(
    table: pd.DataFrame, keys: pd.DataFrame, wide: pd.DataFrame, on: tuple[str, ...], *references: pd.Series
) -> pd.DataFrame:
    """The table with the differences of the row that agrees in `on`, less each row.

    That is the row of the first of `references` (bool, a row of `keys` each) that has one.
    """
    on = tuple(name for name in on if name in keys)
    first, *others = (rows_of(keys, reference, on) for reference in references)
    base = reduce(pd.Series.fillna, others, first)
    known = base.notna().to_numpy()
    return compared(table, known, wide.iloc[base[known].astype(int)], wide[known], DIFFERENCE[0])


def _one_task(damages: pd.DataFrame) -> pd.DataFrame:
    """Of the attacks on one task, the damage to that task and what `auto` on that task alone does more."""
    where = damages.index
    aimed = damages[where.get_level_values("target") == where.get_level_values("task")]
    keys = _named(levels(aimed))
    table = tidy(aimed, "damage_percent", label=labels(keys.assign(target=EVERY_TASK)))
    found = _with_more(table, keys, aimed, SAME, (keys["attack"] == REFERENCE) & keys["plain"])
    return _arranged(found, ["damage_percent", "ci_low", "ci_high", *DIFFERENCE], "task")


def _models(evidence: Evidence) -> pd.DataFrame:
    """ARP and checks of every result of `auto`, one row per training."""
    damages = evidence.damages[evidence.damages.index.get_level_values("attack") == REFERENCE]
    arps = arp(damages)
    table = tidy(arps, "arp_percent").join(least_and_most(levels(arps).reset_index(drop=True), damages))
    checks = evidence.checks.drop_duplicates("cell").set_index("cell").reindex(columns=list(CHECKED))
    table = table.join(checks, on="cell")
    table["status"] = [evidence.alarms.get(*row) for row in zip(table["cell"], table["status"], strict=True)]
    keys = ["seed" if name == "seeds" else name for name in NAMES]
    return arranged(table, keys, ["arp_percent", "ci_low", "ci_high", *LEAST_AND_MOST, *CHECKED])


def _arranged(table: pd.DataFrame, values: list[str], *more: str) -> pd.DataFrame:
    return arranged(table.drop(columns="attack").rename(columns={"label": "attack"}), [*NAMES, *more], values)
