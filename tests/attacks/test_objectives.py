"""Objectives: what they climb, which transformations of the losses they ignore, and how they relate."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from mtlbench.api.attacks import OBJECTIVES, STEPS
from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import (
    DGBA,
    Bounded,
    Floor,
    Objective,
    Potential,
    Power,
    SignSum,
    Single,
    Static,
    Total,
    Weighted,
    WeightedTotal,
)
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import APGD, FGSM, MIM, PGD, MIMLinear
from mtlbench.config.folder import conf_dir
from mtlbench.errors import UsageError
from tests.device import HERE
from tests.grid import BATCH_BOUND, EPS, STARTED, climb, first_batch, golden, same

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("one_thread")]


class Scaled:
    """Losses times a constant per task, in another order."""

    def __init__(self, losses: Callable[[Tensor], Tensor], factors: Sequence[float], order: Sequence[int]) -> None:
        self.losses, self.factors, self.order = losses, torch.tensor(factors, **HERE)[:, None], list(order)

    def __call__(self, x: Tensor) -> Tensor:
        return (self.losses(x) * self.factors)[self.order]


def signs(objective: Objective, losses: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return objective.ascent(losses, x).direction.sign()


@pytest.mark.parametrize("factors", [(1000.0, 1.0, 1.0), (1.0, 1000.0, 1.0), (1e-3, 1.0, 1.0)])
def test_dgba_ignores_the_scale_of_a_loss_and_total_does_not(factors):
    batch = first_batch()
    losses = golden("nyuv2").losses(batch)
    scaled = Scaled(losses, factors, range(3))
    same(signs(DGBA(), scaled, batch.input), signs(DGBA(), losses, batch.input))
    changed = signs(Total(), scaled, batch.input) != signs(Total(), losses, batch.input)
    assert changed.float().mean() > 0.01


@pytest.mark.parametrize("step", [FGSM(), PGD(steps=5)], ids=["fgsm", "pgd"])
def test_dgba_attack_ignores_scale_and_order(step):
    x, eps = first_batch().input, torch.full((3,), EPS)
    losses = golden("nyuv2").losses(first_batch())
    scaled = Scaled(losses, (1000.0, 1e-3, 1.0), (2, 0, 1))
    same(climb(step, scaled, x, eps, DGBA()), climb(step, losses, x, eps, DGBA()))


@pytest.mark.parametrize("step", [FGSM(), PGD(), MIM(), MIMLinear()], ids=lambda step: step.name)
@pytest.mark.parametrize("task", range(3))
def test_dgba_with_one_task_is_single(step, task):
    x, eps = first_batch().input, torch.full((3,), EPS)
    losses = golden("nyuv2").losses(first_batch(), golden("nyuv2").tasks[task : task + 1])
    found, single = (climb(step, losses, x, eps, objective) for objective in (DGBA(), Single()))
    if isinstance(step, MIM):  # its running sum weighs the steps a little differently
        assert ((found - single).abs() < EPS / 5).float().mean() > 0.95
    else:
        same(found, single)


@pytest.mark.parametrize("ds", ["nyuv2", "tiny_taxonomy"])
@pytest.mark.parametrize("name", ["total", "dgba"])
def test_one_backward_equals_one_per_task(ds, name):
    """grad sum_i log L_i = sum_i grad L_i / L_i, the identity that makes DGBA cheap (arXiv 2305.12066)."""
    batch = first_batch(ds)
    losses = golden(ds).losses(batch)
    x = batch.input.clone().requires_grad_()
    values = losses(x)
    expected = torch.zeros_like(x)
    for row in values:
        (slope,) = torch.autograd.grad(row.sum(), x, retain_graph=True)
        expected += slope / row.detach()[:, None, None, None] if name == "dgba" else slope
    found = (DGBA() if name == "dgba" else Total()).ascent(losses, batch.input)
    clear = expected.abs() > 1e-12
    assert clear.float().mean() > 0.9
    assert torch.allclose(found.direction, expected, rtol=1e-3, atol=1e-6 * expected.abs().max().item())
    assert torch.equal(found.direction.sign()[clear], expected.sign()[clear])
    assert torch.equal(found.losses, values.detach())
    assert torch.allclose(found.score, (values.log() if name == "dgba" else values).sum(0).detach())


def test_dgba_gives_a_loss_of_zero_no_say():
    """One task without a valid pixel: DGBA of the others."""
    x = torch.rand(2, 3, 4, 4).to(**HERE)
    slope = torch.randn(3, 4, 4).to(**HERE)

    def losses(z: Tensor) -> Tensor:
        return torch.stack([(z * slope).sum((1, 2, 3)) ** 2, 0 * z.sum((1, 2, 3))])

    def without(z: Tensor) -> Tensor:
        return losses(z)[:1]

    assert torch.equal(DGBA().ascent(losses, x).direction, DGBA().ascent(without, x).direction)


def test_potentials_cost_one_forward_and_one_backward():
    batch, calls = first_batch(), []
    losses = golden("nyuv2").losses(batch)

    def counted(x: Tensor) -> Tensor:
        calls.append(x)
        return losses(x)

    for objective in (Total(), DGBA()):
        assert isinstance(objective, Potential)
        calls.clear()
        climb(PGD(steps=7), counted, batch.input, torch.full((3,), EPS), objective)
        assert len(calls) == 7


class TestFamilies:
    """Objectives that are others in disguise."""

    @pytest.mark.parametrize(
        ("one", "other"),
        [(Power(0), Total()), (Power(1), DGBA()), (Weighted([1, 1, 1]), Total()), (Static(), DGBA())],
        ids=["power 0 is total", "power 1 is dgba", "equal weights are total", "static starts as dgba"],
    )
    def test_same_direction_at_the_image(self, one, other):
        x = first_batch().input
        losses = golden("nyuv2").losses(first_batch())
        same(signs(one.bind(losses, x), losses, x), signs(other, losses, x))

    @pytest.mark.parametrize(("alpha", "equal"), [(0.0, Total()), (1.0, DGBA())], ids=["total", "dgba"])
    @pytest.mark.parametrize("step", [PGD(), APGD()], ids=lambda step: step.name)
    def test_power_attacks_like_its_ends(self, alpha, equal, step):
        x, eps = first_batch().input, torch.full((3,), EPS)
        losses = golden("nyuv2").losses(first_batch())
        same(climb(step, losses, x, eps, Power(alpha)), climb(step, losses, x, eps, equal))

    def test_power_is_between_and_beyond(self):
        """Direction sum_i grad L_i / L_i^alpha, by one backward per task."""
        x = first_batch().input
        losses = golden("nyuv2").losses(first_batch())
        slopes, values = Total().task_directions(losses, x)
        for alpha in (-1.0, 0.5, 1.5, 2.0):
            expected = (slopes / values[:, :, None, None, None] ** alpha).sum(0)
            same(signs(Power(alpha), losses, x), expected.sign())

    def test_static_stays_with_the_clean_losses(self):
        x = first_batch().input
        losses = golden("nyuv2").losses(first_batch())
        bound = Static().bind(losses, x)
        assert torch.allclose(bound.score(losses(x)), torch.full((3,), 3.0, **HERE))
        elsewhere = (x + 0.2).clamp(0, 1)
        slopes, _ = Total().task_directions(losses, elsewhere)
        expected = (slopes / losses(x)[:, :, None, None, None]).sum(0)
        same(signs(bound, losses, elsewhere), expected.sign())

    def test_sign_sum_counts_votes(self):
        x = first_batch().input
        losses = golden("nyuv2").losses(first_batch())
        slopes, _ = Total().task_directions(losses, x)
        found = SignSum().ascent(losses, x)
        assert torch.equal(found.direction, slopes.sign().sum(0))
        assert set(found.direction.unique().tolist()) <= {-3, -2, -1, 0, 1, 2, 3}

    @pytest.mark.parametrize("objective", [Total(), DGBA(), Power(0.5), SignSum()], ids=lambda o: o.name)
    def test_task_directions_add_up_to_the_gradient_of_the_score(self, objective):
        x = first_batch().input.clone().requires_grad_()
        losses = golden("nyuv2").losses(first_batch())
        (expected,) = torch.autograd.grad(objective.score(losses(x)).sum(), x)
        directions, values = objective.task_directions(losses, x)
        assert directions.shape == (3, *x.shape)
        assert torch.allclose(directions.sum(0), expected, rtol=1e-3, atol=1e-6)
        assert torch.equal(values, losses(x).detach())

    def test_weighted_total_is_the_best_of_its_grid(self):
        x, eps = first_batch().input, torch.full((3,), EPS)
        losses = golden("nyuv2").losses(first_batch())
        attack = Attack(WeightedTotal(2), PGD(3), golden("nyuv2").tasks)
        found = {weights_of(part): part(losses, x, eps, PerImage(0, "abc")) for part in attack.alternatives}
        assert set(found) == {(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1)}
        judge = Static().bind(losses, x)
        scores = torch.stack([judge.score(losses(image)) for image in found.values()])
        best = attack(losses, x, eps, PerImage(0, "abc"))
        assert torch.equal(judge.score(losses(best)), scores.amax(0))
        assert torch.equal(attack.select(list(found.values()), losses, x), best)
        same(found[1, 0, 1], climb(PGD(3), losses, x, eps, Weighted([1, 0, 1])))
        first = golden("nyuv2").losses(first_batch(), golden("nyuv2").tasks[:1])
        same(found[1, 0, 0], climb(PGD(3), first, x, eps, Single()))

    @pytest.mark.parametrize(("random_start", "restarts"), [(True, 1), (False, 2), (True, 3)])
    def test_weightings_start_where_they_would_start_alone(self, random_start, restarts):
        """And the runs of each are judged as the weightings are."""
        x, eps = first_batch().input, torch.full((3,), EPS)
        losses = golden("nyuv2").losses(first_batch())
        tasks = golden("nyuv2").tasks
        attack = Attack(WeightedTotal(1), PGD(2), tasks, random_start=random_start, restarts=restarts)
        found = [one(losses, x, eps, PerImage(0, "abc")) for one in attack.alternatives]
        same(attack(losses, x, eps, PerImage(0, "abc")), attack.select(found, losses, x))
        judge = Static().bind(losses, x)
        for part, images in zip(attack.alternatives, found, strict=True):
            once = Attack(part.objective, PGD(2), tasks, random_start)(losses, x, eps, PerImage(0, "abc"))
            assert (judge.score(losses(images)) >= judge.score(losses(once))).all()


def test_floor_and_bounded_by_hand():
    losses = torch.tensor([[0.5, 2.0], [1.5, 0.0]], **HERE, requires_grad=True)
    found = Floor().score(losses)
    assert torch.allclose(found, torch.tensor([2.0, 1.25], **HERE).log())  # 1 x 2 and 2.5 x 0.5
    (slope,) = torch.autograd.grad(found.sum(), losses)
    assert torch.allclose(slope, torch.tensor([[1, 0.4], [0.5, 2]], **HERE))
    found = Bounded().score(losses)
    expected = 2 - torch.exp(-losses.detach()).sum(0)
    assert torch.allclose(found, expected)
    (slope,) = torch.autograd.grad(found.sum(), losses)
    assert torch.allclose(slope, torch.exp(-losses.detach()))
    assert Bounded().score(torch.full((3, 1), 1e6, **HERE)).item() == 3


def test_python_takes_by_name_what_the_command_line_does():
    """Nobody keeps a list."""
    attacks = {path.stem for path in (conf_dir() / "attack").glob("*.yaml")} - {"none", "noise", "saga"} - STARTED
    assert set(OBJECTIVES) == attacks
    assert set(STEPS) == {path.stem for path in (conf_dir() / "attack" / "step").glob("*.yaml")} - set(BATCH_BOUND)
    assert {name: kind.name for name, kind in OBJECTIVES.items()} == {name: name for name in OBJECTIVES}


def weights_of(attack: Attack) -> tuple[int, ...]:
    assert isinstance(attack.objective, Weighted)
    return attack.objective.weights


def test_weights_that_are_multiples_are_the_same():
    assert Weighted([2, 0, 4]).identity() == {"name": "weighted", "weights": [1, 0, 2]}
    losses = torch.tensor([[3.0, 6.0], [5.0, 7.0], [9.0, 3.0]], **HERE)
    assert torch.equal(Weighted([2, 0, 4]).score(losses), (losses[0] / 3 + losses[2] * (2 / 3)))


@pytest.mark.parametrize("weights", [[1], [1, 1]])
def test_a_weight_for_each_task(weights):
    with pytest.raises(UsageError, match=r"attack\.weights=.*: expected one for each of 3 tasks"):
        Weighted(weights).score(torch.ones(3, 2, **HERE))


@pytest.mark.parametrize("weights", [[0, 0], [0.5, 0.5], [-1, 2], []])
def test_weights_that_are_none(weights):
    with pytest.raises(UsageError, match=r"attack\.weights=.*: expected (a )?whole number"):
        Weighted(weights)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 1.5, 2.0])
def test_power_gives_a_task_without_a_valid_pixel_no_say(alpha):
    """Its loss is 0; a constant of 1e8 in the score would leave the other terms no digits."""
    losses = torch.tensor([[0.7, 1.2], [0.3, 0.0]], **HERE, requires_grad=True)
    alone = Power(alpha).score(losses[:1])
    score = Power(alpha).score(losses)
    assert score[1] == alone[1]
    assert score[0] != alone[0]
    score.sum().backward()
    assert losses.grad[1, 1] == 0
    assert losses.grad.isfinite().all()


def test_a_search_over_weightings_of_one_task_is_single():
    x, eps = first_batch().input, torch.full((3,), EPS)
    tasks = golden("nyuv2").tasks[2:]
    losses = golden("nyuv2").losses(first_batch(), tasks)
    search = Attack(WeightedTotal(3), PGD(2), tasks)
    single = Attack(Single(), PGD(2), tasks)(losses, x, eps, PerImage(0, "abc"))
    assert len(search.alternatives) == 1
    assert torch.equal(search(losses, x, eps, PerImage(0, "abc")), single)
