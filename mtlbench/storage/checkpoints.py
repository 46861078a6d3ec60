"""Trained models in outputs/checkpoints: their names, and whether one was trained by the recipe asked for.

A folder ``<dataset>-<model>-<sharing>-<training>-s<seed>`` holds model.safetensors, recipe.yaml (everything that
decided the weights), clean_metrics.csv, curve.csv and cost.json (time). A model trained by another recipe under the
same name (other iterations, other rooms) is never mistaken for it: it gets, and keeps, a folder with a hash behind
the name.
"""

import glob
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mtlbench.errors import CheckpointError
from mtlbench.options import is_number
from mtlbench.storage import legacy
from mtlbench.storage.bounded import read_json, read_yaml
from mtlbench.storage.files import checksum, write_atomically

WEIGHTS, RECIPE, CLEAN_METRICS, CURVE, STATE, COST = (
    "model.safetensors",
    "recipe.yaml",
    "clean_metrics.csv",
    "curve.csv",
    "state.pt",
    "cost.json",
)
COST_FIELDS = ("training_seconds", "times_clean")
CHECKSUM = "sha256"


@dataclass(frozen=True)
class Checkpoint:
    """A folder for one trained model; it may be empty yet.

    Attributes:
        folder: where its files are.
        recipe: what decides its weights, as in its recipe.yaml.
    """

    folder: Path
    recipe: Mapping[str, Any]

    @property
    def weights(self) -> Path:
        """The weights file; it exists once the training is done."""
        return self.folder / WEIGHTS

    @property
    def state(self) -> Path:
        """What an interrupted training continues from."""
        return self.folder / STATE

    @property
    def trained(self) -> bool:
        """Whether the weights are there."""
        return self.weights.is_file()

    @property
    def cost(self) -> dict[str, float]:
        """What the training took, see `training.Curve.cost`; empty where it is not known."""
        path = self.folder / COST
        if not path.is_file():
            return {}
        found = read_json(path, CheckpointError)
        if not isinstance(found, dict) or not all(is_number(found.get(f)) for f in COST_FIELDS):
            raise CheckpointError(f"{path}: expected {' and '.join(COST_FIELDS)}; delete the file")
        cost = {field: found[field] for field in COST_FIELDS}
        if found.get(CHECKSUM, checksum(cost)) != checksum(cost):
            raise CheckpointError(f"{path}: does not match its checksum: the file is damaged; delete it")
        return cost

    def write_cost(self, cost: Mapping[str, float]) -> None:
        """Write what the training took, with a checksum."""
        write_atomically(self.folder / COST, json.dumps({**cost, CHECKSUM: checksum(cost)}) + "\n")

    def tidy(self) -> None:
        """Remove the state of a training that was killed after it had written the weights."""
        if self.state.exists():
            self.state.unlink(missing_ok=True)

    def write_recipe(self) -> None:
        """Write recipe.yaml, so that the folder's name now means this recipe."""
        write_atomically(self.folder / RECIPE, yaml.safe_dump(json.loads(json.dumps(self.recipe)), sort_keys=False))


def find(
    checkpoints: Path,
    name: str,
    recipe: Mapping[str, Any],
    known: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
) -> Checkpoint:
    """The checkpoint called `name` that `recipe` makes, trained or not.

    Args:
        checkpoints: the folder of all models.
        name: of the folder, as long as no other recipe has it.
        recipe: everything that decides the weights.
        known: a recipe as read, in which a class of a plugin has the name that it declares.

    Raises:
        CheckpointError: a recipe.yaml in the way cannot be read, or is missing beside weights.
    """
    plain = json.loads(json.dumps(recipe))
    suffix = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:8]
    first = checkpoints / name
    if (first / WEIGHTS).exists() and not (first / RECIPE).exists():
        raise CheckpointError(
            f"{first / RECIPE}: missing beside {WEIGHTS}, so nobody knows how these weights were trained; "
            "delete the folder to train again, or give the weights themselves: checkpoint=FILE"
        )
    if not (first / RECIPE).is_file() or known(read_recipe(first)) == plain:
        return Checkpoint(first, plain)
    # Recipes of before schema 3 have suffixes of their own.
    for folder in sorted(first.parent.glob(f"{glob.escape(name)}-{'[0-9a-f]' * len(suffix)}")):
        if (folder / RECIPE).is_file() and known(read_recipe(folder)) == plain:
            return Checkpoint(folder, plain)
    return Checkpoint(first.with_name(f"{name}-{suffix}"), plain)


def read_recipe(folder: Path) -> dict[str, Any]:
    """What recipe.yaml in `folder` says, in the form of today; empty where it holds something else.

    Raises:
        CheckpointError: it cannot be read.
    """
    path = folder / RECIPE
    try:
        found = read_yaml(path, CheckpointError)
        return legacy.recipe(found) if isinstance(found, dict) else {}
    except (CheckpointError, AttributeError, LookupError, TypeError, ValueError) as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise CheckpointError(f"{path}: not a readable recipe ({reason}); delete its folder to train again") from error
