"""How often do the intervals hold the truth, and how often does a test cry wolf? Simulated, NumPy alone.

    scripts/check_statistics [--experiments N]

Every kind of interval and p-value that a table prints is put before numbers whose truth is known, made anew N times:
`mtlbench.scores` as it is ("now"), and what stood in the tables before ("before": percentiles of samples of trainings
and images, p from the share of samples beyond zero). The seeds are fixed: the same version prints the same numbers.
"""

import argparse
from collections.abc import Callable, Iterable
from itertools import product

import numpy as np
import pandas as pd

from mtlbench.scores import bootstrap_weights, holm, interval, over_seeds, paired_difference, quotient
from mtlbench.scores.ranks import permutation_p, rank_interval, spearman

EXPERIMENTS = 2000
IMAGES, REPLICATES = 64, 400
SEEDS, RATIOS, COMMON = (3, 5, 10), (0.5, 1.0, 2.0, 4.0), (1.0, 0.5, 0.0)
Numbers = np.ndarray


def trained(
    rng: np.random.Generator, experiments: int, seeds: int, ratio: float, common: float, truth: float = 0.0
) -> Numbers:
    """A number on every image [experiments, seeds, IMAGES], the mean of which is `truth` in the long run.

    The mean over the images of one training has a standard error of 1 from the images and `ratio` from the training.

    Args:
        rng: what draws.
        experiments: how many.
        seeds: trainings of each.
        ratio: of the spread between trainings to that between samples of images.
        common: share of the images' variance that all trainings have in common. Images are skewed, as damage is.
        truth: see above.
    """

    def images(*shape: int) -> Numbers:
        return rng.gamma(4, 0.5, (*shape, IMAGES)) - 2  # mean 0, variance 1, skewness 1

    own, shared = images(experiments, seeds), images(experiments, 1)
    training = ratio * rng.standard_normal((experiments, seeds, 1))
    return truth + training + np.sqrt(IMAGES) * (np.sqrt(common) * shared + np.sqrt(1 - common) * own)


def frame(numbers: Numbers) -> pd.DataFrame:
    """The wide frame of means over the images, a row an experiment and training, averaged over the trainings."""
    weights = bootstrap_weights(IMAGES, REPLICATES, 0)
    experiments, seeds, _ = numbers.shape
    index = pd.MultiIndex.from_product([range(experiments), range(seeds)], names=["experiment", "seed"])
    each = pd.DataFrame((numbers @ weights.T / IMAGES).reshape(len(index), -1), index)
    return over_seeds(each.set_index(pd.Index(["ok"] * len(index), name="status"), append=True))


def before(averaged: pd.DataFrame) -> pd.DataFrame:
    """What a difference from zero had in the tables before: columns ci_low, ci_high, p_value."""
    samples = averaged.to_numpy()[:, 1 : 1 + REPLICATES]
    low, high = np.percentile(samples, [2.5, 97.5], axis=1)
    sides = np.minimum((samples <= 0).sum(1), (samples >= 0).sum(1))
    return pd.DataFrame({"ci_low": low, "ci_high": high, "p_value": np.minimum(1, 2 * (1 + sides) / (1 + REPLICATES))})


def held(found: pd.DataFrame, truth: float = 0.0) -> float:
    """Share of the intervals that hold the truth; one that has no end does."""
    missed = (found["ci_low"] > truth) | (found["ci_high"] < truth)
    return float(1 - missed.mean())


def rates(p_values: Iterable[float]) -> dict[str, float]:
    """Shares of p-values below .01, .05 and .5, and how far their distribution goes above the uniform one at most."""
    p = np.sort(np.asarray(list(p_values)))
    above = (np.arange(1, len(p) + 1) / len(p) - p).max()
    return {"p<.01": (p < 0.01).mean(), "p<.05": (p < 0.05).mean(), "p<.5": (p < 0.5).mean(), "too small by": above}


def differences(experiments: int) -> pd.DataFrame:
    """Means and differences over several trainings: the increase with sharing, recipes, attacks, accuracy lost.

    Each row is the worst of three: all, half or none of the images' variance is common to the trainings.
    """
    rows = []
    for seeds, ratio in product(SEEDS, RATIOS):
        found: dict[str, list[float]] = {}
        for common in COMMON:
            rng = np.random.default_rng((1, seeds, int(10 * ratio), int(10 * common)))
            averaged = frame(trained(rng, experiments, seeds, ratio, common))
            for name, table in (("before", before(averaged)), ("now", paired_difference(averaged, 0 * averaged))):
                found.setdefault(f"{name}: held", []).append(held(table))
                for key, value in rates(table["p_value"]).items():
                    found.setdefault(f"{name}: {key}", []).append(value)
        worst = {name: (min if name.endswith("held") else max)(values) for name, values in found.items()}
        rows.append({"seeds": seeds, "seeds/images": ratio} | worst)
    return pd.DataFrame(rows)


def of_one_training(experiments: int) -> pd.DataFrame:
    """Means and differences over the images of one training: arp.csv, damage.csv, tables of one seed."""
    averaged = frame(trained(np.random.default_rng(2), experiments, 1, 0.0, 1.0))
    found = paired_difference(averaged, 0 * averaged)
    return pd.DataFrame([{"held": held(interval(averaged))} | rates(found["p_value"])])


def quotients(experiments: int) -> pd.DataFrame:
    """Gains: quotients of two ratios whose denominator has so many standard errors; interval before and now.

    Before, the percentiles of the quotients of samples, none where a denominator comes near zero.
    """
    rows = []
    for seeds, ratio, errors in product((1, 3, 5), (0.5, 4.0), (5.0, 20.0)):
        if seeds == 1 and ratio > 1:
            continue
        rng = np.random.default_rng((3, seeds, int(10 * ratio), int(errors)))
        spread = 0.0 if seeds == 1 else ratio
        size = errors * np.sqrt(1 + spread**2 / seeds)
        above, below = (frame(trained(rng, experiments, seeds, spread, 0.5, truth)) for truth in (5 * size, size))
        with np.errstate(divide="ignore"):
            samples = above.to_numpy()[:, 1 : 1 + REPLICATES] / below.to_numpy()[:, 1 : 1 + REPLICATES]
        low, high = np.percentile(samples, [2.5, 97.5], axis=1)
        found = quotient(above, below)
        row = {"seeds": seeds, "seeds/images": spread, "denominator, errors": errors}
        row |= {"before: held": held(pd.DataFrame({"ci_low": low, "ci_high": high}), 5), "now: held": held(found, 5)}
        rows.append(row | {"now: none": float(found["ci_low"].isna().mean())})
    return pd.DataFrame(rows)


def ranks(experiments: int) -> pd.DataFrame:
    """Rank correlations over trees: interval where there is one, and p-values where there is none.

    Before, trees were taken as given, and only images and trainings drawn: here a measurement error of a fifth.
    """
    rows = []
    for trees, rho in product((6, 19), (0.0, 0.5, 0.8)):
        rng = np.random.default_rng((4, trees, int(10 * rho)))
        truth = 6 / np.pi * np.arcsin(rho / 2)  # of normal numbers with correlation rho
        now, then, p_now, p_then = [], [], [], []
        for _ in range(experiments // 4):
            x, y = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], trees).T
            found = spearman(x, y)
            now.append(rank_interval(found, trees))
            p_now.append(permutation_p(x, y))
            noisy = (x[:, None] + 0.2 * rng.standard_normal((trees, 200))).argsort(0).argsort(0)
            drawn = np.corrcoef(noisy.T, y.argsort().argsort())[-1, :-1]
            then.append(np.percentile(drawn, [2.5, 97.5]))
            p_then.append(min(1.0, 2 * (1 + min((drawn <= 0).sum(), (drawn >= 0).sum())) / 201))
        row: dict[str, float] = {"trees": trees, "rho": truth}
        for name, bounds, p in (("before", then, p_then), ("now", now, p_now)):
            row[f"{name}: held"] = held(pd.DataFrame(np.array(bounds), columns=["ci_low", "ci_high"]), truth)
            row |= {f"{name}: {key}": value for key, value in rates(p).items() if rho == 0}
        rows.append(row)
    return pd.DataFrame(rows)


def tables(experiments: int) -> pd.DataFrame:
    """Tables of twelve tests in which nothing is there to be found: share with any p below .05, raw and by Holm."""
    rows = []
    for seeds in (1, 3, 5):
        rng = np.random.default_rng((5, seeds))
        averaged = frame(trained(rng, 12 * (experiments // 4), seeds, 2.0 if seeds > 1 else 0.0, 0.5))
        p = paired_difference(averaged, 0 * averaged)["p_value"].to_numpy().reshape(-1, 12)
        adjusted = [holm(pd.Series(row)).min() for row in p]
        rows.append({"seeds": seeds, "raw": (p.min(1) < 0.05).mean(), "Holm": (np.array(adjusted) < 0.05).mean()})
    return pd.DataFrame(rows)


PARTS: dict[str, Callable[[int], pd.DataFrame]] = {
    "Differences and means over several trainings": differences,
    "Over the images of one training": of_one_training,
    "Quotients (gain)": quotients,
    "Rank correlations over trees": ranks,
    "Tables of twelve tests": tables,
}


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=EXPERIMENTS, help="of each kind")
    experiments = parser.parse_args().experiments
    for title, part in PARTS.items():
        print(f"\n{title}\n{part(experiments).round(3).to_string(index=False)}", flush=True)


if __name__ == "__main__":
    main()
