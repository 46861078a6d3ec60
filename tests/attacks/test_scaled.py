"""loss_scale: an objective that sees the losses in other units attacks as if they had these units."""

from itertools import product

import pytest
import torch

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import DGBA, Objective, Power, SignSum, Static, Total, WeightedTotal
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import APGD, PGD, SAGA, Step
from mtlbench.errors import UsageError
from mtlbench.models.sharing import BLOCKS, by_name, level
from mtlbench.reference import ReferenceAPGD
from tests.device import HERE
from tests.grid import EPS, first_batch, golden, same

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("one_thread")]

FACTORS = (1.0, 0.1, 10.0)
SCALE = {task.name: factor for task, factor in zip(golden("nyuv2").tasks, FACTORS, strict=True)}
OBJECTIVES = [Total(), DGBA(), Static(), Power(0.5), SignSum(), WeightedTotal(1)]


def name_of(part: object) -> str:
    return type(part).__name__


def attacked(
    objective: Objective, step: Step, scale: dict[str, float], factors: tuple[float, ...] = (1, 1, 1)
) -> torch.Tensor:
    """Images of the attack, whose losses are already `factors` times as large."""
    batch, setting = first_batch(), golden("nyuv2")
    losses, eps = setting.losses(batch), torch.full((len(batch),), EPS)
    attack = Attack(objective, step, setting.tasks, restarts=2, loss_scale=scale)
    return attack(
        lambda x: losses(x) * torch.tensor(factors, **HERE)[:, None], batch.input, eps, PerImage(0, batch.names)
    )


PAIRS = [
    *product(OBJECTIVES, [PGD(3), APGD(3)]),
    (Total(), SAGA(2)),
    (SignSum(), SAGA(2)),
    (Total(), ReferenceAPGD(3)),
]


@pytest.mark.parametrize(("objective", "step"), PAIRS, ids=name_of)
def test_it_attacks_as_if_the_losses_had_other_units(objective, step):
    same(attacked(objective, step, SCALE), attacked(objective, step, {}, FACTORS))


def test_it_moves_total_and_leaves_dgba():
    changed = attacked(Total(), PGD(3), SCALE) != attacked(Total(), PGD(3), {})
    assert changed.float().mean() > 0.01
    same(attacked(DGBA(), PGD(3), SCALE), attacked(DGBA(), PGD(3), {}))


@pytest.mark.parametrize("objective", OBJECTIVES, ids=name_of)
def test_the_rise_is_that_of_the_score_in_these_units(objective):
    batch, setting = first_batch(), golden("nyuv2")
    losses, factors = setting.losses(batch), torch.tensor(FACTORS, **HERE)[:, None]
    before, after = losses(batch.input), losses((batch.input + 0.1).clamp(0, 1))
    bound = objective.bind(lambda x: losses(x) * factors, batch.input)
    expected = bound.score(after * factors) - bound.score(before * factors)
    attack = Attack(objective, PGD(1), setting.tasks, loss_scale=SCALE)
    torch.testing.assert_close(attack.rise(before, after, batch.input), expected, rtol=0, atol=0)


@pytest.mark.parametrize("tasks", [2, 3, 5])
@pytest.mark.parametrize("blocks", [1, 4, BLOCKS, 6])
def test_levels_by_name(tasks, blocks):
    for shared in range(blocks + 1):
        assert by_name(level(tasks, shared, blocks).name, tasks, blocks) == level(tasks, shared, blocks)
    assert by_name(f"share{blocks}", tasks, blocks).name == "all_shared"
    with pytest.raises(
        UsageError, match=rf"sharing\.index=share{blocks + 1}: expected the number of a tree or one of"
    ):
        by_name(f"share{blocks + 1}", tasks, blocks)
