"""Trained models in outputs/checkpoints: their names, and whether they were trained with the requested recipe.

A folder ``<dataset>-<model>-<sharing>-<training>-s<seed>`` holds model.safetensors, recipe.yaml (everything that
determined the weights), clean_metrics.csv, curve.csv and cost.json (time). A model of another recipe with the same
name (other iterations, other rooms) gets its own folder, with a hash as suffix.
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
    """A folder for one trained model; it may still be empty.

    Attributes:
        folder: where its files are.
        recipe: what determines its weights, as in its recipe.yaml.
    """

    folder: Path
    recipe: Mapping[str, Any]

    @property
    def weights(self) -> Path:
        """The weights file; it exists once the training is done."""
        return self.folder / WEIGHTS

    @property
    def state(self) -> Path:
        """The state from which an interrupted training resumes."""
        return self.folder / STATE

    @property
    def trained(self) -> bool:
        """Whether the weights exist."""
        return self.weights.is_file()

    @property
    def cost(self) -> dict[str, float]:
        """The cost of the training, see `training.Curve.cost`; empty if unknown."""
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
        """Write the cost of the training, with a checksum."""
        write_atomically(self.folder / COST, json.dumps({**cost, CHECKSUM: checksum(cost)}) + "\n")

    def tidy(self) -> None:
        """Remove the state left by a training that was killed after it had written the weights."""
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
    """The checkpoint called `name` of `recipe`, trained or not.

    Args:
        checkpoints: the folder of all models.
        name: of the folder, unless another recipe uses it.
        recipe: everything that determines the weights.
        known: converts a stored recipe to one with the public names of a plugin's components.

    Raises:
        CheckpointError: an existing recipe.yaml cannot be read, or is missing beside weights.
    """
    plain = json.loads(json.dumps(recipe))
    suffix = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:8]
    first = checkpoints / name
    if (first / WEIGHTS).exists() and not (first / RECIPE).exists():
        raise CheckpointError(
            f"{first / RECIPE}: missing beside {WEIGHTS}, so it is unknown how these weights were trained; "
            "delete the folder to train again, or give the weights themselves: checkpoint=FILE"
        )
    if not (first / RECIPE).is_file() or known(read_recipe(first)) == plain:
        return Checkpoint(first, plain)
    # Recipes from before schema 3 have different suffixes.
    for folder in sorted(first.parent.glob(f"{glob.escape(name)}-{'[0-9a-f]' * len(suffix)}")):
        if (folder / RECIPE).is_file() and known(read_recipe(folder)) == plain:
            return Checkpoint(folder, plain)
    return Checkpoint(first.with_name(f"{name}-{suffix}"), plain)


def read_recipe(folder: Path) -> dict[str, Any]:
    """The recipe in `folder`, in the current format; empty if the file holds something else.

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
