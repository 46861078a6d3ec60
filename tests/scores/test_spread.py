"""What trainings and images contribute, several tests at once, ranks and quotients: by hand and by properties."""

import math

import numpy as np
import pandas as pd
import pytest

from mtlbench.scores import holm, interval, over_seeds, paired_difference, quotient
from mtlbench.scores.ranks import permutation_p, rank_interval, spearman
from mtlbench.scores.spread import Spread, spread
from mtlbench.scores.student import SMALLEST_P, beyond, quantile, two_sided


@pytest.mark.parametrize(
    ("freedom", "t"), [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (9, 2.2622), (30, 2.0423), (None, 1.9600)]
)
def test_quantiles_of_t_are_those_of_the_tables(freedom: int | None, t: float) -> None:
    assert quantile(0.05, freedom) == pytest.approx(t, abs=1e-4)
    p, ts, _ = beyond(freedom)
    assert np.interp(t, ts, p) == pytest.approx(0.05, rel=1e-2)
    if freedom:
        assert two_sided(np.array([0.0, t]), freedom) == pytest.approx([1, 0.05], abs=1e-5)


def averaged(values: list[float], images: float = 0.0, own: float = 0.0, rows: int = 1) -> pd.DataFrame:
    """Means over trainings with these values; replicates move all of them alike by `images`, each by `own` too."""
    rng = np.random.default_rng(0)
    parts = []
    for row in range(rows):
        alike = rng.normal(0, images, 2000)
        for seed, value in enumerate(values):
            moved = value + alike + rng.normal(0, own, 2000)
            index = pd.MultiIndex.from_tuples([(row, seed, "ok")], names=["row", "seed", "status"])
            parts.append(pd.DataFrame([[value, *moved]], index))
    return over_seeds(pd.concat(parts))


def test_where_trainings_decide_it_is_the_t_interval() -> None:
    """2, 3, 4: mean 3, standard deviation 1, t = 3 sqrt(3) = 5.196 with 2 degrees of freedom, p = .0351."""
    found = paired_difference(averaged([2, 3, 4]), 0 * averaged([2, 3, 4])).iloc[0]
    assert found["diff"] == pytest.approx(3)
    half = 4.3027 / math.sqrt(3)
    assert [found["ci_low"], found["ci_high"]] == pytest.approx([3 - half, 3 + half], abs=1e-3)
    assert found["p_value"] == pytest.approx(0.0351, rel=0.02)


def test_three_trainings_that_agree_in_sign_prove_nothing() -> None:
    found = paired_difference(averaged([1, 5, 9]), 0 * averaged([1, 5, 9])).iloc[0]
    assert found["p_value"] > 0.1
    assert found["ci_low"] < 0


def test_where_images_decide_it_is_a_normal_interval() -> None:
    frame = averaged([3, 3, 3], images=1.0)
    low, high = interval(frame).iloc[0]
    assert (high - low) / 2 == pytest.approx(1.96, rel=0.05)
    assert paired_difference(frame, 0 * frame)["p_value"].item() == pytest.approx(0.0027, rel=0.3)


def test_what_each_training_adds_on_the_images_counts_once() -> None:
    """It is in the spread between trainings already; what they have in common is not."""
    own, common = spread(averaged([1, 2, 3], own=1.0)), spread(averaged([1, 2, 3], images=1.0))
    assert own.images.item() == pytest.approx(0, abs=0.05)
    assert common.images.item() == pytest.approx(1, rel=0.1)
    assert own.between.item() == common.between.item() == pytest.approx(1 / 3)


def test_p_and_interval_say_the_same() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(0, 2, 200)
    some = Spread(values, np.full(200, 3), rng.uniform(0.1, 1, 200), rng.uniform(-0.1, 1, 200))
    assert ((np.abs(values) > some.half()) == (some.p_values() < 0.05)).all()
    assert (Spread(np.array([1e9]), np.array([3]), np.array([1.0]), np.array([0.0])).p_values() >= SMALLEST_P).all()


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-16])
def test_no_difference_is_no_evidence_however_small_the_spread(value: float) -> None:
    """Two trainings' differences of 0 have no variance, and that due to images may be estimated below 0."""
    assert Spread(np.array([value]), np.array([3]), np.array([0.0]), np.array([-1e-9])).p_values().tolist() == [1]


@pytest.mark.parametrize(
    ("value", "between", "images", "needed"),
    [(9.0, 1.0, 0.0, "3"), (1.0, 1.0, 0.0, "26"), (0.1, 1.0, 0.0, ">100"), (1.0, 0.01, 1.0, "more images")],
)
def test_how_many_seeds_would_decide(value: float, between: float, images: float, needed: str) -> None:
    """Three had a variance of the mean of `between`. 26 by the usual table of a paired t-test, d = 1 / sqrt(3)."""
    found = Spread(np.array([value]), np.array([3]), np.array([between]), np.array([images])).seeds_needed()
    assert found == [needed]


def test_without_samples_of_the_images_there_is_no_interval() -> None:
    frame = pd.concat([averaged([value])[[0]] for value in (1.0, 2.0)]).reset_index()
    frame = frame.assign(seed=[0, 1], row=0).set_index(["row", "seed", "status"])[[0]]
    found = paired_difference(over_seeds(frame), 0 * over_seeds(frame))
    assert found["diff"].tolist() == [1.5]
    assert found[["ci_low", "ci_high", "p_value"]].isna().all(axis=None)


def test_one_training_says_nothing_of_others() -> None:
    found = paired_difference(averaged([3], own=1.0), 0 * averaged([3], own=1.0))
    assert found["seeds_needed"].tolist() == ["unknown"]


def test_holm_by_hand() -> None:
    found = holm(pd.Series([0.01, np.nan, 0.04, 0.03, 0.005], index=list("abcde")))
    assert found.drop("b").to_dict() == pytest.approx({"a": 0.03, "c": 0.06, "d": 0.06, "e": 0.02})
    assert np.isnan(found["b"])
    assert holm(pd.Series([0.6, 0.7])).tolist() == [1, 1]
    assert holm(pd.Series([], dtype=float)).empty


def test_the_rank_correlation_that_was_called_certain() -> None:
    """Six levels: rho -.829 has p = .058; the bootstrap over images and seeds said .002 (docs/results/rooms.md)."""
    x, y = np.arange(6.0), np.array([4.0, 5, 2, 3, 0, 1])
    assert spearman(x, y) == pytest.approx(-0.829, abs=1e-3)
    assert permutation_p(x, y) == pytest.approx(0.058, abs=1e-3)


def test_permuted_ranks_by_hand_and_with_ties() -> None:
    assert permutation_p(np.arange(4.0), np.arange(4.0) ** 3) == pytest.approx(2 / 24)
    tied = np.array([0.0, 0, 1, 1])
    assert spearman(np.arange(4.0), tied) == pytest.approx(2 / math.sqrt(5))
    assert permutation_p(np.arange(4.0), tied) == pytest.approx(8 / 24), "of 24 orders 4 are as good, 4 as bad"
    assert np.isnan(permutation_p(np.arange(4.0), np.ones(4)))
    assert np.isnan(spearman(np.arange(3.0), np.array([1, np.nan, 2])))
    x = np.random.default_rng(0).normal(size=(2, 19))
    assert permutation_p(*x) == permutation_p(*x), "the random orders are the same ones every time"


def test_the_interval_of_a_rank_correlation() -> None:
    low, high = rank_interval(0.0, 19)
    assert (low, high) == pytest.approx((-math.tanh(1.96 / 4), math.tanh(1.96 / 4)), abs=1e-4)
    for rho, n in ((1.0, 19), (0.5, 4), (np.nan, 19)):
        assert np.isnan(rank_interval(rho, n)).all()


def test_a_quotient_of_two_numbers_and_its_interval() -> None:
    """Fieller with a denominator that is known exactly: the interval of the numerator, divided."""
    above, below = averaged([8, 10, 12]), averaged([2, 2, 2])
    found = quotient(above, below).iloc[0]
    half = 4.3027 * 2 / math.sqrt(3) / 2
    assert found.to_dict() == pytest.approx(
        {"value": 5, "ci_low": 5 - half, "ci_high": 5 + half, "below_low": 2}, abs=1e-3
    )


def test_a_quotient_by_what_may_be_zero_has_no_interval() -> None:
    found = quotient(averaged([8, 10, 12]), averaged([0.1, 2, 4])).iloc[0]
    assert found["value"] == pytest.approx(10 / (6.1 / 3))
    assert found["below_low"] < 0
    assert np.isnan([found["ci_low"], found["ci_high"]]).all()


def test_a_common_factor_leaves_a_quotient_alone() -> None:
    """Trainings that differ by a factor in both: the quotient is known, whatever it is a quotient of."""
    below = averaged([4.0, 5, 6], images=0.1)
    found = quotient(3 * below, below).iloc[0]
    assert [found["ci_low"], found["ci_high"]] == pytest.approx([3, 3], abs=0.01)
