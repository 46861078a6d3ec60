"""Aggregates trainings with different seeds: the mean over seeds, with intervals over images and seeds."""

import numpy as np
import pandas as pd

from mtlbench.scores.wide import OK, Block, block, columns, levels, with_status

PER_SEED = ("seed", "weights", "cell")
"""Levels in which trainings of the same setting differ."""


def over_seeds(frame: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """The mean over seeds of rows that agree in all other levels.

    Replicate r draws images (it always does, see `bootstrap`) and also the seeds, with replacement and alike for all
    rows with as many seeds: a bootstrap in two stages, in which differences between rows stay paired. With few seeds
    it understates their spread, so no interval is made of it: columns behind the replicates hold what the mean is of
    (see `wide`), in the order of the seeds, and `bootstrap.interval` goes by these.

    Args:
        frame: wide, with the levels `PER_SEED` and ``status``.
        seed: of the draws.

    Returns:
        A wide frame with the level ``seeds`` (``0,1,2``) in place of `PER_SEED`, with the columns of the trainings if
        a row is of several. Two results of the same seed are never averaged: the row is NaN and its status says so.
    """
    keys = levels(frame).drop(columns=[name for name in PER_SEED[1:] if name in frame.index.names])
    values = block(frame)
    rest = [str(name) for name in keys if name not in ("seed", "status")]
    rows, means, each, status = [], [], [], []
    for group, members in keys.groupby(rest, dropna=False, sort=False):
        members = members.sort_values("seed", kind="stable")
        seeds = members["seed"].tolist()
        weights = _weights(len(seeds), values.shape[1] - 1, seed)
        mean = (weights.T * values[members.index]).sum(0)
        bad = [f"seed {s}: {why}" for s, why in zip(seeds, members["status"], strict=True) if why != OK]
        if len(set(seeds)) < len(seeds):
            bad.append(f"several results of seed {max(seeds, key=seeds.count)}")
            mean = np.full_like(mean, np.nan)
        rows.append((*group, ",".join(map(str, seeds))))
        means.append(mean)
        each.append(values[members.index] if not bad else values[:0])
        status.append("; ".join(bad) or OK)
    index = pd.MultiIndex.from_tuples(rows, names=(*rest, "seeds")) if rows else _empty((*rest, "seeds"))
    most = max((len(own) for own in each), default=1)
    width = values.shape[1]
    data = np.full((len(rows), width * (1 + most * (most > 1))), np.nan)
    for row, (mean, own) in enumerate(zip(means, each, strict=True)):
        data[row, :width] = mean
        if len(own) > 1:
            data[row, width : width + own.size] = own.ravel()
    names = columns(width - 1, most) if most > 1 else list(range(width))
    return with_status(pd.DataFrame(data, index, names), status)


def _weights(seeds: int, replicates: int, seed: int) -> Block:
    """Share of each seed in the value and in each replicate [1 + replicates, seeds]."""
    drawn = np.random.default_rng((seed, seeds)).multinomial(seeds, np.full(seeds, 1 / seeds), replicates)
    return np.vstack([np.ones(seeds), drawn]) / seeds


def _empty(names: tuple[str, ...]) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays([[] for _ in names], names=names)
