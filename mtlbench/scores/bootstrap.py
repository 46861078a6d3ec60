"""Uncertainty from resampling the images, and where rows are means over trainings from these too (see `spread`).

Replicate r of every row comes from the same resampled images, so differences between rows are paired.
"""

import numpy as np
import pandas as pd

from mtlbench.scores.spread import NO_TEST, spread
from mtlbench.scores.student import SMALLEST_P, two_sided_normal
from mtlbench.scores.wide import Block, block, of_trainings, point, replicates


def bootstrap_weights(n_images: int, replicates: int, seed: int) -> Block:
    """How often each image counts in each replicate: [1 + replicates, n_images], the first row ones.

    The weights depend only on the arguments, so attacks on the same images are resampled together.
    """
    drawn = np.random.default_rng(seed).multinomial(n_images, np.full(n_images, 1 / n_images), replicates)
    return np.vstack([np.ones(n_images), drawn])


def interval(frame: pd.DataFrame) -> pd.DataFrame:
    """ci_low and ci_high of each row of a wide frame: 95 %, over images, and over trainings where they are several.

    Of one training the 2.5 and 97.5 percentiles of its replicates; of several the interval of `spread`. NaN without
    replicates, and where the value itself or a replicate is undefined.
    """
    drawn = replicates(frame)
    bounds = np.full((2, len(frame)), np.nan)
    if drawn.size:
        bounds = np.percentile(drawn, [2.5, 97.5], axis=1)
        if of_trainings(frame).shape[1]:
            found = spread(frame)
            several, half = found.trainings > 1, found.half()
            bounds[:, several] = np.array([found.value - half, found.value + half])[:, several]
        bounds[:, np.isnan(point(frame))] = np.nan
    return pd.DataFrame({"ci_low": bounds[0], "ci_high": bounds[1]}, index=frame.index)


def paired_difference(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """The differences a - b of wide rows over the same images and trainings, with intervals and two-sided p-values.

    Of several trainings the p-value is that of `spread`. Of one it is over the images only: twice the share of
    replicates on the other side of zero, the null counted as one more, and where there is none on the other side the
    tail of a normal distribution with the spread of the replicates. A row less itself is no test: its p-value is NaN.

    Args:
        a: wide frame.
        b: of the same shape; row i is compared with row i of `a`.

    Returns:
        Columns diff, ci_low, ci_high, p_value and seeds_needed (text, see `Spread.seeds_needed`), index of `a`; NaN
        where a value or a replicate is undefined.

    Raises:
        ValueError: the two differ in shape.
    """
    if a.shape != b.shape:
        raise ValueError(f"expected two frames of equal shape, found {a.shape} and {b.shape}")
    difference = pd.DataFrame(block(a) - block(b), index=a.index, columns=a.columns)
    found = spread(difference)
    p_values = np.where(found.trainings > 1, found.p_values(), _over_images(difference))
    nothing = (difference.fillna(0) == 0).all(axis=1).to_numpy()
    result = interval(difference).assign(p_value=np.where(nothing, np.nan, p_values))
    result.insert(0, "diff", found.value)
    needed = [NO_TEST if none else seeds for none, seeds in zip(nothing, found.seeds_needed(), strict=True)]
    return result.assign(seeds_needed=pd.array(needed, dtype=object))


def _over_images(difference: pd.DataFrame) -> Block:
    """The p-value of each row from its replicates alone."""
    values, drawn = point(difference), replicates(difference)
    if not drawn.size:
        return np.full(len(difference), np.nan)
    sides = np.minimum((drawn <= 0).sum(1), (drawn >= 0).sum(1))
    p_values = np.minimum(1.0, 2 * (1 + sides) / (1 + drawn.shape[1]))
    deviation = drawn.std(1)
    z = np.divide(np.abs(values), deviation, out=np.full(values.shape, np.inf), where=deviation > 0)
    p_values = np.where(sides == 0, np.minimum(p_values, two_sided_normal(z)), p_values)
    return np.where(np.isnan(values) | np.isnan(drawn).any(1), np.nan, p_values.clip(min=SMALLEST_P))
