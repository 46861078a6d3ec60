"""The components of a configuration, each built once and checked; used by every command that needs a model."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mtlbench.config import Config
from mtlbench.config.build import identity_of
from mtlbench.config.dataset import dataset_identity, dataset_root, known_tasks, open_dataset, size_of, space_of
from mtlbench.config.defence import build_defence
from mtlbench.config.model import build_backbone, build_custom, choose_device, is_custom, sharing_tree
from mtlbench.config.training import build_adversary, build_noise, training_recipe
from mtlbench.data import left_out
from mtlbench.data.base import MultiTaskDataset
from mtlbench.engine.adversarial import Adversary
from mtlbench.engine.noisy import Noisy
from mtlbench.engine.smoothing import Smoothing
from mtlbench.engine.training import Recipe
from mtlbench.errors import UsageError
from mtlbench.experiment.session import Session
from mtlbench.models.architecture import Architecture
from mtlbench.models.backbone import Backbone
from mtlbench.models.checkpoint import tree_in
from mtlbench.models.custom import Custom
from mtlbench.models.sharing import Tree
from mtlbench.process.watchdog import ProgressBar, watched
from mtlbench.storage.checkpoints import WEIGHTS, Checkpoint, find
from mtlbench.storage.outputs import Outputs
from mtlbench.tasks import Task

AUTO = "auto"
"""Value of ``checkpoint=``: the model of the recipe, trained if it is missing."""


@dataclass(frozen=True)
class Setup:
    """The components of an experiment.

    Attributes:
        config: the resolved configuration.
        root: the dataset's folder.
        test: its test split, cut to `limit`.
        architecture: of the model.
        recipe: how the model is trained.
        adversary: makes the attacked images of adversarial training; None for clean training.
        noise: makes the inputs of training with noise; None for other training.
        defence: of the attacked model; None where there is none.
        device: where to compute.
        progress_bar: opens a progress bar.
        session: of the invocation.
    """

    config: Config
    root: Path
    test: MultiTaskDataset
    architecture: Architecture | Custom
    recipe: Recipe
    adversary: Adversary | None
    noise: Noisy | None
    defence: Smoothing | None
    device: torch.device
    progress_bar: ProgressBar
    session: Session

    @property
    def outputs(self) -> Outputs:
        """The outputs folder."""
        return Outputs.of(self.config)

    @property
    def own(self) -> Architecture:
        """The architecture of a model that is trained here."""
        assert isinstance(self.architecture, Architecture)
        return self.architecture

    @property
    def training(self) -> dict[str, object]:
        """Everything that determines how the model is trained, but the dataset."""
        parts = (self.recipe, self.noise, self.adversary)
        found = {name: value for part in parts if part is not None for name, value in part.identity().items()}
        return {"name": self.config["training"]["name"], **found}

    def checkpoint(self) -> Checkpoint:
        """The checkpoint of this recipe's model, which may not exist yet."""
        config, plugins = self.config, self.config["plugins"]
        recipe = {
            "dataset": dataset_identity(config, self.root),
            "model": self.own.backbone.identity_at(size_of(config)),
            "tree": str(self.own.tree),
            "tasks": {task.name: task.channels for task in self.test.tasks},
            "training": self.training,
        }
        training, tree = config["training"]["name"], self.own.tree.name
        of_data = self.test.name + self.test.chosen
        name = f"{of_data}-{self.own.backbone.name}-{tree}-{training}-s{config['seed']}"

        def known(found: Any) -> Any:
            return {**found, "model": identity_of(found["model"], plugins)} if "model" in found else found

        return find(self.outputs.checkpoints, name, recipe, known)


def prepare(config: Config, progress_bar: ProgressBar, session: Session) -> Setup:
    """Check the configuration, generate rooms if they are missing, open the test split."""
    progress_bar = watched(progress_bar, config["timeout"])
    device, recipe = choose_device(config), training_recipe(config)
    made_by = build_custom(config) if is_custom(config) else build_backbone(config)
    if isinstance(made_by, Backbone):
        _check_form(config, made_by)
        for note in made_by.notes:
            say(note, session)
    adversary, noise, defence = build_adversary(config), build_noise(config), build_defence(config)
    tasks = known_tasks(config)
    if tasks is not None and defence is not None:
        defence.needs(tasks, config["dataset"]["name"])
    if tasks is not None and isinstance(made_by, Backbone):
        _tree(config, tasks, made_by)  # checks options before any rooms are generated
    with progress_bar(f"generate {config['dataset']['name']}") as progress:
        root = dataset_root(config, progress)
    test = open_dataset(config, "test", root, limit=config.get("limit"))
    say_left_out(test, session)
    if defence is not None:
        defence.needs(test.tasks, test.name)
    own = made_by if isinstance(made_by, Custom) else Architecture(made_by, _tree(config, test.tasks, made_by))
    return Setup(config, root, test, own, recipe, adversary, noise, defence, device, progress_bar, session)


def _check_form(config: Config, backbone: Backbone) -> None:
    """Refuse a backbone that cannot read the inputs of the dataset.

    Raises:
        UsageError: the message names both.
    """
    form = space_of(config).form
    if form not in backbone.forms:
        raise UsageError(
            f"model={backbone.name}: it reads {' and '.join(backbone.forms)} inputs; those of "
            f"dataset={config['dataset']['name']} are of form {form}"
            + (", which model=bilstm and model=text_transformer read" if form == "text" else "")
        )


def given(config: Config) -> set[str]:
    """The names of the options given on the command line."""
    return {override.lstrip("+").partition("=")[0] for override in config["overrides"]}


def _tree(config: Config, tasks: Sequence[Task], backbone: Backbone) -> Tree:
    """The sharing tree recorded in the given weights, unless the command line gives one."""
    weights = config.get("checkpoint", AUTO)
    if weights != AUTO and not any(re.match(r"sharing\b", option) for option in given(config)):
        found = tree_in(weights_file(Path(str(weights))), [task.name for task in tasks], backbone.blocks)
        if found is not None:
            return found
    return sharing_tree(config, len(tasks), backbone.blocks)


def weights_file(path: Path) -> Path:
    """The weights file of ``checkpoint=``, which names a file or its folder."""
    path = path.expanduser()
    return path / WEIGHTS if path.is_dir() else path


def say_left_out(dataset: MultiTaskDataset, session: Session) -> None:
    """Warn once about missing images of a split, which change the numbers."""
    say(left_out.line(dataset), session)


def say(line: str, session: Session) -> None:
    """Print a line on stderr, once per invocation; nothing if it is empty."""
    if line and line not in session.said:
        print(f"mtlbench: {line}", file=sys.stderr, flush=True)
        session.said.add(line)
