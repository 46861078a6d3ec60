"""The attacks of a configuration, with the model that they are made on if that is another one (``attack.source``)."""

from dataclasses import replace
from pathlib import Path

from mtlbench.attacks.attack import Attack
from mtlbench.config import Config
from mtlbench.config.attack import build_attacks, build_objective_and_step
from mtlbench.errors import CheckpointError, UsageError
from mtlbench.experiment.setup import Setup, weights_file
from mtlbench.models.architecture import Architecture
from mtlbench.models.checkpoint import load_weights, tree_in
from mtlbench.models.custom import Custom
from mtlbench.models.tree_model import TreeModel


def attacks_of(setup: Setup, config: Config) -> dict[str, Attack]:
    """Target -> attack, see `build_attacks`.

    Args:
        setup: of the attacked model.
        config: its own, or one that differs in the options of the attack.

    Raises:
        UsageError: ``attack.source`` cannot be of this model.
        CheckpointError: it is no weights file of such a model.
    """
    attacks = build_attacks(config, build_objective_and_step(config), setup.test.tasks)
    given = config["attack"].get("source")
    if given is None or not attacks:
        return attacks
    source = _load(setup, str(given))
    return {target: replace(attack, source=source) for target, attack in attacks.items()}


def _load(setup: Setup, given: str) -> TreeModel:
    """A model of the same backbone and tasks, of the tree that its weights name."""
    if isinstance(setup.architecture, Custom):
        raise UsageError(
            f"attack.source={given}: a model=custom has no weights file that says what it is; in Python give "
            "mtlbench.attack(model, ..., source=other_model)"
        )
    file, backbone, tasks = weights_file(Path(given)), setup.architecture.backbone, setup.test.tasks
    tree = tree_in(file, [task.name for task in tasks], backbone.blocks)
    if tree is None:
        raise CheckpointError(
            f"attack.source: {file} does not say its sharing tree; expected weights of mtlbench train"
        )
    model = Architecture(backbone, tree).new(tasks, 0, setup.device)
    load_weights(model, file)
    return model
