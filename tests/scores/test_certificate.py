"""Bounds, radii and abstentions of randomised smoothing: values worked out by hand, SciPy as oracle, and coverage."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom, binomtest

from mtlbench.constants import LABEL, NOISE, SELECTED, VOTES
from mtlbench.scores.certificate import ABSTAIN, certify, largest_radius, lower_bound, of_cell, predict
from mtlbench.storage.store import Cell

ALPHA = 0.001


def test_the_lower_bound_by_hand() -> None:
    """P(X >= k) of ten draws is p^10 for k = 10, 10 p^9 - 9 p^10 for 9, 1 - (1 - p)^10 for 1; each must be alpha."""
    assert lower_bound(10, 10, ALPHA) == pytest.approx(ALPHA**0.1, rel=1e-12)
    assert lower_bound(9, 10, ALPHA) == pytest.approx(0.376277, abs=1e-6)
    assert pytest.approx(ALPHA, rel=1e-4) == 10 * 0.376277**9 - 9 * 0.376277**10
    assert lower_bound(1, 10, ALPHA) == pytest.approx(1 - 0.999**0.1, rel=1e-9)
    assert lower_bound(0, 10, ALPHA) == 0


@pytest.mark.parametrize("alpha", [0.05, 0.001, 1e-6])
@pytest.mark.parametrize(
    ("hits", "draws"), [(1, 1), (3, 7), (501, 1000), (990, 1000), (1000, 1000), (99_000, 100_000)]
)
def test_the_lower_bound_is_scipys(hits: int, draws: int, alpha: float) -> None:
    expected = beta.ppf(alpha, hits, draws - hits + 1)
    assert lower_bound(hits, draws, alpha) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("p", [0.3, 0.5, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_the_bound_is_above_the_truth_with_probability_alpha_at_most(p: float, alpha: float) -> None:
    """Over all outcomes of forty draws, exactly; and it is not idle: with one hit less it would be above too often."""
    too_high = [hits for hits in range(41) if lower_bound(hits, 40, alpha) > p]
    assert binom.pmf(too_high, 40, p).sum() <= alpha
    assert binom.pmf([min(too_high, default=41) - 1, *too_high], 40, p).sum() > alpha


@given(st.integers(1, 300), st.data(), st.sampled_from([0.05, 0.001]))
def test_the_bound_grows_with_hits_and_stays_below_their_share(draws: int, data: st.DataObject, alpha: float) -> None:
    hits = data.draw(st.integers(1, draws))
    assert lower_bound(hits - 1, draws, alpha) < lower_bound(hits, draws, alpha) < hits / draws


def test_no_radius_is_beyond_what_so_many_draws_allow() -> None:
    """The cap of 1000 draws is 2.46 sigma (Phi^-1 of .001^.001 = .99312)."""
    assert largest_radius(0.25, 1000, ALPHA) == pytest.approx(0.25 * 2.4633, abs=1e-4)
    votes = np.array([[0, 1000], [10, 990], [1000, 0]])
    classes, radius = certify(votes, np.array([1, 1, 0]), 1000, np.array([0.25, 0.25, 0.5]), ALPHA)
    assert classes.tolist() == [1, 1, 0]
    assert radius[[0, 2]] == pytest.approx([largest_radius(0.25, 1000, ALPHA), largest_radius(0.5, 1000, ALPHA)])
    assert radius[1] == pytest.approx(0.25 * NormalDist().inv_cdf(beta.ppf(ALPHA, 990, 11)))
    assert largest_radius(1.0, 9, ALPHA) == 0, "0.001 ** (1 / 9) is below a half"


def test_it_abstains_where_the_bound_is_no_more_than_a_half() -> None:
    """Of 1000 draws 549 have the bound .49967, 550 have .50068."""
    assert lower_bound(549, 1000, ALPHA) < 0.5 < lower_bound(550, 1000, ALPHA)
    classes, radius = certify(np.array([[451, 549], [450, 550]]), np.array([1, 1]), 1000, np.ones(2), ALPHA)
    assert classes.tolist() == [ABSTAIN, 1]
    assert radius[0] == 0 < radius[1]


def test_the_selected_class_is_certified_not_the_one_with_most_votes() -> None:
    classes, _ = certify(np.array([[990, 10]]), np.array([1]), 1000, np.ones(1), ALPHA)
    assert classes.tolist() == [ABSTAIN]


def test_votes_that_are_missing_are_for_no_class() -> None:
    votes = np.array([[0, 600]])
    assert certify(votes, np.array([1]), 600, np.ones(1), ALPHA)[1][0] > 2
    assert certify(votes, np.array([1]), 1000, np.ones(1), ALPHA)[1][0] == pytest.approx(
        NormalDist().inv_cdf(beta.ppf(ALPHA, 600, 401))
    )


@pytest.mark.parametrize(("votes", "p_value"), [([9, 1, 0], 22 / 1024), ([5, 5, 3], 1.0), ([10, 0, 0], 2 / 1024)])
def test_prediction_by_hand(votes: list[int], p_value: float) -> None:
    """Nine or more of ten fair coins, either side up: 2 (10 + 1) / 1024; the third class plays no part."""
    counts = np.array([votes])
    assert predict(counts, p_value + 1e-9).tolist() == [0]
    assert predict(counts, p_value - 1e-9).tolist() == [ABSTAIN]
    assert binomtest(votes[0], sum(votes[:2])).pvalue == pytest.approx(p_value)


def test_nobody_voted() -> None:
    assert predict(np.array([[0, 0]]), 0.05).tolist() == [ABSTAIN]


def test_certificates_of_a_cell() -> None:
    """Deviation .25 and a length of 1/2 for eps 1: radii in units of eps are 2 * .25 Phi^-1(p)."""
    votes = np.array([[1000, 0], [0, 1000], [520, 480], [1000, 0]])
    arrays = {
        f"parity/{VOTES}": votes,
        f"parity/{SELECTED}": votes.argmax(1, keepdims=True),
        f"parity/{LABEL}": np.array([[0], [0], [0], [-1]]),
        NOISE: np.array([[0.25, 0.5]] * 4),
        "losses": np.zeros((4, 2)),
    }
    cell = Cell({"defence": {"draws": 1000, "alpha": ALPHA}}, {}, {"parity": ["accuracy"], "mask": ["miou"]}, arrays)
    (task, found), *others = of_cell(cell).items()
    assert (task, others) == ("parity", [])
    assert found.known.tolist() == [True, True, True, False]
    assert found.correct.tolist() == [True, False, False, False]
    assert found.abstained.tolist() == [False, False, True, False]
    assert found.voted.tolist() == [True, False, True, False]
    assert found.undecided.tolist() == [False, False, True, False]
    assert found.radius[[0, 1, 2]] == pytest.approx([0.5 * 2.4633, 0.5 * 2.4633, 0], abs=1e-4)
    assert of_cell(Cell({}, {}, {"parity": []}, arrays)) == {}
