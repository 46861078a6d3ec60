"""Which training protects all tasks, and at what price? The third open question of arXiv 2305.12066, section 6."""

from mtlbench.constants import NO_ATTACK
from mtlbench.scores import accuracy_lost, over_seeds
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
    of_other_seeds,
    pareto,
    rows_of,
    tidy,
    with_accuracy_lost,
)
from mtlbench.studies.plot import ARP, Axis, Plot
from mtlbench.studies.robust_models import CONTROL
from mtlbench.tasks import EVERY_TASK

PUBLISHED = "adversarial-dgba"
"""The training of the paper, which others are compared with."""

SAME = (
    *(name for name in MODEL if name not in ("training", "recipe")),
    *("attack", "step", "steps", "eps", "options"),
)
"""Levels in which two trainings are compared."""

NAMES = ("dataset", "model", "training", "sharing", "attack", "step", "steps", "eps", "seeds", "n_images", "scores")


def defences(evidence: Evidence) -> Study:
    """ARP, the task hurt least and most, and clean accuracy lost against `CONTROL`, of each training under an attack.

    The difference is that in points of ARP to the training of the paper; `pareto` marks trainings that no other one
    dominates in clean accuracy and ARP, by the mean values; none while one is there with other seeds only.
    """
    arps = evidence.arps[evidence.arps.index.get_level_values("target") == EVERY_TASK]
    keys = levels(arps).reset_index(drop=True)
    table = tidy(arps, "arp_percent", label=labels(keys)).join(least_and_most(keys, over_seeds(evidence.damages)))
    same = [name for name in SAME if name in keys]
    base = rows_of(keys, keys["training"] == PUBLISHED, same)
    known = base.notna().to_numpy()
    table = compared(table, known, arps[known], arps.iloc[base[known].astype(int)], DIFFERENCE[0])
    lost = over_seeds(accuracy_lost(evidence.of(attack=NO_ATTACK).metrics, CONTROL))
    table = with_accuracy_lost(table.drop(columns="attack").rename(columns={"label": "attack"}), lost)
    why = of_other_seeds(table, same, "training")
    table["status"] = table["status"].where(why == "", why)
    judged = ["clean_lost_percent", "arp_percent"]
    table["pareto"] = False
    for _, group in table[why == ""].groupby(same, dropna=False):
        table.loc[group.index, "pareto"] = pareto(group[judged].to_numpy(float))
    values = ["clean_lost_percent", "lost_low", "lost_high", "arp_percent", "ci_low", "ci_high"]
    table = arranged(table, NAMES, [*values, *LEAST_AND_MOST, *DIFFERENCE, "pareto"])
    plot = Plot(
        "defences", "Clean accuracy lost, and ARP, of each training", table, "scatter",
        Axis("clean_lost_percent", "clean accuracy lost", "%", "lost_low", "lost_high"),
        ARP, "training", front="pareto", panel=("sharing", "attack", "eps"),
    )  # fmt: skip
    title = f"Trainings under attack; clean accuracy lost against {CONTROL}, ARP against {PUBLISHED}"
    return Study((Table("defences", title, table),), (plot,))
