"""The wiring of an experiment: parts from configuration, a model, the cells that are missing, one pass, the store."""

import json
import logging
import shlex
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from mtlbench import parts, precision, provenance
from mtlbench.cells import Plan, clean_plan, plans
from mtlbench.checkpoints import CLEAN_METRICS, COST, CURVE, WEIGHTS, Checkpoint, find
from mtlbench.data.base import ImageDataset
from mtlbench.data.fingerprint import fingerprint
from mtlbench.data.loader import in_order
from mtlbench.errors import CheckpointError
from mtlbench.evaluate import Pass, cpu_block, evaluate
from mtlbench.files import write_atomically
from mtlbench.models.checkpoint import load_weights, save_weights, weights_hash
from mtlbench.models.sharing import Tree
from mtlbench.models.tree_model import TreeModel, build
from mtlbench.parts import Config
from mtlbench.progress import Progress
from mtlbench.results import metrics_frame
from mtlbench.scores import tables
from mtlbench.store import Cell, Store
from mtlbench.training import Recipe, train

Screen = Callable[[str], AbstractContextManager[Progress]]
"""Opens a progress display with a title; see `report.terminal`."""

ONLY_ATTACK = (
    "attack",
    "eps",
    "limit",
    "checkpoint",
    "scores",
    "force",
    "fail_fast",
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
        checkpoint: where the model is, or will be.
        screen: shows progress.
    """

    config: Config
    root: Path
    test: ImageDataset
    tree: Tree
    recipe: Recipe
    device: torch.device
    checkpoint: Checkpoint
    screen: Screen

    @property
    def store(self) -> Store:
        """Where cells are kept."""
        return Store(Path(self.config["outputs"]) / "store")


def run_attack(config: Config, screen: Screen) -> list[str]:
    """Compute the cells of one configuration that are not stored yet; the keys of all of them, clean cell first."""
    epsilons, engine = parts.epsilons(config), parts.engine(config)
    precision.check(config["precision"])
    setup = prepare(config, screen)
    attacks = parts.attacks(config, engine, setup.test.tasks)
    model = trained_model(setup)
    precision.apply(model, config["precision"], setup.device)
    wanted = plans(config, _model_identity(setup, model, setup.test, config["precision"]), attacks, epsilons)
    missing = [plan for plan in wanted if config["force"] or plan.key not in setup.store]
    if missing:
        _compute(setup, model, setup.test, missing)
    return [plan.key for plan in wanted]


def run_training(config: Config, screen: Screen) -> tuple[Checkpoint, str]:
    """Train a model, or finish its training, and store its clean metrics; the model, and the key of its clean cell."""
    setup = prepare(config, screen)
    if config["force"]:
        setup.checkpoint.weights.unlink(missing_ok=True)
    model = trained_model(setup, may_train=True)
    whole = parts.open_dataset(config, "test", setup.root)
    return setup.checkpoint, clean_plan(_model_identity(setup, model, whole)).key


def prepare(config: Config, screen: Screen) -> Setup:
    """Check the configuration, generate rooms where they are missing, open the test split, find the checkpoint."""
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
    return Setup(config, root, test, tree, recipe, device, checkpoint, screen)


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
    if checkpoint.trained:
        load_weights(model, checkpoint.weights)
    elif may_train or config["dataset"]["make"] is not None:
        _train(setup, model)
    else:
        raise CheckpointError(
            f"{checkpoint.folder}: no trained model here. Train it first (this may take long):\n\n"
            f"  {_train_line(config)}\n\nor give a weights file: checkpoint=FILE"
        )
    if not (checkpoint.folder / CLEAN_METRICS).is_file():
        _record_clean(setup, model)
    return model


def _train(setup: Setup, model: TreeModel) -> None:
    config, checkpoint = setup.config, setup.checkpoint
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


def _record_clean(setup: Setup, model: TreeModel) -> None:
    """Store the clean cell of the whole test split and write its metrics beside the weights."""
    whole = parts.open_dataset(setup.config, "test", setup.root)
    plan = clean_plan(_model_identity(setup, model, whole))
    if plan.key not in setup.store:
        _compute(setup, model, whole, [plan])
    metrics = tables(metrics_frame([setup.store.load(plan.key)]))["metrics"]
    columns = ["scores", "task", "metric", "unit", "higher_is_better", "clean", "n_images"]
    write_atomically(setup.checkpoint.folder / CLEAN_METRICS, metrics[columns].to_csv(index=False))


def _compute(setup: Setup, model: TreeModel, dataset: ImageDataset, missing: Sequence[Plan]) -> None:
    """One pass over `dataset` for all `missing` cells, then save them."""
    config = setup.config
    title = f"attack {setup.checkpoint.folder.name}" if missing[-1].attack else "clean metrics"
    started = time.perf_counter()
    with setup.screen(title) as progress:
        work = Pass(model, dataset.tasks, [plan.planned() for plan in missing], config["seed"])
        size = parts.resolution(config["dataset"]["resolution"])
        at_once = cpu_block(size) if setup.device.type == "cpu" else config["batch_size"]
        loader = in_order(dataset, at_once, config["workers"])
        records = evaluate(work, loader, setup.device, len(dataset), progress)
    origin = provenance.record(setup.device) | {
        "pass_seconds": round(time.perf_counter() - started, 3),
        "cells_in_pass": len(missing),
        "batch_size": config["batch_size"],
    }
    if config.get("checkpoint", "auto") == "auto" and setup.checkpoint.cost:
        origin["trained"] = setup.checkpoint.cost
    described = {task.name: list(task.metrics) for task in dataset.tasks}
    for plan in missing:
        cost = {"gradients_per_image": plan.attack.gradients if plan.attack else 0}
        setup.store.save(Cell(plan.identity, origin | cost, described, records[plan.key].arrays()))


def _model_identity(setup: Setup, model: TreeModel, dataset: ImageDataset, arithmetic: str = "fp32") -> dict[str, Any]:
    """What all cells of one model on one split share."""
    cache = Path(setup.config["outputs"]) / "datasets" / "fingerprints.json"
    return {
        "dataset": dataset.name,
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
