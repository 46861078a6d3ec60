"""Certificates of randomised smoothing: what counts of votes prove.

Cohen, Rosenfeld and Kolter 2019, arXiv 1902.02918. The smoothed classifier answers with the class that the model names
most often when normal noise of deviation sigma is added to its input. If the true probability of that class is at
least p > 1/2, no change of the input shorter than sigma Phi^-1(p) changes the answer (Theorem 1, with p_B = 1 - p).
Draws of the noise give a bound p that holds with probability 1 - alpha.
"""

from dataclasses import dataclass
from functools import cache
from math import lgamma, log, log1p
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mtlbench.constants import LABEL, NOISE, SELECTED, VOTES
from mtlbench.storage.store import Cell

ABSTAIN = -1
"""In the place of a class."""

HALVINGS = 60
"""Of an interval of probabilities; more change no bit."""

DEVIATIONS = 20
"""Terms of a binomial tail farther from its first one than so many square roots of n are below the smallest number."""

Whole = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Certificate:
    """What is proven of a task.

    Attributes:
        correct: whether the certified class is the label, bool [N]; false where the classifier abstains.
        radius: within which it does not change, in units of eps under ``l2`` [N]; 0 where the classifier abstains.
        abstained: whether CERTIFY abstains [N].
        voted: whether the class with the most votes is the label [N].
        undecided: whether PREDICT abstains, because the votes do not tell the two most frequent classes apart [N].
        known: whether the input has a label, bool [N]; the other inputs do not count.
    """

    correct: NDArray[np.bool_]
    radius: Floats
    abstained: NDArray[np.bool_]
    voted: NDArray[np.bool_]
    undecided: NDArray[np.bool_]
    known: NDArray[np.bool_]


def of_cell(cell: Cell) -> dict[str, Certificate]:
    """Task -> its certificate, of the tasks with votes; empty for a cell without a defence.

    Raises:
        LookupError, TypeError, ValueError: the cell is not what mtlbench computes.
    """
    if "defence" not in cell.identity:
        return {}
    sigma, length = cell.arrays[NOISE].T
    draws, alpha = int(cell.identity["defence"]["draws"]), float(cell.identity["defence"]["alpha"])
    found = {}
    for task in cell.tasks:
        if f"{task}/{VOTES}" in cell.arrays:
            votes, selected, label = (cell.arrays[f"{task}/{name}"] for name in (VOTES, SELECTED, LABEL))
            found[task] = _certificate(votes, selected[:, 0], label[:, 0], draws, sigma / length, alpha)
    return found


def _certificate(votes: Whole, selected: Whole, label: Whole, draws: int, sigma: Floats, alpha: float) -> Certificate:
    """Of votes [N, C]; sigma [N] in units of eps."""
    known = label >= 0
    classes, radius = certify(votes, selected, draws, sigma, alpha)
    return Certificate(
        correct=known & (classes == label),
        radius=radius,
        abstained=known & (classes == ABSTAIN),
        voted=known & (votes.argmax(1) == label),
        undecided=known & (predict(votes, alpha) == ABSTAIN),
        known=known,
    )


def certify(votes: Whole, selected: Whole, draws: int, sigma: Floats, alpha: float) -> tuple[Whole, Floats]:
    """CERTIFY of the paper: class [N], or `ABSTAIN`, and radius [N], each true with probability 1 - alpha.

    Args:
        votes: of each class [N, C], from other draws than those that selected the class.
        selected: the class of each input whose probability is bounded [N].
        draws: how many voted; votes that are missing are for no class.
        sigma: of the noise on each input [N]; radii have its unit.
        alpha: see above.
    """
    hits = np.take_along_axis(votes, selected[:, None], 1)[:, 0]
    bound = np.array([lower_bound(count, draws, alpha) for count in hits.tolist()], np.float64)
    quantile = np.array([NormalDist().inv_cdf(p) if p > 0.5 else 0.0 for p in bound.tolist()], np.float64)
    return np.where(bound > 0.5, selected, ABSTAIN), sigma * quantile


def predict(votes: Whole, alpha: float) -> Whole:
    """PREDICT of the paper: the class with the most votes [N], or `ABSTAIN`.

    It abstains unless the two classes with the most votes would differ by that much with a probability of at most
    alpha if both were equally likely (a two-sided binomial test).
    """
    ordered = np.sort(votes, axis=1)
    first, both = ordered[:, -1], ordered[:, -2:].sum(1)
    p_values = np.array([_even(*pair) for pair in zip(first.tolist(), both.tolist(), strict=True)], np.float64)
    return np.where(p_values <= alpha, votes.argmax(1), ABSTAIN)


def largest_radius(sigma: float, draws: int, alpha: float) -> float:
    """The radius where every draw agrees: sigma Phi^-1(alpha^(1 / draws)); 0 where that is no more than a half."""
    return sigma * NormalDist().inv_cdf(max(lower_bound(draws, draws, alpha), 0.5))


@cache
def lower_bound(hits: int, draws: int, alpha: float) -> float:
    """The lower end of the one-sided interval of Clopper and Pearson (1934) for a probability.

    The p at which `hits` or more of `draws` have probability alpha: the true one is smaller with probability at most
    alpha. SciPy has it as ``beta.ppf(alpha, hits, draws - hits + 1)``, but takes a second to import.
    """
    if hits == 0:
        return 0.0
    low, high = 0.0, hits / draws
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if _tail(hits, draws, middle) > alpha else (middle, high)
    return low


@cache
def _even(first: int, both: int) -> float:
    """How likely one of two equally likely classes gets `first`, at least half, of `both` votes, or more."""
    return min(1.0, 2 * _tail(first, both, 0.5)) if both else 1.0


def _tail(hits: int, draws: int, p: float) -> float:
    """The probability of `hits` or more of `draws`, each with probability p, 0 < p < 1, at most hits / draws."""
    last = min(draws, hits + int(DEVIATIONS * draws**0.5))
    counts = np.arange(hits, last + 1)
    factorial = _log_factorials(1 << draws.bit_length())
    choose = factorial[draws] - factorial[counts] - factorial[draws - counts]
    logs = choose + counts * log(p) + (draws - counts) * log1p(-p)
    return float(np.exp(logs).sum())


@cache
def _log_factorials(most: int) -> Floats:
    """Log k! for k from 0 to `most`."""
    return np.array([lgamma(count + 1) for count in range(most + 1)])
