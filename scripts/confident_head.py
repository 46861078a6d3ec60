"""What an attack finds where the decisions stay the same and only the confidence changes: the logits of a class.

    mtlbench train dataset=parts outputs=FOLDER
    PYTHONPATH=. python scripts/confident_head.py FOLDER [--images 100]

The logits of the task `defect` of the trained model are multiplied by 1, 3 and 24: every decision, and with it every
clean metric, stays what it is. Each of these models is attacked with the cross-entropy and with the scale-free losses
(`class_margin`, the default, and `dlr`) as the attack's loss of `defect`, by `single` on it alone and by `dgba` on all
three tasks; PGD with 10 steps, eps 4. A second table tells what `dgba` leaves of two tasks.
"""

import argparse
from copy import deepcopy
from dataclasses import replace
from itertools import chain
from pathlib import Path

import torch

import mtlbench
from mtlbench.data.folder.dataset import FolderDataset
from mtlbench.data.loader import in_order
from mtlbench.engine.evaluate import frozen
from mtlbench.engine.losses import TaskLosses
from mtlbench.models.checkpoint import load_weights
from mtlbench.models.sharing import BLOCKS, level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import TreeModel, build
from mtlbench.tasks import Task
from scripts.gpu_check import table

FACTORS = (1, 3, 24)
LOSSES = ("cross_entropy", "class_margin", "dlr")
EPS = 4
STEPS = 10
TASK = "defect"


def more_confident(model: TreeModel, task: str, factor: float) -> TreeModel:
    """A copy whose logits of a task per image are multiplied."""
    found = deepcopy(model)
    with torch.no_grad():
        for parameter in found.heads[task].classify.parameters():  # type: ignore[union-attr]
            parameter.mul_(factor)
    return found


def without_loss(model: TreeModel, dataset: FolderDataset, task: Task) -> float:
    """Percent of the images whose cross-entropy is exactly 0 in float32."""
    zero = 0
    with frozen(model), torch.no_grad():
        for batch in in_order(dataset, 16):
            losses = TaskLosses(model, [task], batch.targets, batch.masks, training=True)
            zero += int((losses(batch.input) == 0).sum())
    return 100 * zero / len(dataset)


def damage(model: TreeModel, dataset: FolderDataset, loss: str) -> tuple[list[str], list[str]]:
    """Accuracy that `single` leaves of the task and ARP of `dgba`; accuracy and MAE of severity that `dgba` leaves."""
    tasks = [replace(task, attack_loss=loss) if task.name == TASK else task for task in dataset.tasks]
    (alone,) = (task for task in tasks if task.name == TASK)
    # Saturated logits are what the probe warns of, and the point here.
    pgd = {"step": "pgd", "steps": STEPS, "eps": EPS, "replicates": 0, "probe": None}
    single = mtlbench.attack(model, in_order(dataset, 16), [alone], "single", **pgd)  # type: ignore[arg-type]
    dgba = mtlbench.attack(model, in_order(dataset, 16), tasks, "dgba", **pgd)  # type: ignore[arg-type]
    arp = float(dgba.arp["arp_percent"].iloc[0])
    return [left(single, "accuracy"), f"{arp:.1f}"], [left(dgba, "accuracy"), left(dgba, "mae")]


def left(result: mtlbench.Result, metric: str) -> str:
    """Of a metric under attack."""
    rows = result.metrics[(result.metrics["eps"] > 0) & (result.metrics["metric"] == metric)]
    return f"{float(rows['attacked'].iloc[0]):.2f}"


def main() -> None:
    """Print two Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outputs", type=Path)
    parser.add_argument("--images", type=int, default=100)
    given = parser.parse_args()
    (root,) = (given.outputs / "datasets").glob("parts-v*-2600x64x64-s0")
    dataset = FolderDataset(root, "test", "parts", (64, 64), limit=given.images)
    (task,) = (task for task in dataset.tasks if task.name == TASK)
    model = build(Tiny(), level(len(dataset.tasks), BLOCKS), dataset.tasks, seed=0)
    load_weights(model, given.outputs / "checkpoints" / "parts-tiny-all_shared-clean-s0" / "model.safetensors")
    rows, more = [], []
    for factor in FACTORS:
        scaled = more_confident(model, TASK, factor)
        found = [damage(scaled, dataset, loss) for loss in LOSSES]
        rows.append(
            [f"x {factor}", f"{without_loss(scaled, dataset, task):.0f} %", *chain(*(one for one, _ in found))]
        )
        more.append([f"x {factor}", *chain(*(one for _, one in found))])
    head = [f"{what}, {loss}" for loss in LOSSES for what in ("single: accuracy left", "dgba: ARP, %")]
    print("\n".join(table(["logits", "cross-entropy exactly 0", *head], rows)), end="\n\n")
    head = [f"dgba: {what}, {loss}" for loss in LOSSES for what in ("accuracy left", "MAE of severity")]
    print("\n".join(table(["logits", *head], more)))


if __name__ == "__main__":
    main()
