"""Stored cells to the wide frame of metrics that `scores` starts from: a row per cell, task, metric and score set."""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from mtlbench.errors import DataError
from mtlbench.metrics import PAPER_BATCH, Scores, values
from mtlbench.scores import bootstrap_weights
from mtlbench.scores.wide import IDENTITY, SAME_MODEL
from mtlbench.store import Cell
from mtlbench.tasks import EVERY_TASK, Task

SCORE_SETS: tuple[Scores, ...] = ("standard", "paper")
REPLICATES = 1000
LEVELS = tuple(dict.fromkeys((*IDENTITY, *SAME_MODEL, "options", "recipe", "cell")))
OPTIONS = ("objective", "step_options", "starts")


def metrics_frame(
    cells: Iterable[Cell], replicates: int = REPLICATES, paper_batch: int = PAPER_BATCH, seed: int = 0
) -> pd.DataFrame:
    """Every metric of every cell in both score sets.

    Args:
        cells: what the store holds.
        replicates: bootstrap samples of the images; the same for all cells with as many images, so that
            differences between attacks are paired.
        paper_batch: images per batch of the paper's batch means.
        seed: of the bootstrap.

    Returns:
        A wide frame: index levels `LEVELS`, ``task``, ``metric``; columns 0 (the value) to `replicates`.

    Raises:
        DataError: a cell is sound but holds something else than mtlbench computes.
    """
    weights: dict[int, np.ndarray] = {}
    index, rows = [], []
    for cell, scores in product(cells, SCORE_SETS):
        try:
            images = int(cell.identity["n_images"])
            if images != len(cell.arrays["losses"]):  # before anything of that size is drawn
                raise ValueError(f"{len(cell.arrays['losses'])} losses for {images} images")
            if images not in weights:
                weights[images] = bootstrap_weights(images, replicates, seed)
            for level, value in _values(cell, scores, weights[images], paper_batch):
                index.append(level)
                rows.append(value)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise DataError(
                f"{cell.key}.npz: a cell that cannot be scored ({type(error).__name__}: {error}); "
                "remove it from the store, the attack that made it computes it again"
            ) from error
    levels = pd.MultiIndex.from_tuples(index, names=(*LEVELS, "task", "metric")) if index else _nothing()
    return pd.DataFrame(np.array(rows).reshape(len(rows), 1 + replicates), index=levels)


def _values(
    cell: Cell, scores: Scores, weights: np.ndarray, paper_batch: int
) -> Iterator[tuple[tuple[Any, ...], np.ndarray]]:
    """Index levels and values of every metric of a cell."""
    tasks = [Task(name, 0, "", tuple(metrics)) for name, metrics in cell.tasks.items()]
    own = names(cell)
    for variant, arrays in variants(cell.arrays).items():
        identity = own | {"scores": scores}
        if variant:
            identity |= {"target": variant, "cell": f"{cell.key}:{variant}"}
        for (task, metric), value in values(tasks, arrays, weights, scores, paper_batch).items():
            yield (*(identity[level] for level in LEVELS), task, metric), value


def variants(arrays: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """The statistics of the result under ``""``, and of each weighting that was tried under its name."""
    found: dict[str, dict[str, np.ndarray]] = {"": {}}
    for name, array in arrays.items():
        variant, _, statistic = name.rpartition(":")
        found.setdefault(variant, {})[statistic] = array
    return found


def names(cell: Cell) -> dict[str, Any]:
    """What a cell is called in tables, and what tells it from others of the same name.

    ``target`` says which tasks are attacked where it is some of them. ``options`` is what attacks of one name may
    differ in: a step size, an alpha, restarts, the attacked tasks. ``recipe`` is that of the training, which has more
    than a name; empty where the weights were given. Both are canonical JSON.
    """
    identity = {"precision": "fp32", **cell.identity, "cell": cell.key}
    attack = {name: identity[name] for name in OPTIONS if identity.get(name)}
    attacked = identity.get("tasks") or ()
    if identity.get("target") == EVERY_TASK and 0 < len(attacked) < len(cell.tasks):
        identity["target"] = "+".join(attacked)
        attack["tasks"] = attacked
    more = {"options": attack, "recipe": _recipe(cell)}
    return identity | {name: json.dumps(value, sort_keys=True) for name, value in more.items()}


def _recipe(cell: Cell) -> dict[str, Any]:
    config = cell.provenance.get("config")
    if not isinstance(config, Mapping) or config.get("checkpoint", "auto") != "auto":
        return {}
    training = {name: value for name, value in config["training"].items() if name != "save_every"}
    return {"training": training, "augment": config["dataset"]["augment"]}


def _nothing() -> pd.MultiIndex:
    names = (*LEVELS, "task", "metric")
    return pd.MultiIndex.from_arrays([[] for _ in names], names=names)
