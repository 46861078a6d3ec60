"""Does balancing pay later where a task is confident? dgba and total on rooms, with the logits of a task multiplied.

    mtlbench attack experiment=crossing outputs=FOLDER
    PYTHONPATH=. python scripts/confidence.py FOLDER [--sharing all_shared] [--images 64] [--seed 0]

The logits of segmentation of the trained model are multiplied by 1, 3 and 10: every decision, and with it every clean
metric, stays what it is. Scored by the published metrics, and by an accuracy for each task (pixel accuracy, normals
within 11.25 degrees, depth within a factor of 1.25). ARP in percent, attacks with the default step.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from torch import Tensor, nn

import mtlbench
from mtlbench.data.loader import in_order
from mtlbench.data.nyuv2 import NYUv2
from mtlbench.models.checkpoint import load_weights
from mtlbench.models.sharing import BLOCKS, level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import build
from mtlbench.tasks import SEGMENTATION, scored_by
from scripts.gpu_check import table

FACTORS = (1, 3, 10)
EPSILONS = (0.5, 1, 2, 4, 8)
ACCURACIES = {"segmentation": ["pixel_accuracy"], "normals": ["within_11.25"], "depth": ["delta_1.25"]}
SHARED = {"independent": 0, "all_shared": BLOCKS}


class Confident(nn.Module):
    """A model whose logits of segmentation are multiplied."""

    def __init__(self, model: nn.Module, factor: float) -> None:
        super().__init__()
        self.model, self.factor = model, factor

    def forward(self, images: Tensor, tasks: Sequence[str] | None = None) -> Mapping[str, Tensor]:
        """The predictions."""
        found = dict(self.model(images, tasks))
        return found | {SEGMENTATION: self.factor * found[SEGMENTATION]} if SEGMENTATION in found else found


def arps(model: nn.Module, data: NYUv2, metrics: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """ARP of dgba and total, a row for each eps."""
    tasks = scored_by(data.tasks, metrics)
    found = mtlbench.attack(
        model, in_order(data, 32), tasks, ["total", "dgba"], eps=EPSILONS, probe=None, replicates=0, progress=False
    )
    return found.arp.reset_index().pivot(index="eps", columns="attack", values="arp_percent")


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outputs", type=Path)
    parser.add_argument("--sharing", choices=SHARED, default="all_shared")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    (root,) = (path for path in (given.outputs / "datasets").glob("rooms-v*-2600x64x64-s0") if path.is_dir())
    data = NYUv2(root, "test", (64, 64), classes=13, normals="decoded", limit=given.images)
    model = build(Tiny(), level(len(data.tasks), SHARED[given.sharing]), data.tasks, seed=given.seed)
    name = f"rooms-tiny-{given.sharing}-clean-s{given.seed}"
    load_weights(model, given.outputs / "checkpoints" / name / "model.safetensors")
    rows = []
    for factor in FACTORS:
        for scored, metrics in (("published", {}), ("accuracy", ACCURACIES)):
            found = arps(Confident(model, factor), data, metrics)
            pairs = [f"{found.loc[eps, 'dgba']:.1f} / {found.loc[eps, 'total']:.1f}" for eps in EPSILONS]
            rows.append([f"x {factor}", scored, *pairs])
    print("\n".join(table(["logits", "scored by", *(f"dgba / total, eps {eps:g}" for eps in EPSILONS)], rows)))


if __name__ == "__main__":
    main()
