"""Does an attack depend on how confident a model is? auto, dgba and total on rooms, with the logits multiplied.

    mtlbench train outputs=FOLDER
    PYTHONPATH=. python scripts/auto_logits.py FOLDER [--seed 0] [--images 16] [--eps 8]

The logits of segmentation of the trained all-shared model are multiplied by 1, 10 and 100: every decision, and with it
every clean metric, stays what it is. dgba and total with the default step, 20 gradients.
"""

import argparse
from pathlib import Path

import mtlbench
from mtlbench.data.loader import in_order
from mtlbench.data.nyuv2 import NYUv2
from mtlbench.models.checkpoint import load_weights
from mtlbench.models.sharing import BLOCKS, level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import build
from scripts.confidence import Confident
from scripts.gpu_check import table

FACTORS = (1, 10, 100)
ATTACKS = ("auto", "dgba", "total")


def main() -> None:
    """Print a Markdown table, and the alarms of each attack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outputs", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--eps", type=float, default=8)
    given = parser.parse_args()
    (root,) = (path for path in (given.outputs / "datasets").glob("rooms-v*-2600x64x64-s0") if path.is_dir())
    data = NYUv2(root, "test", (64, 64), classes=13, normals="decoded", limit=given.images)
    model = build(Tiny(), level(len(data.tasks), BLOCKS), data.tasks, seed=given.seed)
    name = f"rooms-tiny-all_shared-clean-s{given.seed}"
    load_weights(model, given.outputs / "checkpoints" / name / "model.safetensors")
    rows, alarms = [], []
    for factor in FACTORS:
        found = mtlbench.attack(
            Confident(model, factor), in_order(data, 32), data.tasks, ATTACKS, eps=given.eps, probe=None,
            replicates=0, progress=False,
        )  # fmt: skip
        arps = found.arp.set_index("attack")
        rows.append([f"x {factor}", *(f"{arps.loc[attack, 'arp_percent']:.2f}" for attack in ATTACKS)])
        alarms += [f"x {factor}, {attack}: {arps.loc[attack, 'status']}" for attack in ATTACKS]
    print("\n".join(table(["logits", *ATTACKS], rows)))
    print("\n" + "\n".join(alarms))


if __name__ == "__main__":
    main()
