"""loss_scale: an objective that sees the losses in other units attacks as if they had these units."""

from itertools import product

import pytest
import torch

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import DGBA, Objective, Power, Scaled, SignSum, Single, Static, Total, WeightedTotal
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import APGD, PGD, SAGA, ReferenceAPGD, ReferenceSAGA, Step
from mtlbench.errors import UsageError
from mtlbench.models.sharing import BLOCKS, by_name, level
from tests.device import HERE
from tests.grid import EPS, first_batch, golden, same

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("one_thread")]

FACTORS = (1.0, 0.1, 10.0)
OBJECTIVES = [Total(), DGBA(), Static(), Power(0.5), SignSum(), WeightedTotal(1)]


def name_of(part: object) -> str:
    return type(part).__name__


def attacked(objective: Objective, step: Step, factors: tuple[float, ...] | None) -> torch.Tensor:
    """Images of the attack, the factors taken into the losses themselves where `factors` is given."""
    batch, setting = first_batch(), golden("nyuv2")
    losses = setting.losses(batch)
    seen = losses if factors is None else lambda x: losses(x) * torch.tensor(factors, **HERE)[:, None]
    eps = torch.full((len(batch),), EPS)
    return Attack(objective, step, setting.tasks)(seen, batch.image, eps, PerImage(0, batch.names))[""]


PAIRS = [*product(OBJECTIVES, [PGD(3), APGD(3)]), (Total(), SAGA(2)), (SignSum(), SAGA(2))]


@pytest.mark.parametrize(("objective", "step"), PAIRS, ids=name_of)
def test_it_attacks_as_if_the_losses_had_other_units(objective, step):
    same(attacked(Scaled(objective, FACTORS), step, None), attacked(objective, step, FACTORS))


def test_it_moves_total_and_leaves_dgba():
    changed = attacked(Scaled(Total(), FACTORS), PGD(3), None) != attacked(Total(), PGD(3), None)
    assert changed.float().mean() > 0.01
    same(attacked(Scaled(DGBA(), FACTORS), PGD(3), None), attacked(DGBA(), PGD(3), None))


def test_losses_are_told_unscaled():
    batch = first_batch()
    losses = golden("nyuv2").losses(batch)
    plain = losses(batch.image)
    torch.testing.assert_close(Scaled(Total(), FACTORS).ascent(losses, batch.image).losses, plain)
    torch.testing.assert_close(Scaled(Total(), FACTORS).parts(losses, batch.image)[1], plain)


def test_cost():
    for objective in OBJECTIVES:
        scaled = Scaled(objective, FACTORS)
        assert (scaled.runs(3), scaled.searches(3), scaled.name) == (
            objective.runs(3),
            objective.searches(3),
            objective.name,
        )
    tasks = golden("nyuv2").tasks
    assert Attack(Single(), PGD(10), tasks[:1]).gradients == 10
    assert Attack(Total(), SAGA(10), tasks).gradients == 10 * (3 + 1), "every task's own, and the one ahead"
    assert Attack(WeightedTotal(1), SAGA(10), tasks).gradients == 3 * 10 * (3 + 1)
    assert Attack(Total(), ReferenceAPGD(10), tasks).gradients == 11, "one at the start"
    assert Attack(Total(), ReferenceSAGA(10), tasks).gradients == 10 * 2 * 3


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
