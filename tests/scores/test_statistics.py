"""scripts/check_statistics in short: intervals hold the truth, and p-values are as small by chance as they say."""

import numpy as np
import pytest

from mtlbench.scores import interval, paired_difference
from scripts import check_statistics as simulation

EXPERIMENTS = 400


@pytest.mark.parametrize("common", [1.0, 0.0])
@pytest.mark.parametrize("ratio", [0.5, 4.0])
@pytest.mark.parametrize("seeds", [3, 10])
def test_several_trainings(seeds: int, ratio: float, common: float) -> None:
    rng = np.random.default_rng((1, seeds, int(10 * ratio), int(10 * common)))
    averaged = simulation.frame(simulation.trained(rng, EXPERIMENTS, seeds, ratio, common))
    found = paired_difference(averaged, 0 * averaged)
    assert simulation.held(found) > 0.92
    assert simulation.rates(found["p_value"])["too small by"] < 1.52 / np.sqrt(EXPERIMENTS), "Kolmogorov, p = .01"


def test_percentiles_over_three_trainings_were_wrong() -> None:
    """What the tables said before: a bootstrap of three trainings finds something every fifth time."""
    averaged = simulation.frame(simulation.trained(np.random.default_rng(0), EXPERIMENTS, 3, 4.0, 0.5))
    assert simulation.rates(simulation.before(averaged)["p_value"])["p<.05"] > 0.15


def test_one_training() -> None:
    averaged = simulation.frame(simulation.trained(np.random.default_rng(2), EXPERIMENTS, 1, 0.0, 1.0))
    assert simulation.held(interval(averaged)) > 0.91
    rates = simulation.rates(paired_difference(averaged, 0 * averaged)["p_value"])
    assert rates["too small by"] < 1.52 / np.sqrt(EXPERIMENTS)


def test_quotients() -> None:
    found = simulation.quotients(60)
    assert (found["now: held"] >= 0.85).all()
    assert found.loc[found["denominator, errors"] == 20, "now: none"].eq(0).all()


def test_ranks() -> None:
    found = simulation.ranks(160).set_index(["trees", "rho"])
    assert (found["now: held"] >= 0.8).all()
    assert (found["now: p<.05"].dropna() <= 0.2).all()


def test_tables_of_many_tests() -> None:
    found = simulation.tables(200)
    assert (found["Holm"] <= 0.1).all()
    assert (found["raw"] > 0.2).all()
