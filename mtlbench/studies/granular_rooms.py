"""Is a task safer when more tasks are learned beside it? Its damage, and its accuracy, over the number of tasks.

More tasks make a model more robust (Mao et al. 2020, arXiv 2007.07236); that is an illusion of weak baselines and weak
attacks (Ghamizi et al. 2022, arXiv 2110.15053); sharing makes it vulnerable (arXiv 2305.12066). So everything is
compared with the model of the same seed that learns the task alone, its accuracy without an attack as well.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mtlbench.constants import NO_ATTACK
from mtlbench.scores.damage import about_metric, drops_and_clean, higher_is_better
from mtlbench.scores.wide import block, levels
from mtlbench.storage.store import Cell
from mtlbench.studies.base import DIFFERENCE, Evidence, Study, Table, against, arranged, mean_of
from mtlbench.studies.plot import Axis, Plot

TASKS, DATA = "tasks", "data"
MAY_DIFFER = ("fingerprint", "sharing", "shared_blocks", "tree", TASKS)
"""Levels in which a model and the one that learns the task alone may differ."""

MODEL = ("dataset", "model", "training", "sharing", "shared_blocks", "seeds", "n_images", "scores", TASKS, "task")
ATTACKED = (*MODEL, "step", "steps", "eps")
INTERVAL = ("ci_low", "ci_high")


def granular_rooms(evidence: Evidence) -> Study:
    """Damage of tasks attacked alone over the number of tasks, and their metrics with the attack and without it.

    ``difference`` is to the model of the same data and seeds that learns the attacked task alone. ``lost`` is what the
    attack takes off a metric, in its unit; it is positive where the metric gets worse.
    """
    evidence = evidence.of(attack="single")
    about = _about(evidence)
    drops, clean = drops_and_clean(evidence.metrics)
    keys, metrics = levels(drops), evidence.metrics.set_axis(drops.index)
    own = (keys["target"] == keys["task"]).to_numpy()
    unattacked = ((keys["attack"] == NO_ATTACK) & keys["task"].isin(keys["task"][own])).to_numpy()
    sign = np.where(higher_is_better(keys), 1.0, -1.0)[:, None]
    lost = pd.DataFrame(sign * (clean - block(metrics)), metrics.index, metrics.columns)
    of_tasks = levels(evidence.damages)
    damaged = evidence.damages[(of_tasks["target"] == of_tasks["task"]).to_numpy()]
    damage = _against_alone(mean_of(damaged, about), "damage_percent")
    attacked = _against_alone(mean_of(metrics[own], about), "attacked")
    attacked["lost"] = block(mean_of(lost[own], about))[:, 0]
    before = _against_alone(mean_of(metrics[unattacked], about), "clean")
    attacked, before = (table.assign(unit=about_metric(table, "unit")) for table in (attacked, before))
    measured = ("metric", "unit")
    damage = arranged(damage, ATTACKED, ["damage_percent", *INTERVAL, *DIFFERENCE])
    attacked = arranged(attacked, [*ATTACKED, *measured], ["attacked", *INTERVAL, "lost", *DIFFERENCE])
    before = arranged(before, [*MODEL, *measured], ["clean", *INTERVAL, *DIFFERENCE])
    plot = Plot(
        "granular_rooms", "Damage of a task attacked alone over the number of tasks", damage, "line",
        Axis(TASKS, "tasks"), Axis("damage_percent", "damage", "%", *INTERVAL), "sharing",
        panel=("dataset", "model", "training", "task", "step", "eps"),
    )  # fmt: skip
    return Study(
        (
            Table("granular_rooms", "Damage of a task attacked alone, percent, over the number of tasks", damage),
            Table("granular_rooms_attacked", "Its metrics under the attack", attacked),
            Table("granular_rooms_clean", "Its metrics without an attack", before),
        ),
        (plot,),
    )


def _about(evidence: Evidence) -> pd.DataFrame:
    """Of each cell the name and the settings of its dataset, both without its tasks, and the number of these."""
    about = levels(evidence.metrics).groupby("cell", as_index=False).agg({"dataset": "first", "task": "nunique"})
    about = about.set_index("cell").rename(columns={"task": TASKS})
    data = {cell.key: _data(cell) for cell in evidence.cells}
    known = [data.get(str(key), {}) for key in about.index]
    names = [found.get("name", name) for found, name in zip(known, about["dataset"], strict=True)]
    return about.assign(dataset=names, **{DATA: [json.dumps(found, sort_keys=True) for found in known]})


def _data(cell: Cell) -> Any:
    """What the model was trained on, but for the tasks and the seed of the training; nothing where not recorded."""
    recipe = cell.provenance.get("recipe")
    if not isinstance(recipe, Mapping):
        return {}
    data = _without_tasks(recipe["dataset"])
    return data | {"settings": {name: value for name, value in data.get("settings", {}).items() if name != "seed"}}


def _without_tasks(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {name: _without_tasks(inner) for name, inner in value.items() if name != TASKS}


def _against_alone(wide: pd.DataFrame, value: str) -> pd.DataFrame:
    """The rows as a table, with their differences to those of the model that learns the task alone."""
    return against(wide, value, lambda keys: keys[TASKS] == 1, MAY_DIFFER)
