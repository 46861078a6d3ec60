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
from mtlbench.tasks import Task

SCORE_SETS: tuple[Scores, ...] = ("standard", "paper")
REPLICATES = 1000
LEVELS = tuple(dict.fromkeys((*IDENTITY, *SAME_MODEL, "options", "cell")))
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
    for variant, arrays in variants(cell.arrays).items():
        identity = {"precision": "fp32", **cell.identity, "scores": scores}
        identity |= {"options": options(cell.identity), "cell": cell.key}
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


def options(identity: Mapping[str, Any]) -> str:
    """What tells attacks of the same name apart, as canonical JSON: a step size, an alpha, restarts."""
    return json.dumps({name: identity[name] for name in OPTIONS if identity.get(name)}, sort_keys=True)


def _nothing() -> pd.MultiIndex:
    names = (*LEVELS, "task", "metric")
    return pd.MultiIndex.from_arrays([[] for _ in names], names=names)
