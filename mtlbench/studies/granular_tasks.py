"""Do tasks that group the same clusters differently protect each other where they share? Accuracy over their number.

Feature averaging (Li et al. 2025, arXiv 2410.10322) is cured by finer labels. Several coarse labels of the same inputs
are finer together: neurons that serve all of them cannot average the clusters of one.
"""

import pandas as pd

from mtlbench.scores import over_seeds
from mtlbench.scores.wide import levels
from mtlbench.studies.base import Evidence, Study, Table, arranged, labels, tidy
from mtlbench.studies.implicit_bias import ACCURACY, NAMES, accuracies, alignments
from mtlbench.studies.plot import Axis, Plot

TASKS = "tasks"
KNOWN = ["dataset", TASKS, *NAMES[1:]]


def granular_tasks(evidence: Evidence) -> Study:
    """Accuracy of the attacked tasks, and alignment of the neurons, over the number of tasks.

    An attack on a single task is scored by that task alone; where several were attacked in turn, by their mean.
    """
    numbers = {cell.identity["dataset"]: len(cell.tasks) for cell in evidence.cells}
    mean = over_seeds(accuracies(evidence))
    table = _with_tasks(tidy(mean, ACCURACY, method=labels(levels(mean))), numbers)
    keys = [*KNOWN, "method", "step", "steps", "eps", "seeds", "n_images", "scores"]
    table = arranged(table, keys, [ACCURACY, "ci_low", "ci_high"])
    aligned = alignments(evidence)
    values = [name for name in map(str, aligned) if name.startswith(("cos_", "stable_"))]
    aligned = arranged(_with_tasks(aligned, numbers), [*KNOWN, "iterations", "seeds"], values)
    plot = Plot(
        "granular_tasks", "Accuracy of an attacked task over the number of tasks", table, "line",
        Axis(TASKS, "tasks"), Axis(ACCURACY, "accuracy", "", "ci_low", "ci_high"), "sharing",
        panel=("model", "method", "eps"),
    )  # fmt: skip
    titles = "Accuracy of attacked tasks over their number", "Alignment of the neurons over the number of tasks"
    return Study((Table("granular_tasks", titles[0], table), Table("granular_alignment", titles[1], aligned)), (plot,))


def _with_tasks(table: pd.DataFrame, numbers: dict[object, int]) -> pd.DataFrame:
    """The number of tasks in a column of its own, not in the name of the dataset: a line is over one set."""
    tasks = table["dataset"].map(numbers)
    names = [name.removesuffix(f"-t{number}") for name, number in zip(table["dataset"], tasks, strict=True)]
    return table.assign(dataset=names, **{TASKS: tasks})
