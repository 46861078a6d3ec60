"""What storing attacked images in 8 bits does to the damage.

    mtlbench train outputs=FOLDER                      # rooms, tiny, all-shared
    PYTHONPATH=. python scripts/eight_bits.py FOLDER [--images 100]

Attacks the test images and scores them twice: as floats, and rounded to whole grey levels. Prints ARP of both, the
difference, the largest relative change of a task's mean loss, and how far rounded images are outside of the ball.
"""

import argparse
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtlbench.attacks.around import AN_IMAGE, Around
from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import DGBA, Losses, Total
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import APGD, PGD
from mtlbench.constants import GREY_LEVELS
from mtlbench.data.loader import in_order
from mtlbench.data.nyuv2 import NYUv2
from mtlbench.engine.evaluate import Pass, cpu_block, evaluate
from mtlbench.engine.plan import Plan
from mtlbench.models.checkpoint import load_weights
from mtlbench.models.sharing import BLOCKS, level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import TreeModel, build
from scripts.gpu_check import percent_lost, table

SIZE = (64, 64)
EPSILONS = (1.0, 2.0, 4.0, 8.0)


class Rounded(Attack):
    """An attack whose images are stored in 8 bits."""

    def __call__(self, losses: Losses, x: Tensor, eps: Tensor, random: PerImage, around: Around = AN_IMAGE) -> Tensor:
        """The attacked images, rounded."""
        found = super().__call__(losses, x, eps, random, around)
        return (found * GREY_LEVELS).round() / GREY_LEVELS


def run(model: TreeModel, data: NYUv2, attack: Attack | None, eps: float) -> dict[str, np.ndarray]:
    """Statistics of one cell."""
    cell = Plan("cell", attack, eps)
    loader = in_order(data, cpu_block(SIZE))
    return evaluate(Pass(model, data.tasks, [cell], 0), loader, torch.device("cpu"), len(data))["cell"].arrays()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outputs", type=Path)
    parser.add_argument("--images", type=int, default=100)
    given = parser.parse_args()
    (root,) = (path for path in (given.outputs / "datasets").glob("rooms-*") if path.is_dir())
    weights = given.outputs / "checkpoints" / "rooms-tiny-all_shared-clean-s0" / "model.safetensors"
    data = NYUv2(root, "test", SIZE, classes=13, normals="decoded", limit=given.images)
    model = build(Tiny(), level(3, BLOCKS), data.tasks, 0).eval()
    load_weights(model, weights)
    clean = run(model, data, None, 0.0)
    rows = []
    for objective, step, eps in product((Total(), DGBA()), (PGD(10), APGD(10)), EPSILONS):
        exact, rounded = (run(model, data, kind(objective, step, data.tasks), eps) for kind in (Attack, Rounded))
        cells = {"clean": clean, "floats": exact, "8 bits": rounded}
        arp = percent_lost(data.tasks, cells)
        loss, other = (cell["losses"].mean(0) for cell in (exact, rounded))
        largest = 100 * float(np.abs(other / loss - 1).max())
        numbers = f"{arp['floats']:.2f}", f"{arp['8 bits']:.2f}", f"{arp['8 bits'] - arp['floats']:+.2f}"
        rows.append([f"{objective.name} {step.name}", f"{eps:g}", *numbers, f"{largest:.2f}", outside(rounded)])
        print(" ".join(rows[-1]), flush=True)
    head = ("attack", "eps", "ARP, floats", "ARP, 8 bits", "difference", "loss (%)", "outside")
    print("\n".join(table(head, rows)))


def outside(cell: dict[str, np.ndarray]) -> str:
    """How far the images are outside of the ball, in grey levels."""
    return f"{cell['outside'].max():.1g}"


if __name__ == "__main__":
    main()
