"""The wiring of an experiment: parts from configuration, a model, the cells that are missing, one pass, the store."""

import json
import logging
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from mtlbench import parts, precision, provenance
from mtlbench.cells import Plan, clean_plan, plans
from mtlbench.checkpoints import CLEAN_METRICS, COST, CURVE, WEIGHTS, Checkpoint, find
from mtlbench.claims import claimed
from mtlbench.compute import Job, complete
from mtlbench.data.base import ImageDataset
from mtlbench.data.batch import Batch
from mtlbench.data.fingerprint import fingerprint
from mtlbench.data.loader import in_order
from mtlbench.errors import BusyError, CheckpointError
from mtlbench.evaluate import cpu_block
from mtlbench.files import sweep, write_atomically
from mtlbench.models.checkpoint import load_weights, save_weights, weights_hash
from mtlbench.models.sharing import Tree
from mtlbench.models.tree_model import TreeModel, build
from mtlbench.parts import Config
from mtlbench.results import metrics_frame
from mtlbench.scores import tables
from mtlbench.session import Session
from mtlbench.store import Store
from mtlbench.training import Recipe, train
from mtlbench.watchdog import Screen, watched

ONLY_ATTACK = (
    "attack",
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
)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Setup:
    """What every command that touches a model needs.

    Attributes:
        config: the resolved configuration.
        root: the dataset's folder.
        test: its test split, cut to `limit`.
        tree: the sharing tree.
        recipe: how the model is trained.
        device: where to compute.
        name: of the checkpoint, unless a model of another recipe has it.
        checkpoint: where the model is, or will be.
        screen: shows progress.
        session: of the invocation.
    """

    config: Config
    root: Path
    test: ImageDataset
    tree: Tree
    recipe: Recipe
    device: torch.device
    name: str
    checkpoint: Checkpoint
    screen: Screen
    session: Session

    @property
    def store(self) -> Store:
        """Where cells are kept."""
        return Store(Path(self.config["outputs"]) / "store")


def run_attack(config: Config, screen: Screen, session: Session) -> None:
    """Compute the cells of one configuration that are not stored yet; the keys of all go into `session`.

    Raises:
        BusyError: another process is at some of them, at the training or at the rooms; what could be done is done.
        FailedCellsError: some cells failed.
    """
    epsilons, engine = parts.epsilons(config), parts.engine(config)
    precision.check(config["precision"])
    setup = prepare(config, screen, session)
    attacks = parts.attacks(config, engine, setup.test.tasks)
    model = trained_model(setup)
    precision.apply(model, config["precision"], setup.device)
    wanted = plans(config, model_identity(setup, model, setup.test, config["precision"]), attacks, epsilons)
    session.wanted.update(plan.key for plan in wanted)
    _compute(setup, model, setup.test, wanted)


def run_training(config: Config, screen: Screen, session: Session) -> tuple[Checkpoint, str]:
    """Train a model, or finish its training, and store its clean metrics; the model, and the key of its clean cell."""
    setup = prepare(config, screen, session)
    model = trained_model(setup, may_train=True)
    return setup.checkpoint, _record_clean(setup, model)


def prepare(config: Config, screen: Screen, session: Session) -> Setup:
    """Check the configuration, generate rooms where they are missing, open the test split, find the checkpoint."""
    screen = watched(screen, config["timeout"])
    device, recipe, backbone = parts.device(config), parts.recipe(config), parts.backbone(config)
    adversary = parts.adversary(config)
    with screen(f"generate {config['dataset']['name']}") as progress:
        root = parts.dataset_root(config, progress)
    test = parts.open_dataset(config, "test", root, limit=config.get("limit"))
    tree = parts.tree(config, len(test.tasks))
    training = config["training"]["name"]
    name = f"{test.name}-{backbone.name}-{tree.name}-{training}-s{config['seed']}"
    decisive = {
        "dataset": parts.dataset_identity(config, root),
        "model": dict(config["model"]) | {"version": backbone.version},
        "tree": str(tree),
        "tasks": {task.name: task.channels for task in test.tasks},
        "training": {"name": training, **asdict(recipe)} | (asdict(adversary) if adversary else {}),
    }
    checkpoint = find(Path(config["outputs"]), name, decisive)
    return Setup(config, root, test, tree, recipe, device, name, checkpoint, screen, session)


def trained_model(setup: Setup, may_train: bool = False) -> TreeModel:
    """The model of the experiment, on its device; trained first where it is missing and rooms or `may_train` allow.

    Raises:
        CheckpointError: there is no checkpoint; the message holds the command that trains it.
    """
    config, checkpoint = setup.config, setup.checkpoint
    backbone = parts.backbone(config)
    model = build(backbone, setup.tree, setup.test.tasks, config["seed"]).to(setup.device)
    given = config.get("checkpoint", "auto")
    if given != "auto":
        path = Path(str(given)).expanduser()
        load_weights(model, path / WEIGHTS if path.is_dir() else path)
        return model
    again = may_train and config["force"] and str(checkpoint.folder) not in setup.session.computed
    if checkpoint.trained and not again:
        load_weights(model, checkpoint.weights)
        checkpoint.tidy()
    elif may_train or config["dataset"]["make"] is not None:
        with claimed(checkpoint.folder, f"training {checkpoint.folder.name}"):
            _train(setup, model, again)
    else:
        raise CheckpointError(
            f"{checkpoint.folder}: no trained model here. Train it first (this may take long):\n\n"
            f"  {_train_line(config)}\n\nor give a weights file: checkpoint=FILE"
        )
    if not (checkpoint.folder / CLEAN_METRICS).is_file():
        _record_clean(setup, model)
    return model


def _train(setup: Setup, model: TreeModel, again: bool) -> None:
    config, checkpoint = setup.config, setup.checkpoint
    if checkpoint.folder != find(Path(config["outputs"]), setup.name, checkpoint.recipe).folder:
        raise BusyError(f"{checkpoint.folder}: another recipe has just got this name")
    if checkpoint.trained and not again:  # by another process, before we had the claim
        load_weights(model, checkpoint.weights)
        return
    sweep(checkpoint.folder)
    data = parts.open_dataset(config, "train", setup.root, augmented=True)
    checkpoint.write_recipe()
    adversary = parts.adversary(config)
    with setup.screen(f"train {checkpoint.folder.name}") as progress:
        curve = train(
            model,
            data,
            setup.recipe,
            setup.device,
            checkpoint.state,
            save_every=config["training"]["save_every"],
            workers=config["workers"],
            progress=progress,
            perturb=partial(adversary, data.tasks) if adversary else None,
        )
    write_atomically(checkpoint.folder / CURVE, curve.csv())
    write_atomically(checkpoint.folder / COST, json.dumps(curve.cost) + "\n")
    save_weights(model, checkpoint.weights)
    checkpoint.state.unlink(missing_ok=True)
    setup.session.computed.add(str(checkpoint.folder))


def _record_clean(setup: Setup, model: TreeModel) -> str:
    """Store the clean cell of the whole test split and write its metrics beside the weights; the key of the cell.

    They are the dataset's own metrics, whatever the attack at hand is scored by: others use these weights as well.
    """
    setup = replace(setup, config={**setup.config, "dataset": {**setup.config["dataset"], "metrics": None}})
    whole = parts.open_dataset(setup.config, "test", setup.root)
    plan = clean_plan(model_identity(setup, model, whole))
    _compute(setup, model, whole, [plan])
    metrics = tables(metrics_frame([setup.store.load(plan.key)]))["metrics"]
    columns = ["scores", "task", "metric", "unit", "higher_is_better", "clean", "n_images"]
    write_atomically(setup.checkpoint.folder / CLEAN_METRICS, metrics[columns].to_csv(index=False))
    return plan.key


def _compute(setup: Setup, model: TreeModel, dataset: ImageDataset, wanted: Sequence[Plan]) -> None:
    """Store those of the `wanted` cells that are missing."""
    config = setup.config
    origin = provenance.record(setup.device) | {"batch_size": config["batch_size"], "config": _again(config)}
    if config.get("checkpoint", "auto") == "auto" and setup.checkpoint.cost:
        origin["trained"] = setup.checkpoint.cost
    complete(
        Job(
            store=setup.store,
            model=model,
            dataset=dataset,
            plans=wanted,
            seed=config["seed"],
            device=setup.device,
            loader=loader_of(setup, dataset),
            origin=origin,
            screen=setup.screen,
            title=f"{'attack' if wanted[-1].attack else 'clean metrics of'} {setup.checkpoint.folder.name}",
            session=setup.session,
        )
    )


def loader_of(setup: Setup, dataset: ImageDataset) -> Iterable[Batch]:
    """Batches of a split in order, of the size that this device takes."""
    config = setup.config
    size = parts.resolution(config["dataset"]["resolution"])
    at_once = cpu_block(size) if setup.device.type == "cpu" else config["batch_size"]
    return in_order(dataset, at_once, config["workers"])


def _again(config: Config) -> dict[str, Any]:
    """The configuration that computes the same cells again."""
    return {key: value for key, value in config.items() if key not in ("run_dir", "force", "fail_fast", "wait")}


def model_identity(setup: Setup, model: TreeModel, dataset: ImageDataset, arithmetic: str = "fp32") -> dict[str, Any]:
    """What all cells of one model on one split share."""
    cache = Path(setup.config["outputs"]) / "datasets" / "fingerprints.json"
    return {
        "dataset": dataset.name + dataset.scoring,
        "split": dataset.split,
        "fingerprint": fingerprint(dataset, cache),
        "n_images": len(dataset),
        "model": model.backbone.name,
        "sharing": setup.tree.name,
        "shared_blocks": setup.tree.shared_blocks,
        "tree": str(setup.tree),
        "training": setup.config["training"]["name"],
        "weights": weights_hash(model),
        "seed": setup.config["seed"],
    } | ({} if arithmetic == "fp32" else {"precision": arithmetic})


def _train_line(config: Config) -> str:
    """The command that trains the missing model: the overrides that were given, less those of the attack."""
    kept = [
        o for o in config["overrides"] if o.lstrip("+~").split("=")[0].split(".")[0].split("/")[0] not in ONLY_ATTACK
    ]
    return shlex.join(["mtlbench", "train", *kept])
