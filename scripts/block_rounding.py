"""How far the size of a block moves a result, where nothing fixes it: on a GPU it is batch_size.

    mtlbench train outputs=FOLDER                      # rooms, tiny, all-shared
    PYTHONPATH=. python scripts/block_rounding.py FOLDER [--images 64]

The images are attacked in blocks of 32, 12 and 1. For the blocks of 12 and 1 against those of 32 it prints the largest
difference of a loss, how many images end at another point (a loss moved by more than 1e-4 of it), from another start,
and ARP.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import DGBA, Losses, Total
from mtlbench.attacks.steps import APGD, PGD
from mtlbench.data.loader import in_order
from mtlbench.data.nyuv2 import NYUv2
from mtlbench.engine.evaluate import Pass, evaluate
from mtlbench.engine.plan import Plan
from mtlbench.models.checkpoint import load_weights
from mtlbench.models.sharing import BLOCKS, level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import TreeModel, build
from scripts.gpu_check import percent_lost, table

BLOCK_SIZES = (32, 12, 1)
EPS = 8.0
MOVED = 1e-4


@dataclass(frozen=True)
class Telling(Attack):
    """An attack that keeps which of its runs counted for each image."""

    counted: list[Tensor] = field(default_factory=list)

    def select(self, images: Sequence[Tensor], losses: Losses, x: Tensor) -> Tensor:
        """The best, and which it is."""
        best = super().select(images, losses, x)
        self.counted.append(torch.stack([(best == image).flatten(1).all(1) for image in images]).int().argmax(0))
        return best


def run(model: TreeModel, data: NYUv2, attack: Telling | None, size: int) -> dict[str, np.ndarray]:
    """Statistics of one cell computed in blocks of `size`, and under ``start`` which run of each image counted."""
    if attack is not None:
        attack.counted.clear()
    cell = Plan("cell", attack, EPS if attack else 0.0)
    records = evaluate(Pass(model, data.tasks, [cell], 0), in_order(data, size), torch.device("cpu"), len(data))
    start = torch.cat(attack.counted).numpy() if attack else np.zeros(len(data))
    return {**records["cell"].arrays(), "start": start}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outputs", type=Path)
    parser.add_argument("--images", type=int, default=64)
    given = parser.parse_args()
    (root,) = (path for path in (given.outputs / "datasets").glob("rooms-*") if path.is_dir())
    weights = given.outputs / "checkpoints" / "rooms-tiny-all_shared-clean-s0" / "model.safetensors"
    data = NYUv2(root, "test", (64, 64), classes=13, normals="decoded", limit=given.images)
    model = build(Tiny(), level(3, BLOCKS), data.tasks, 0).eval()
    load_weights(model, weights)
    clean = run(model, data, None, BLOCK_SIZES[0])
    rows = []
    for objective, step, restarts in product((Total(), DGBA()), (PGD(10), APGD(10)), (1, 3)):
        attack = Telling(objective, step, data.tasks, restarts=restarts)
        cells = {size: run(model, data, attack, size) for size in BLOCK_SIZES}
        whole, *others = cells.values()
        arp = [percent_lost(data.tasks, {"clean": clean, "attacked": cell})["attacked"] for cell in cells.values()]
        for size, cell, percent in zip(BLOCK_SIZES[1:], others, arp[1:], strict=True):
            moved = np.abs(cell["losses"] - whole["losses"])
            score = np.abs(cell["rise"] - whole["rise"])
            images = (moved > MOVED * np.abs(whole["losses"])).any(1).sum(), (cell["start"] != whole["start"]).sum()
            numbers = *(f"{d.max():.1e}" for d in (moved, score)), *map(str, images), f"{arp[0]:.3f}"
            about = f"{objective.name} {step.name}", str(restarts), str(size)
            rows.append([*about, *numbers, f"{percent - arp[0]:+.4f}"])
            print(" ".join(rows[-1]), flush=True)
    head = ("attack", "restarts", "block", "loss", "score", "images moved", "other start", "ARP", "difference")
    print("\n".join(table(head, rows)))


if __name__ == "__main__":
    main()
