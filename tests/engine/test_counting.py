"""Gradient evaluations: counted for every attack of conf/, and as many as were declared before they were counted."""

import pytest
import torch
from torch import Tensor

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.ball import Ball
from mtlbench.attacks.objectives import Losses, Objective, Static, Total
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import PGD, Step
from mtlbench.engine.counting import Cost, Counted
from tests.grid import EPS, PAIRS, attack_of, first_batch, golden, starting

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("one_thread")]

RULES = (
    "apgd",
    "apgd_reference",
    "apgd_shrinking",
    "fgsm",
    "mim",
    "mim_linear",
    "pgd",
    "saga",
    "saga_reference",
    "square",
)


def by_rule(*numbers: int) -> dict[str, int]:
    return dict(zip(RULES, numbers, strict=True))


PER_IMAGE = {
    "auto": {"fixed": 4},
    "average_other": {"fixed": 0},
    "bounded": by_rule(4, 5, 4, 1, 4, 4, 4, 16, 24, 0),
    "dgba": by_rule(4, 5, 4, 1, 4, 4, 4, 16, 24, 0),
    "floor": by_rule(4, 5, 4, 1, 4, 4, 4, 16, 24, 0),
    "nearest_other": {"fixed": 0},
    "noise": {"fixed": 0},
    "power": by_rule(4, 5, 4, 1, 4, 4, 4, 16, 24, 0),
    "saga": {"fixed": 16},
    "sea": {"fixed": 12},
    "several_starts": {"pgd": 4 + 3 * 4},
    "sign_sum": by_rule(12, 15, 12, 3, 12, 12, 12, 24, 24, 0),
    "single": by_rule(4, 5, 4, 1, 4, 4, 4, 8, 8, 0),
    **{key: {"apgd": 4, "mim_linear": 4, "saga": 16} for key in ("smooth_arp", "smooth_log", "worst_task")},
    "static": by_rule(4, 5, 4, 1, 4, 4, 4, 16, 24, 0),
    "total": by_rule(4, 5, 4, 1, 4, 4, 4, 16, 24, 0),
    "weighted_total": by_rule(12, 15, 12, 3, 12, 12, 12, 48, 72, 0),
}
"""Of three tasks, four steps and a grid of 1 where there are such options; `single` has one task."""


def counted(attack: Attack) -> float:
    batch = first_batch()
    losses, eps = Counted(golden("nyuv2").seen_by(attack, batch)), batch.input.new_full((len(batch),), EPS)
    attack(losses, batch.input, eps, PerImage(0, batch.names), starting(attack, batch))
    return losses.cost.gradients / len(batch)


@pytest.mark.parametrize(("attack", "step"), PAIRS)
def test_gradients_per_image(attack: str, step: str) -> None:
    assert counted(attack_of(attack, step)) == PER_IMAGE[attack][step]


def test_restarts_cost_as_often() -> None:
    assert counted(attack_of("dgba", "apgd", restarts=3)) == 3 * PER_IMAGE["dgba"]["apgd"]
    assert counted(attack_of("weighted_total", "pgd", restarts=2)) == 2 * PER_IMAGE["weighted_total"]["pgd"]


class Secretive(Step):
    """One step, for which it looks at two further points, both copies of the batch at once."""

    steps = 1

    def run(self, losses: Losses, objective: Objective, ball: Ball, start: Tensor) -> Tensor:
        """Three gradients of each image in two backward passes."""
        with torch.enable_grad():
            x = torch.cat([start, start]).requires_grad_()
            torch.autograd.grad(losses(x).sum(), x)
        return start + ball.eps * objective.ascent(losses, start).direction.sign()


def test_what_a_plugin_does_by_itself_counts() -> None:
    def losses(x: Tensor) -> Tensor:
        return x.square().flatten(1).sum(1)[None]

    seen = Counted(losses)
    x = torch.full((2, 3, 4, 4), 0.5)
    Attack(Total(), Secretive(), ())(seen, x, torch.full((2,), EPS), PerImage(0, "ab"))
    assert seen.cost == Cost(gradients=3 * 2, forwards=3 * 2)


def test_losses_without_a_gradient_are_free() -> None:
    batch = first_batch()
    losses = Counted(golden("nyuv2").losses(batch))
    Static().bind(losses, batch.input)
    assert losses.cost == Cost(forwards=len(batch))
    assert torch.equal(losses(batch.input), golden("nyuv2").losses(batch)(batch.input))


def test_counting_changes_no_bit() -> None:
    batch, attack = first_batch(), Attack(Total(), PGD(2), golden("nyuv2").tasks)
    losses, eps = golden("nyuv2").losses(batch), batch.input.new_full((3,), EPS)
    plain, seen = (attack(one, batch.input, eps, PerImage(0, "abc")) for one in (losses, Counted(losses)))
    assert torch.equal(plain, seen)
