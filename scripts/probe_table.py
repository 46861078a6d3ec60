"""What the probe says of five families of models with every mistake built in: found, missed, false alarms.

    PYTHONPATH=. python scripts/probe_table.py               # coloured blobs, as in the tests; a minute
    PYTHONPATH=. python scripts/probe_table.py --rooms       # generated rooms of 48x48, some minutes
    PYTHONPATH=. python scripts/probe_table.py --seeds 7 8 --images-seed 7    # two other networks each, other images

Each family is trained from scratch on one thread. The probe was written with seed 0 at hand: docs/probe.md has what
it says of other seeds.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from mtlbench.data.generated import make
from mtlbench.data.loader import in_order
from mtlbench.data.nyuv2 import NYUv2
from mtlbench.data.own import OwnImages
from mtlbench.data.rooms import FORMS
from mtlbench.tasks import three_tasks
from tests.probing.families import FAMILIES, Scenes, blobs, trained
from tests.probing.mistakes import MISTAKES, RIGHT, Case, asked

ROOMS, SIDE, CLASSES = 780, 48, 13
LONGER = 2
"""Rooms need so many times the steps that blobs do."""


def rooms(seed: int) -> Scenes:
    """Generated rooms, in memory."""
    tasks = three_tasks(CLASSES)
    with TemporaryDirectory() as folder:
        root = Path(folder) / "rooms"
        make(root, FORMS["nyuv2"], ROOMS, SIDE, seed)
        train, test = (
            OwnImages(in_order(NYUv2(root, split, [SIDE, SIDE], CLASSES, "decoded"), 16, 0), tasks).first(images)
            for split, images in (("train", ROOMS), ("test", 64))
        )
    return Scenes(train, test, tasks)


def verdict(name: str, case: Case, networks: Mapping[str, list[nn.Module]], scenes: Scenes) -> list[str]:
    """One word for each family; of several networks what was said of how many."""
    words = []
    for family, some in networks.items():
        probes = [asked(case, network, FAMILIES[family].inputs, scenes) for network in some]
        said = Counter(_word(name, case.found(probe) != [], case.alarms(probe) != []) for probe in probes)
        words.append(", ".join(word if count == len(some) else f"{count} {word}" for word, count in said.items()))
    return words


def _word(name: str, found: bool, alarm: bool) -> str:
    if name in RIGHT:
        return "false alarm" if alarm else "-"
    return "found" if found else "missed"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rooms", action="store_true", help="generated rooms instead of coloured blobs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the networks' weights, one for each")
    parser.add_argument("--images-seed", type=int, default=0, help="of what they are trained on and asked with")
    given = parser.parse_args()
    torch.set_num_threads(1)
    scenes, longer = (rooms(given.images_seed), LONGER) if given.rooms else (blobs(given.images_seed), 1)
    networks = {}
    for name, family in FAMILIES.items():
        print(f"training {name}", file=sys.stderr, flush=True)
        networks[name] = [trained(family, scenes, seed, longer) for seed in given.seeds]
    rows = {name: verdict(name, case, networks, scenes) for name, case in (RIGHT | MISTAKES).items()}
    print("| handed over | " + " | ".join(networks) + " |")
    print("|---" * (len(networks) + 1) + "|")
    for name, words in rows.items():
        print(f"| {name} | " + " | ".join(words) + " |")
    total = Counter(word for words in rows.values() for word in words)
    print(f"\n{', '.join(f'{count} {word}' for word, count in total.items())}")


if __name__ == "__main__":
    main()
