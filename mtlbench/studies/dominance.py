"""Does one task dominate the gradient of `total`, does DGBA balance it, and what does that do to each task?"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from mtlbench.constants import SMALLEST_LOSS
from mtlbench.scores import bootstrap_weights, over_seeds
from mtlbench.scores.frame import REPLICATES, names
from mtlbench.scores.wide import OK, levels
from mtlbench.storage.store import Cell
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
from mtlbench.studies.plot import Axis, Plot

NAMES = ("dataset", "model", "training", "sharing")
OF_MODEL = [*(name for name in MODEL if name not in ("seeds", "scores")), "seed", "weights"]


def dominance(evidence: Evidence) -> Study:
    """Share of each task in the input gradient of total and of dgba at the clean images; damage under each.

    The share of task i is the mean over the images of |g_i| / sum_j |g_j|, with |g_i| the mean absolute gradient of
    L_i (total) or of log L_i (dgba). Balance means a share of 1 / T each.
    """
    shares = tidy(over_seeds(gradient_shares(evidence.clean_cells)), "share")
    shares = arranged(
        shares, [*NAMES, "shared_blocks", "seeds", "n_images", "objective", "task"], ["share", "ci_low", "ci_high"]
    )
    damages = _damages(evidence)
    return Study(
        (
            Table("dominance", "Share of each task in the input gradient at the clean images", shares),
            Table("dominance_damage", "Damage of each task in percent; difference to total", damages),
        ),
        (
            Plot(
                "dominance", "Share of each task in the input gradient", shares.assign(scores="standard"), "dot",
                Axis("task", "task"), Axis("share", "share", "", "ci_low", "ci_high"), "objective", panel=("sharing",),
            ),
            Plot(
                "dominance_damage", "Damage of each task", damages, "dot", Axis("task", "task"),
                Axis("damage_percent", "damage", "%", "ci_low", "ci_high"), "attack", panel=("sharing", "eps"),
            ),
        ),
    )  # fmt: skip


def gradient_shares(cells: Sequence[Cell], replicates: int = REPLICATES) -> pd.DataFrame:
    """Wide frame of the shares in every clean cell: levels of the model, seed, objective, task, status.

    An image on which all gradients are zero has no shares and is not counted.
    """
    rows, values = [], []
    for cell in cells:
        if "gradient" not in cell.arrays:
            continue
        weights = bootstrap_weights(len(cell.arrays["gradient"]), replicates, 0)
        identity = names(cell)
        counted = weights * (cell.arrays["gradient"].sum(1) != 0)
        images = counted.sum(1)
        for objective, task, share in _shares(cell):
            value = np.divide(counted @ share, images, out=np.full(len(images), np.nan), where=images > 0)
            status = OK if np.isfinite(value[0]) else "a gradient is NaN" if images[0] else "all gradients are 0"
            rows.append([*(identity.get(name) for name in OF_MODEL), objective, task, status])
            values.append(value)
    keys = pd.DataFrame(rows, columns=[*OF_MODEL, "objective", "task", "status"])
    return pd.DataFrame(np.array(values).reshape(len(rows), 1 + replicates), pd.MultiIndex.from_frame(keys))


def _shares(cell: Cell) -> Iterator[tuple[str, str, np.ndarray]]:
    """Objective, task and its share on each image [N]; 0 if all gradients are zero."""
    total = cell.arrays["gradient"]
    dgba = total / np.maximum(cell.arrays["losses"], SMALLEST_LOSS)
    for objective, sizes in (("total", total), ("dgba", dgba)):
        whole = sizes.sum(1, keepdims=True)
        share = np.divide(sizes, whole, out=np.zeros(sizes.shape), where=whole != 0)
        for task, column in zip(cell.tasks, share.T, strict=True):
            yield objective, task, column


def _damages(evidence: Evidence) -> pd.DataFrame:
    """Damage of each task under each attack on all tasks, and its difference to that under plain total."""
    wide = over_seeds(evidence.of(target="all").damages)
    keys = levels(wide)
    keys["attack_settings"], keys["label"] = attack_settings(keys), labels(keys)
    on = [*MODEL, "step", "steps", "eps", "attack_settings", "task"]
    base = rows_of(keys, keys["label"] == "total", on)
    known = base.notna().to_numpy()
    table = tidy(wide, "damage_percent", label=keys["label"])
    table = compared(table, known, wide[known], wide.iloc[base[known].astype(int)], "difference")
    table = table.drop(columns="attack").rename(columns={"label": "attack"})
    columns = [*NAMES, "shared_blocks", "step", "steps", "eps", "seeds", "n_images", "scores", "attack", "task"]
    return arranged(table, columns, ["damage_percent", "ci_low", "ci_high", *DIFFERENCE])
