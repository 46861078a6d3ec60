"""How strong is the reference attack: against every other one, at its own budget and at theirs, and on one task?"""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from mtlbench.constants import LINF
from mtlbench.scores import over_seeds
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
NAMES = ("dataset", "model", "training", "sharing", "attack", "step", "steps", "eps", "seeds", "n_images", "scores")


def auto(evidence: Evidence) -> Study:
    """ARP of each attack on all tasks, the task that is hurt least and most, and what `auto` does more.

    The first table has the difference to `auto`, in points of ARP; the second that to the same recipe with as many
    steps as the row, so that budgets are equal; the third the damage to the one task that an attack is aimed at.
    """
    wide = over_seeds(evidence.damages)
    arps = evidence.arps[evidence.arps.index.get_level_values("target") == EVERY_TASK]
    keys = _named(levels(arps))
    table = tidy(arps, "arp_percent", label=labels(keys)).join(least_and_most(keys, wide))
    by_name = keys["attack"] == REFERENCE
    recipe = by_name | ((keys["attack"] == SHORTER[0]) & (keys["step"] == SHORTER[1]) & (keys["plain"]))
    values = ["arp_percent", "ci_low", "ci_high", *LEAST_AND_MOST, *DIFFERENCE]
    at_its_own = _against(table, keys, arps, by_name, SAME)
    at_theirs = _against(table, keys, arps, recipe, (*SAME, "steps"))
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
        ),
        (plot,),
    )


def _named(keys: pd.DataFrame) -> pd.DataFrame:
    """The levels, with those that old results lack, and whether an attack is made as its files say."""
    keys = keys.reset_index(drop=True)
    keys["norm"] = keys.get("norm", LINF)
    keys["plain"] = [_plain(json.loads(text)) for text in keys["options"]]
    return keys


def _plain(options: Mapping[str, Any]) -> bool:
    """Whether an attack starts once, from the image, and sees the model as it is."""
    return options.get("starts", ONCE) == ONCE and not {"logits", "made_on", "eot"} & options.keys()


def _against(
    table: pd.DataFrame, keys: pd.DataFrame, wide: pd.DataFrame, reference: pd.Series, on: tuple[str, ...]
) -> pd.DataFrame:
    """The table with the differences of the reference row that agrees in `on`, less each row."""
    base = rows_of(keys, reference, [name for name in on if name in keys])
    known = base.notna().to_numpy()
    return compared(table, known, wide.iloc[base[known].astype(int)], wide[known], DIFFERENCE[0])


def _one_task(damages: pd.DataFrame) -> pd.DataFrame:
    """Of the attacks on one task, the damage to that task and what `auto` on that task alone does more."""
    where = damages.index
    aimed = damages[where.get_level_values("target") == where.get_level_values("task")]
    keys = _named(levels(aimed))
    table = tidy(aimed, "damage_percent", label=labels(keys.assign(target=EVERY_TASK)))
    found = _against(table, keys, aimed, keys["attack"] == REFERENCE, SAME)
    return _arranged(found, ["damage_percent", "ci_low", "ci_high", *DIFFERENCE], "task")


def _arranged(table: pd.DataFrame, values: list[str], *more: str) -> pd.DataFrame:
    return arranged(table.drop(columns="attack").rename(columns={"label": "attack"}), [*NAMES, *more], values)
