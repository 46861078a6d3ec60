"""Training with noise: a pure function of seed, iteration and name, of the deviation that was asked for."""

from dataclasses import replace

import pytest
import torch

from mtlbench.data.batch import Batch
from mtlbench.engine.noisy import Noisy
from mtlbench.errors import UsageError

NAMES = ("a", "b")
BATCH = Batch(torch.rand(2, 3, 40, 40), {}, {}, NAMES)


def test_noise_depends_on_seed_iteration_and_name_only() -> None:
    made = Noisy(16, 0)(BATCH, 3)
    assert torch.equal(made, Noisy(16, 0)(BATCH, 3))
    assert torch.equal(made[1:], Noisy(16, 0)(BATCH[1:], 3))
    for other in (Noisy(16, 1)(BATCH, 3), Noisy(16, 0)(BATCH, 4), Noisy(16, 0)(replace(BATCH, names=("c", "d")), 3)):
        assert not torch.isclose(other, made).all(1).any()


def test_its_deviation_is_in_the_unit_of_eps() -> None:
    noise = (Noisy(16, 0)(BATCH, 0) - BATCH.input) * 255
    assert noise.std().item() == pytest.approx(16, rel=0.03)
    assert abs(noise.mean().item()) < 0.7


def test_what_may_not_be_moved_has_none() -> None:
    movable = torch.rand_like(BATCH.input) > 0.5
    noise = Noisy(16, 0)(replace(BATCH, movable=movable), 0) - BATCH.input
    assert not noise[~movable].any()
    assert noise[movable].all()


@pytest.mark.parametrize("sigma", [0, -1, "some", None])
def test_a_deviation_is_positive(sigma: object) -> None:
    with pytest.raises(UsageError, match=f"training.sigma={sigma}: expected a positive number"):
        Noisy(sigma, 0)  # type: ignore[arg-type]  # what yaml may hold
