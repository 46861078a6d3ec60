"""Small stores: two networks, clean and under four attacks, whose cells were made up."""

import os
import pickle
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mtlbench.constants import NO_ATTACK
from mtlbench.scores.derived import Deriving
from mtlbench.storage.derived import Derived
from mtlbench.storage.store import Cell, Store, content_key

IMAGES = 9
TASKS = {
    "segmentation": ["miou", "pixel_accuracy"],
    "normals": ["angle_mean", "angle_median"],
    "depth": ["abs_err", "delta_1.25"],
}
ATTACKS = [("total", "all"), *(("single", task) for task in TASKS)]


def arrays(seed: int, harm: float) -> dict[str, np.ndarray]:
    """Statistics of nine images of 3 classes; the more `harm`, the worse."""
    random = np.random.default_rng(seed)
    hits, missed = random.integers(50, 90, (IMAGES, 3)), random.integers(1, 9 + round(40 * harm), (2, IMAGES, 3))
    angles = np.abs(random.normal(15 + 60 * harm, 9, (IMAGES, 50)))
    depth = random.random((IMAGES, 9)) * 50 * (1 - harm / 2)
    depth[:, 0], depth[:, 1] = 50, depth[:, 1] * (1 + 2 * harm)
    within = [(angles <= most).sum(1) for most in (11.25, 22.5, 30)]
    return {
        "segmentation/class_counts": np.concatenate([hits, hits + missed[0], hits + missed[1]], 1).astype(float),
        "normals/angle_sums": np.stack([np.full(IMAGES, 50), angles.sum(1), *within], 1).astype(float),
        "normals/angle_histogram": np.stack([np.bincount(row.astype(int), minlength=181) for row in angles]),
        "normals/angle_histogram_fine": np.bincount((angles * 512).astype(int).ravel(), minlength=92161),
        "depth/depth_sums": depth,
        "losses": random.random((IMAGES, 3)).astype(np.float32) + np.float32(0.1),
    }


def cell(attack: str = "none", target: str = "all", eps: float = 0.0, harm: float = 0.0, **identity: Any) -> Cell:
    """A cell of the network that `identity` names; its arrays follow from its name."""
    sharing = identity.setdefault("sharing", "all_shared")
    model = {
        "dataset": "rooms",
        "split": "test",
        "fingerprint": "f" * 64,
        "n_images": IMAGES,
        "model": "tiny",
        "shared_blocks": 5 * (sharing == "all_shared"),
        "tree": sharing,
        "training": "clean",
        "seed": 0,
        "weights": f"{sharing}{identity.get('seed', 0)}",
    }
    tasks = [] if attack == "none" else list(TASKS) if target == "all" else [target]
    step = {"step": "-", "steps": 0, "step_options": {}}
    if attack != "none":
        step = {"step": "pgd", "steps": 10, "step_options": {"steps": 10, "size": 0.1}, "starts": {"restarts": 1}}
    about = {"gradients_per_image": 10, "config": {"dataset": {"images": IMAGES}}, "recipe": None}
    named = {"attack": attack, "objective": {"name": attack} if tasks else {}, "target": target, "tasks": tasks}
    found = Cell({**model, **identity, **named, **step, "eps": eps}, about, TASKS, {})
    seed = int(content_key(found.identity, 1)[:8], 16)
    small = {"rise": np.ones((IMAGES, 1)), "outside": np.zeros((IMAGES, 1)), "training_mode": np.zeros((IMAGES, 1))}
    small |= {name: np.random.default_rng(seed).random((IMAGES, 1)) for name in ("l2", "psnr", "ssim")}
    clean = {name: np.zeros((IMAGES, 3)) for name in ("gradient_zero", "gradient_nonfinite")}
    clean["gradient"] = np.random.default_rng(seed).random((IMAGES, 3))
    return replace(found, arrays=arrays(seed, harm) | (clean if attack == "none" else small))


def network(*epsilons: float, **identity: Any) -> Iterator[Cell]:
    """The clean cell of a network, then its attacked ones."""
    yield cell(**identity)
    for eps in epsilons:
        for number, (attack, target) in enumerate(ATTACKS):
            yield cell(attack, target, eps, 0.1 + 0.05 * eps + 0.03 * number, **identity)


def networks() -> list[Cell]:
    """Two networks, and one of them under a second seed."""
    return [*network(2.0, 4.0), *network(2.0, sharing="independent"), *network(2.0, seed=1)]


def save(store: Store, cells: list[Cell], plain: bool = False) -> None:
    """Store cells as an attack does, with their derived rows, or without if `plain`."""
    clean: dict[str, bytes] = {}
    for one in cells:
        model, content = str(one.identity["weights"]), pickle.dumps(one)
        if one.identity["attack"] == NO_ATTACK:
            clean[model] = content
        store.save(one, None if plain else _derived(clean.get(model), content))


@cache
def _derived(clean: bytes | None, content: bytes) -> Derived | None:
    """The rows of a cell after its clean one, if that came before; of equal cells they are derived once."""
    return _deriving(clean)(pickle.loads(content))


@cache
def _deriving(clean: bytes | None) -> Deriving:
    deriving = Deriving(Store(Path("nowhere")), [])
    if clean is not None:
        deriving(pickle.loads(clean))
    return deriving


def age(folder: Path) -> None:
    """Set the times of all cells back, so that a report need not suspect that they change again."""
    for path in folder.glob("*.npz"):
        os.utime(path, ns=(10**18, 10**18))
