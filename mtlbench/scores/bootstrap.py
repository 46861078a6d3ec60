"""Uncertainty from resampling the images.

Replicate r of every row comes from the same resampled images, so differences between rows are paired.
"""

import numpy as np
import pandas as pd

from mtlbench.scores.wide import Block, block


def bootstrap_weights(n_images: int, replicates: int, seed: int) -> Block:
    """How often each image counts in each replicate: [1 + replicates, n_images], the first row ones.

    The weights depend only on the arguments, so attacks on the same images are resampled together.
    """
    drawn = np.random.default_rng(seed).multinomial(n_images, np.full(n_images, 1 / n_images), replicates)
    return np.vstack([np.ones(n_images), drawn])


def interval(frame: pd.DataFrame) -> pd.DataFrame:
    """ci_low and ci_high of each row of a wide frame: the 2.5th and 97.5th percentiles of its replicates.

    NaN without replicates, and if the value or a replicate is undefined.
    """
    values = block(frame)
    bounds = np.full((2, len(values)), np.nan)
    if values[:, 1:].size:
        bounds = np.percentile(values[:, 1:], [2.5, 97.5], axis=1)
        bounds[:, np.isnan(values[:, 0])] = np.nan
    return pd.DataFrame({"ci_low": bounds[0], "ci_high": bounds[1]}, index=frame.index)


def paired_difference(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """The differences a - b of wide rows over the same images, with intervals and two-sided p-values.

    The p-value is twice the smaller share of replicates on either side of zero, with one added to both counts.
    With 1000 replicates the smallest is 0.002.

    Args:
        a: wide frame.
        b: of the same shape; row i is compared with row i of `a`.

    Returns:
        Columns diff, ci_low, ci_high, p_value, index of `a`; NaN if a value or a replicate is undefined.

    Raises:
        ValueError: the two differ in shape.
    """
    if a.shape != b.shape:
        raise ValueError(f"expected two frames of equal shape, found {a.shape} and {b.shape}")
    values = block(a) - block(b)
    replicates = values[:, 1:]
    result = interval(pd.DataFrame(values, index=a.index))
    result.insert(0, "diff", values[:, 0])
    if not replicates.size:
        return result.assign(p_value=np.nan)
    sides = np.minimum((replicates <= 0).sum(1), (replicates >= 0).sum(1))
    p_values = np.minimum(1.0, 2 * (1 + sides) / (1 + replicates.shape[1]))
    return result.assign(p_value=np.where(np.isnan(values).any(1), np.nan, p_values))
