"""The images whose clean values the metrics that an attack climbs are divided by."""

from collections.abc import Mapping
from typing import Any

from mtlbench.attacks.attack import TRAIN
from mtlbench.config.dataset import open_dataset
from mtlbench.data.base import MultiTaskDataset
from mtlbench.data.fingerprint import fingerprint
from mtlbench.experiment.setup import Setup

TRAINING_IMAGES = 192
"""How many of the training split, its first, undistorted."""


def reference_images(setup: Setup) -> MultiTaskDataset:
    """Those that ``attack.clean_values`` names: the attacked ones, or the first of the training split."""
    if _of_attacked(setup):
        return setup.test
    return open_dataset(setup.config, "train", setup.root, limit=TRAINING_IMAGES)


def reference_identity(setup: Setup) -> Mapping[str, Any] | None:
    """What names them in a result; None for the attacked ones, which the result names anyway."""
    if _of_attacked(setup):
        return None
    images = reference_images(setup)
    found = fingerprint(images, setup.outputs.fingerprints)
    return {"split": images.split, "n_images": len(images), "fingerprint": found}


def _of_attacked(setup: Setup) -> bool:
    attack = setup.config.get("attack") or {}
    return bool(attack.get("clean_values") != TRAIN)
