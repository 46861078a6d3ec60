"""Does another activation make the same network more robust? ARP and metrics against those with ReLU.

Networks that differ in nothing but the activation (``model.activation``) and the weights that training found. A
smoother one may hide gradients, or lose accuracy: beside the ARP are the metrics with the attack and without it.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mtlbench.constants import NO_ATTACK
from mtlbench.scores import arp
from mtlbench.scores.damage import about_metric, drops_and_clean
from mtlbench.scores.wide import levels
from mtlbench.storage.store import Cell
from mtlbench.studies.base import DIFFERENCE, Evidence, Study, Table, against, arranged, labels, mean_of
from mtlbench.studies.plot import ARP, Axis, Plot
from mtlbench.tasks import EVERY_TASK

ACTIVATION = "activation"
RELU = "relu"
"""What others are compared with; recipes from before the option existed do not name it."""

MODEL = ("dataset", "model", ACTIVATION, "training", "sharing")
ATTACKED = (*MODEL, "attack", "step", "steps", "eps", "seeds", "n_images", "scores")
CLEAN = (*MODEL, "seeds", "n_images", "scores", "task", "metric", "unit")
INTERVAL = ("ci_low", "ci_high")


def activations(evidence: Evidence) -> Study:
    """ARP of the attacks on all tasks, and every metric with the attack and without it, for each activation.

    ``difference`` is to the same network with ReLU, of the same data and seeds.
    """
    evidence = evidence.of(target=EVERY_TASK)
    about = _about(evidence)
    metrics = evidence.metrics.set_axis(drops_and_clean(evidence.metrics)[0].index)
    unattacked = metrics.index.get_level_values("attack") == NO_ATTACK
    arps = _against_relu(arp(evidence.damages), about, "arp_percent")
    attacked = _against_relu(metrics[~unattacked], about, "attacked")
    clean = _against_relu(metrics[unattacked], about, "clean")
    attacked, clean = (table.assign(unit=about_metric(table, "unit")) for table in (attacked, clean))
    arps = arranged(arps, ATTACKED, ["arp_percent", *INTERVAL, *DIFFERENCE])
    attacked = arranged(attacked, [*ATTACKED, "task", "metric", "unit"], ["attacked", *INTERVAL, *DIFFERENCE])
    clean = arranged(clean, CLEAN, ["clean", *INTERVAL, *DIFFERENCE])
    plot = Plot(
        "activations", "ARP of networks with different activations", arps, "line",
        Axis("eps", "eps"), ARP, ACTIVATION, panel=("dataset", "model", "training", "sharing", "attack"),
    )  # fmt: skip
    return Study(
        (
            Table("activations", "ARP of each activation, and its difference to ReLU", arps),
            Table("activations_attacked", "Metrics under the attack", attacked),
            Table("activations_clean", "Metrics without an attack", clean),
        ),
        (plot,),
    )


def _about(evidence: Evidence) -> pd.DataFrame:
    """Of each cell its activation, and the name of its model without it."""
    found = levels(evidence.metrics).groupby("cell", as_index=True).agg({"model": "first"})
    given = {cell.key: _activation(cell) for cell in evidence.cells}
    found[ACTIVATION] = [given.get(str(key), RELU) for key in found.index]
    found["model"] = [
        name.removesuffix(f"-{activation}") for name, activation in zip(found["model"], found[ACTIVATION], strict=True)
    ]
    return found


def _activation(cell: Cell) -> str:
    recipe = cell.provenance.get("recipe")
    model = recipe.get("model", {}) if isinstance(recipe, Mapping) else {}
    return str(model.get(ACTIVATION) or RELU)


def _against_relu(wide: pd.DataFrame, about: pd.DataFrame, value: str) -> pd.DataFrame:
    """The mean over seeds as a table, with the differences to the network with ReLU."""
    means = mean_of(wide, about)
    table = against(means, value, lambda keys: keys[ACTIVATION] == RELU, (ACTIVATION,))
    names = labels(levels(means).reset_index(drop=True))
    return table.assign(attack=np.asarray(names, dtype=object))
