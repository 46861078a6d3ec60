"""What every command that touches a model starts from: the parts of a configuration, each built once and checked."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mtlbench.config import Config
from mtlbench.config.build import identity_of
from mtlbench.config.dataset import dataset_identity, dataset_root, image_size, open_dataset
from mtlbench.config.model import build_backbone, choose_device, sharing_tree
from mtlbench.config.training import build_adversary, training_recipe
from mtlbench.data import left_out
from mtlbench.data.base import ImageDataset
from mtlbench.engine.adversarial import Adversary
from mtlbench.engine.training import Recipe
from mtlbench.experiment.session import Session
from mtlbench.models.backbone import Backbone
from mtlbench.models.sharing import Tree
from mtlbench.process.watchdog import Screen, watched
from mtlbench.storage.checkpoints import Checkpoint, find
from mtlbench.storage.outputs import Outputs


@dataclass(frozen=True)
class Setup:
    """The parts of an experiment.

    Attributes:
        config: the resolved configuration.
        root: the dataset's folder.
        test: its test split, cut to `limit`.
        tree: the sharing tree.
        backbone: of the model.
        recipe: how the model is trained.
        adversary: makes the attacked images of adversarial training; None for clean training.
        device: where to compute.
        screen: shows progress.
        session: of the invocation.
    """

    config: Config
    root: Path
    test: ImageDataset
    tree: Tree
    backbone: Backbone
    recipe: Recipe
    adversary: Adversary | None
    device: torch.device
    screen: Screen
    session: Session

    @property
    def outputs(self) -> Outputs:
        """Where everything is written."""
        return Outputs.of(self.config)

    def checkpoint(self) -> Checkpoint:
        """Where the model of this recipe is, or will be."""
        config, plugins = self.config, self.config["plugins"]
        training = config["training"]["name"]
        adversary = self.adversary.identity() if self.adversary else {}
        recipe = {
            "dataset": dataset_identity(config, self.root),
            "model": self.backbone.identity_at(image_size(config["dataset"]["resolution"])),
            "tree": str(self.tree),
            "tasks": {task.name: task.channels for task in self.test.tasks},
            "training": {"name": training, **self.recipe.identity(), **adversary},
        }
        name = f"{self.test.name}-{self.backbone.name}-{self.tree.name}-{training}-s{config['seed']}"

        def known(found: Any) -> Any:
            return {**found, "model": identity_of(found["model"], plugins)} if "model" in found else found

        return find(self.outputs.checkpoints, name, recipe, known)


def prepare(config: Config, screen: Screen, session: Session) -> Setup:
    """Check the configuration, generate rooms where they are missing, open the test split."""
    screen = watched(screen, config["timeout"])
    device, recipe, backbone = choose_device(config), training_recipe(config), build_backbone(config)
    adversary = build_adversary(config)
    with screen(f"generate {config['dataset']['name']}") as progress:
        root = dataset_root(config, progress)
    test = open_dataset(config, "test", root, limit=config.get("limit"))
    say_left_out(test, session)
    tree = sharing_tree(config, len(test.tasks), backbone.blocks)
    return Setup(config, root, test, tree, backbone, recipe, adversary, device, screen, session)


def say_left_out(dataset: ImageDataset, session: Session) -> None:
    """Say once what a split should hold but does not: fewer images give other numbers."""
    line = left_out.line(dataset)
    if line and line not in session.said:
        print(f"mtlbench: {line}", file=sys.stderr, flush=True)
        session.said.add(line)
