"""The model of an experiment, loaded or trained first, and the recipe recorded in its weights."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from mtlbench.config import Config
from mtlbench.config.build import identity_of
from mtlbench.config.dataset import comes_by_itself, open_dataset, with_own_metrics
from mtlbench.data.batch import Batch, collate
from mtlbench.engine.training import train
from mtlbench.errors import BusyError, CheckpointError, UsageError
from mtlbench.experiment.setup import AUTO, Setup, given, say, say_left_out, weights_file
from mtlbench.models.adapted import Adapted
from mtlbench.models.checkpoint import load_state, load_weights, save_weights
from mtlbench.models.custom import Custom
from mtlbench.models.model import MultiTaskModel
from mtlbench.models.tree_model import TreeModel
from mtlbench.options import one_of
from mtlbench.probing.ask import STRICT, WARN, ask
from mtlbench.probing.finding import Probe
from mtlbench.storage.checkpoints import CLEAN_METRICS, CURVE, RECIPE, WEIGHTS, Checkpoint, read_recipe
from mtlbench.storage.claims import claimed
from mtlbench.storage.files import remove_leftovers, write_atomically

UNKNOWN = "given"
"""The name of an unknown training."""

ONLY_ATTACK = (
    "attack",
    "defence",
    "eps",
    "limit",
    "checkpoint",
    "scores",
    "force",
    "fail_fast",
    "timeout",
    "wait",
    "experiment",
    "study",
    "all_trees",
    "batch_size",
    "precision",
    "save_images",
)


@dataclass(frozen=True)
class Trained:
    """A model with weights.

    Attributes:
        model: on the device of the experiment.
        training: name of its training in tables, as recorded in the weights, not from the command line; followed by
            the name of the training dataset if that is another one.
        seed: of its training; the command's seed if unknown.
        recipe: everything that determined the weights; None if unknown.
        title: a few words for messages.
        checkpoint: its folder; None for given weights.
        probe: result of the probe of a user's model; None if it was not probed.
    """

    model: MultiTaskModel
    training: str
    seed: int
    recipe: Mapping[str, Any] | None
    title: str
    checkpoint: Checkpoint | None = None
    probe: Probe | None = None

    @property
    def cost(self) -> dict[str, float]:
        """The cost of the training; empty if unknown."""
        return self.checkpoint.cost if self.checkpoint else {}

    @property
    def has_clean_metrics(self) -> bool:
        """Whether the clean metrics are stored beside the weights; true if there is no such folder."""
        return self.checkpoint is None or (self.checkpoint.folder / CLEAN_METRICS).is_file()

    def serves(self, checkpoint: Checkpoint, setup: Setup) -> bool:
        """Whether this is already the model that `setup` asks for."""
        device, asked = next(self.model.parameters()).device, setup.device
        return self.checkpoint == checkpoint and device.type == asked.type and asked.index in (None, device.index)


def load_or_train(setup: Setup, may_train: bool = False) -> Trained:
    """The model of the experiment; trained first if it is missing and rooms or `may_train` allow it.

    Raises:
        CheckpointError: there is no checkpoint; the message gives the command that trains it.
        UsageError: the given weights contradict the command line.
    """
    config = setup.config
    if isinstance(setup.architecture, Custom):
        return _custom(setup, setup.architecture, may_train)
    weights = config.get("checkpoint", AUTO)
    if weights != AUTO:
        return _given(setup, weights_file(Path(str(weights))))
    checkpoint, last = setup.checkpoint(), setup.session.trained
    if not may_train and last and last.serves(checkpoint, setup):
        return last
    model = _new(setup)
    again = may_train and config["force"] and str(checkpoint.folder) not in setup.session.computed
    if checkpoint.trained and not again:
        _load(model, checkpoint)
        checkpoint.tidy()
    elif may_train or comes_by_itself(config):
        with claimed(checkpoint.folder, f"training {checkpoint.folder.name}"):
            _train(setup, model, checkpoint, again)
    else:
        raise CheckpointError(
            f"{checkpoint.folder}: no trained model here. Train it first (this may take long):\n\n"
            f"  {_train_line(config)}\n\nor give a weights file: checkpoint=FILE"
        )
    name, recipe = config["training"]["name"], checkpoint.recipe
    setup.session.trained = Trained(model, name, config["seed"], recipe, checkpoint.folder.name, checkpoint)
    return setup.session.trained


def _custom(setup: Setup, custom: Custom, may_train: bool) -> Trained:
    """The model built by the user's function, with the weights of ``checkpoint=`` if given."""
    if may_train:
        raise UsageError("model=custom: mtlbench does not train models of others; build it with its weights")
    seed, weights = setup.config["seed"], setup.config.get("checkpoint", AUTO)
    model = custom.new(setup.test.tasks, seed, setup.device)
    if weights != AUTO:
        file = weights_file(Path(str(weights)))
        if not isinstance(model.inner, nn.Module):
            raise UsageError(f"checkpoint={weights}: {custom.title} is a function, which has no weights to load")
        load_state(model.inner, file, partial(_say, setup, file))
    return Trained(model, UNKNOWN, seed, None, custom.title, probe=_probed(setup, model))


def _probed(setup: Setup, model: Adapted) -> Probe | None:
    """The probe of the model on the first images of the split, computed once for all points of a sweep."""
    how = setup.config["model"]["probe"]
    if how is None:
        return None
    one_of(how, "model.probe", (STRICT, WARN))
    # The same weights may come with other inputs, or see other images, at the next point of a sweep.
    key, known = str((model.identity(), setup.test.name, setup.test.settings())), setup.session.probes
    if key not in known:
        known[key] = ask(model, setup.test.tasks, partial(_first, setup))
    found = known[key]
    if how == STRICT:
        found.require("model.probe=warn goes on anyway, model.probe=null does not ask")
    if found.of("refuse") or found.of("warn"):
        say(str(found), setup.session)
    return found


def _first(setup: Setup, number: int) -> Batch:
    """So many of the first images of the split."""
    return collate([setup.test.sample(index) for index in range(min(number, len(setup.test)))]).to(setup.device)


def _new(setup: Setup) -> TreeModel:
    return setup.own.new(setup.test.tasks, setup.config["seed"], setup.device)


def _load(model: TreeModel, checkpoint: Checkpoint) -> None:
    recipe = load_weights(model, checkpoint.weights)
    if recipe is not None and recipe != checkpoint.recipe:
        raise CheckpointError(
            f"{checkpoint.folder / RECIPE}: not the recipe that {WEIGHTS} beside it was trained with; "
            "one of them was replaced or is damaged: delete the folder to train again"
        )


def _train(setup: Setup, model: TreeModel, checkpoint: Checkpoint, again: bool) -> None:
    config = setup.config
    if checkpoint.folder != setup.checkpoint().folder:
        raise BusyError(f"{checkpoint.folder}: another recipe has just got this name")
    if checkpoint.trained and not again:  # by another process, before this one held the claim
        _load(model, checkpoint)
        return
    remove_leftovers(checkpoint.folder)
    # The metrics that score are not in the recipe: an adversary that climbs metrics climbs the dataset's own.
    data = open_dataset(with_own_metrics(config), "train", setup.root, augmented=True)
    say_left_out(data, setup.session)
    checkpoint.write_recipe()
    with setup.progress_bar(f"train {checkpoint.folder.name}") as progress:
        curve = train(
            model,
            data,
            setup.recipe,
            setup.device,
            checkpoint.state,
            save_every=config["training"]["save_every"],
            workers=config["workers"],
            progress=progress,
            perturb=partial(setup.adversary, data.tasks) if setup.adversary else None,
            change=setup.noise,
            rows=setup.adversary.consistency if setup.adversary else None,
        )
    write_atomically(checkpoint.folder / CURVE, curve.csv())
    checkpoint.write_cost(curve.cost)
    save_weights(model, checkpoint.weights, checkpoint.recipe)
    checkpoint.state.unlink(missing_ok=True)
    setup.session.computed.add(str(checkpoint.folder))


def _given(setup: Setup, file: Path) -> Trained:
    """The model with the weights in a file, named by the recipe in the file or beside it."""
    config, model = setup.config, _new(setup)
    recipe = load_weights(model, file, partial(_say, setup, file))
    if recipe is None and file.name == WEIGHTS and (file.parent / RECIPE).is_file():
        recipe = read_recipe(file.parent)
    if recipe is not None and "model" in recipe:
        recipe = {**recipe, "model": identity_of(recipe["model"], config["plugins"])}
    options = given(config)
    if not recipe:
        for option in sorted(options):
            if option.partition(".")[0] == "training":
                raise UsageError(
                    f"{option}: {file} does not say how its weights were trained, so nothing reads this option; "
                    f"leave it out, the tables then say training {UNKNOWN}"
                )
        return Trained(model, UNKNOWN, config["seed"], None, file.name)
    _check_against(setup, recipe, options, file)
    training, trained_on = recipe["training"], recipe["dataset"]["name"]
    elsewhere = "" if trained_on == setup.test.name else f"({trained_on})"
    return Trained(model, training["name"] + elsewhere, training["seed"], recipe, file.name)


def _say(setup: Setup, file: Path, note: str) -> None:
    """Print once which tensors of a file were selected or adapted."""
    say(f"{file}: {note}", setup.session)


def _check_against(setup: Setup, recipe: Mapping[str, Any], options: set[str], file: Path) -> None:
    """Refuse weights whose recipe contradicts the command line.

    Raises:
        UsageError: a given option differs.
    """
    asked = setup.training
    pairs: dict[str, tuple[Any, Any]] = {}
    if "seed" in options:
        pairs["seed"] = setup.config["seed"], recipe["training"]["seed"]
    for option in sorted(options):
        group, _, name = option.partition(".")
        if group == "training":
            pairs[option] = asked.get(name or "name"), recipe["training"].get(name or "name")
        elif group == "model" and name:
            pairs[option] = setup.own.backbone.identity().get(name), recipe["model"].get(name)
    for option, (here, there) in pairs.items():
        if here != there:
            raise UsageError(
                f"{option}={here}: {file} holds weights of {option}={there}; leave the option out, the weights say it"
            )


def _train_line(config: Config) -> str:
    """The command that trains the missing model: the given overrides without those of the attack."""
    kept = [
        o for o in config["overrides"] if o.lstrip("+~").split("=")[0].split(".")[0].split("/")[0] not in ONLY_ATTACK
    ]
    if "sigma" in config["training"] and not any(o.startswith("training.sigma=") for o in kept):
        kept.append(f"training.sigma={config['training']['sigma']}")  # that of the defence, which a training lacks
    return shlex.join(["mtlbench", "train", *kept])
