"""Square Attack: the schedule of its authors, the published algorithm in plain loops, and a known optimum."""

from collections.abc import Callable
from itertools import pairwise
from math import sqrt

import numpy as np
import pytest
import torch
from torch import Tensor

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import DGBA, Total
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import Square
from mtlbench.engine.counting import Cost, Counted
from mtlbench.errors import UsageError
from tests.device import HERE
from tests.grid import EPS, climb, first_batch, golden

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("one_thread")]


def linear(*shape: int) -> tuple[Tensor, Callable[[Tensor], Tensor], Tensor]:
    """Images, a loss that is linear in them, and its slope."""
    random = torch.Generator().manual_seed(0)
    x = torch.rand(shape, generator=random).to(**HERE)
    slope = torch.randn(shape, generator=random).to(**HERE)
    return x, lambda z: (slope * z).sum((1, 2, 3))[None], slope


STARTS = (1, 11, 51, 201, 501, 1001, 2001, 4001, 6001, 8001)
"""The first query of each size."""


@pytest.mark.parametrize("halvings", range(10))
def test_the_schedule_of_the_authors(halvings: int) -> None:
    """`p_selection` of their code, for 10,000 queries and scaled to 1,000."""
    first, last = STARTS[halvings], (*STARTS, 10_000)[halvings + 1] - 1
    assert [Square(10_000, p=0.8).share(query) for query in (first, last)] == [0.8 / 2**halvings] * 2
    assert Square(1_000, p=0.8).share(last // 10) == 0.8 / 2**halvings


def in_loops(x: np.ndarray, score: Callable[[np.ndarray], float], eps: float, step: Square, name: str) -> np.ndarray:
    """Algorithms 1 and 2 for one image [C, H, W], with the draws of `PerImage`."""
    channels, height, width = x.shape
    random = PerImage(0, [name])

    def draw(*shape: int) -> np.ndarray:
        return random.uniform(torch.empty(1, *shape))[0].numpy().astype(float)

    def project(z: np.ndarray) -> np.ndarray:
        return np.clip(np.clip(z, x - eps, x + eps), 0, 1)

    stripes = draw(channels, 1, width)
    best = project(x + np.where(stripes < 0, -eps, eps))
    for query in range(1, step.steps):
        side = min(max(round(sqrt(step.share(query) * height * width)), 1), height, width)
        top, left, *sign = draw(channels + 2, 1, 1).ravel()
        row, column = int((top + 1) / 2 * (height - side + 1)), int((left + 1) / 2 * (width - side + 1))
        delta = np.zeros_like(x)
        for channel in range(channels):
            for i in range(row, row + side):
                for j in range(column, column + side):
                    delta[channel, i, j] = -2 * eps if sign[channel] < 0 else 2 * eps
        other = project(best + delta)
        if score(other) > score(best):
            best = other
    return best


@pytest.mark.parametrize("p", [0.05, 0.8])
def test_it_is_the_published_algorithm(p: float) -> None:
    """Images that are no square, near the box, and ties; sums of these numbers are exact."""
    random = np.random.default_rng(0)
    x, slope = random.integers(0, 65, (2, 3, 6, 9)) / 64, random.integers(-1, 2, (2, 3, 6, 9)).astype(float)
    slopes = torch.tensor(slope).to(HERE["device"])
    images, step = torch.tensor(x).to(HERE["device"]), Square(60, p)
    found = climb(step, lambda z: (slopes * z).sum((1, 2, 3))[None], images, torch.tensor([0.125, 0.125]))
    for i in range(2):

        def score(z: np.ndarray, slope: np.ndarray = slope[i]) -> float:
            return float((slope * z).sum())

        expected = in_loops(x[i], score, 0.125, step, str(i))
        assert np.array_equal(found[i].cpu(), expected)


def test_a_linear_loss_is_climbed_to_the_corner() -> None:
    x, losses, slope = linear(2, 3, 4, 4)
    found = climb(Square(3000), losses, x, torch.full((2,), 0.1))
    assert torch.allclose(found, (x + 0.1 * slope.sign()).clamp(0, 1), rtol=0, atol=1e-6)


def test_more_queries_never_lower_the_score() -> None:
    """Of any image: they are the same queries and some more."""
    x, losses, _ = linear(5, 3, 8, 8)
    one_size = 1e-9  # squares of one pixel, so that the schedule does not matter
    scores = [losses(climb(Square(n, one_size), losses, x, torch.full((5,), 0.1)))[0] for n in (1, 5, 20, 80)]
    assert all((more >= fewer).all() for fewer, more in pairwise(scores))
    assert (scores[-1] > scores[0]).all()


def test_it_ends_at_the_best_point_that_it_has_seen() -> None:
    x, losses, _ = linear(2, 3, 8, 8)
    seen: list[Tensor] = []

    def watched(z: Tensor) -> Tensor:
        seen.append(losses(z)[0])
        return losses(z)

    found = climb(Square(30), watched, x, torch.full((2,), 0.1))
    assert torch.equal(losses(found)[0], torch.stack(seen).amax(0))


def test_every_value_moves_by_eps() -> None:
    x = torch.full((2, 3, 8, 8), 0.5, **HERE)
    found = climb(Square(20), lambda z: z.square().sum((1, 2, 3))[None], x, torch.tensor([0.1, 0.02]))
    assert torch.allclose((found - x).abs().flatten(1), torch.tensor([[0.1], [0.02]], **HERE), rtol=0, atol=1e-6)


def test_it_starts_from_vertical_stripes() -> None:
    x = torch.full((1, 3, 8, 8), 0.5, **HERE)
    moved = climb(Square(1), lambda z: z.sum((1, 2, 3))[None], x, torch.tensor([0.1])) - x
    assert torch.equal(moved, moved[:, :, :1].expand_as(moved))
    assert moved.unique().numel() == 2


def test_a_step_is_a_query_and_no_gradient() -> None:
    batch = first_batch()
    losses = Counted(golden("nyuv2").losses(batch))
    eps = batch.input.new_full((3,), EPS)
    Attack(DGBA(), Square(7), golden("nyuv2").tasks)(losses, batch.input, eps, PerImage(0, batch.names))
    assert losses.cost == Cost(gradients=0, forwards=7 * 3)


@pytest.mark.parametrize("p", [0, -0.1, 1.5, "much"])
def test_a_share_that_is_none_is_refused(p: float) -> None:
    with pytest.raises(UsageError, match=r"attack\.step\.p=.*: expected a share above 0 and at most 1"):
        Square(p=p)


def test_other_norms_are_refused() -> None:
    with pytest.raises(UsageError, match=r"attack\.norm=l2: square steps in linf only"):
        Attack(Total(), Square(), (), norm="l2")
