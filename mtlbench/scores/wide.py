"""Wide frames: a row for each cell, task and metric, identified by its index levels.

The columns 0..R are floats: 0 the value itself, 1..R its bootstrap replicates. Where rows are means over several
trainings, the columns ``k:0`` to ``k:R`` behind these are what the mean is of: the same of its k-th training. The
index levels of the input are those of `IDENTITY`, ``task``, ``metric``, ``cell`` (the cell's key: two cells are never
averaged), and others; those named in `SAME_MODEL` and `SHARING` help to match cells. Derived frames add a level
``status``.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Block = NDArray[np.float64]

IDENTITY = (
    *("dataset", "model", "training", "sharing", "shared_blocks", "attack", "step", "steps", "target", "eps"),
    *("seed", "n_images", "scores"),
)
"""The columns that every table starts with."""

SAME_MODEL = (
    *("dataset", "split", "fingerprint", "model", "training", "sharing", "tree", "weights", "seed"),
    *("n_images", "scores", "precision", "model_version"),
)
"""Levels, if present, in which an attacked cell and its clean cell agree."""

SHARING = ("sharing", "shared_blocks", "tree", "weights", "cell")
"""Levels in which a cell and its independent counterpart may differ; in all others they agree."""

ABOUT_METRIC = ("unit", "higher_is_better")
"""Levels that describe a metric; absent for built-in metrics."""
SEARCH, WEIGHTING = "weighted_total", "weighted"
"""The attack that takes the best of several weightings per image, and the attack with one of them."""

OK = "ok"


def block(frame: pd.DataFrame) -> Block:
    """The float columns [rows, 1 + R]; NaN instead of infinity."""
    values = frame.to_numpy(np.float64)
    infinite = np.isinf(values)
    return np.where(infinite, np.nan, values) if infinite.any() else values


def point(frame: pd.DataFrame) -> Block:
    """The value of each row [rows]."""
    return block(frame.iloc[:, :1])[:, 0]


def replicates(frame: pd.DataFrame) -> Block:
    """The bootstrap replicates [rows, R] of a wide frame."""
    return block(frame.iloc[:, 1 : _own(frame)])


def _own(frame: pd.DataFrame) -> int:
    """The number of columns of the mean, before those of single trainings."""
    return sum(not isinstance(name, str) for name in frame)


def of_trainings(frame: pd.DataFrame) -> Block:
    """Value and replicates of each training [rows, K, 1 + R], NaN behind the last of a row; K is 0 where none is told.

    That is so of rows that stand for one training.
    """
    own = _own(frame)
    return block(frame.iloc[:, own:]).reshape(len(frame), frame.shape[1] // own - 1, own)


def columns(replicates: int, trainings: int) -> list[int | str]:
    """Names of the columns of a wide frame of means over several trainings, see above."""
    return [*range(1 + replicates), *(f"{k}:{r}" for k in range(trainings) for r in range(1 + replicates))]


def levels(frame: pd.DataFrame) -> pd.DataFrame:
    """The index levels as columns, numbered from 0."""
    return frame.index.to_frame(index=False)


def with_status(frame: pd.DataFrame, status: Iterable[str]) -> pd.DataFrame:
    """The frame with `status` as its last index level, in the place of one that it has."""
    codes, values = pd.factorize(np.array([*status], dtype=object), sort=True)
    index: Any = frame.index
    if "status" in index.names:
        index = index.droplevel("status")
    every: list[Any] = [*index.levels, pd.Index(values, dtype=object)]
    # Their thirty levels are kept: to find them again in the rows takes longer than all that is computed.
    every_code: list[Any] = [*index.codes, codes]
    found: Any = pd.MultiIndex(levels=every, codes=every_code, names=[*index.names, "status"], verify_integrity=False)
    return frame.set_axis(found)


def groups(index: Any, names: Iterable[str] | None = None) -> NDArray[np.intp]:
    """Number of the group of each row of an index, from 0 in order of appearance: rows that agree in the levels.

    Args:
        index: of a wide frame.
        names: the levels; None means all.
    """
    places = [index.names.index(name) for name in (index.names if names is None else names)]
    codes = np.column_stack([np.asarray(index.codes[place]) for place in places])
    _, first, group = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    return first.argsort().argsort()[group.reshape(-1)]


def mean_over(level: str, frame: pd.DataFrame, say: Callable[[str, str], str], between: str) -> pd.DataFrame:
    """The mean of the rows that agree in all levels except `level`; NaN if one of them is.

    Args:
        level: the level that disappears.
        frame: with the level ``status``.
        say: (value of `level`, status) -> what the new status says of a row whose status is not ok.
        between: separator of the texts of several rows, without duplicates.
    """
    index: Any = frame.index
    rest = index.droplevel([level, "status"])
    group = groups(rest)
    order = np.argsort(group, kind="stable")
    _, starts, sizes = np.unique(group[order], return_index=True, return_counts=True)
    means = (np.add.reduceat(np.take(block(frame).T, order, axis=1), starts, axis=1) / sizes).T
    reasons: list[list[str]] = [[] for _ in starts]
    for number, name, status in zip(group, *(index.get_level_values(n) for n in (level, "status")), strict=True):
        if status != OK:
            reasons[number].append(say(name, status))
    result = pd.DataFrame(means, index=rest[order[starts]], columns=frame.columns)
    return with_status(result, (between.join(sorted(set(texts))) or OK for texts in reasons))
