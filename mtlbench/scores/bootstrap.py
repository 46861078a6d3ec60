"""Uncertainty from resampling the images.

Replicate r of every row comes from the same resampled images, so differences between rows are paired.
"""

import numpy as np
import pandas as pd

from mtlbench.scores.wide import Block, block


def bootstrap_weights(n_images: int, replicates: int, seed: int) -> Block:
    """How often each image counts in each replicate: [1 + replicates, n_images], the first row ones.

    The same arguments give the same weights: attacks measured on the same images are resampled together.
    """
    drawn = np.random.default_rng(seed).multinomial(n_images, np.full(n_images, 1 / n_images), replicates)
    return np.vstack([np.ones(n_images), drawn])


def interval(frame: pd.DataFrame) -> pd.DataFrame:
    """ci_low and ci_high of each row of a wide frame: the 2.5 and 97.5 percentiles of its replicates.

    NaN without replicates, and where the value itself or a replicate is undefined.
    """
    values = block(frame)
    bounds = np.full((2, len(values)), np.nan)
    if values[:, 1:].size:
        bounds = np.percentile(values[:, 1:], [2.5, 97.5], axis=1)
        bounds[:, np.isnan(values[:, 0])] = np.nan
    return pd.DataFrame({"ci_low": bounds[0], "ci_high": bounds[1]}, index=frame.index)


def paired_difference(a: pd.DataFrame, b: pd.DataFrame) -> dict[str, float]:
    """The difference a - b of two wide rows over the same images, with its interval and two-sided p-value.

    The p-value is twice the smaller share of replicates on either side of zero; the null counts as one more.

    Raises:
        ValueError: a frame has not exactly one row, or the two have different numbers of replicates.
    """
    if len(a) != 1 or a.shape != b.shape:
        raise ValueError(f"expected two frames of one row and equal width, found {a.shape} and {b.shape}")
    values = block(a) - block(b)
    replicates = values[0, 1:]
    bounds = interval(pd.DataFrame(values))
    p_value = np.nan
    if replicates.size and not np.isnan(values).any():
        sides = min((replicates <= 0).sum(), (replicates >= 0).sum())
        p_value = min(1.0, 2 * (1 + sides) / (1 + replicates.size))
    return {
        "diff": float(values[0, 0]),
        "ci_low": float(bounds["ci_low"].iloc[0]),
        "ci_high": float(bounds["ci_high"].iloc[0]),
        "p_value": float(p_value),
    }
