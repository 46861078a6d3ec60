"""Step rules on problems with a known optimum, their randomness, the ball, and options that are refused."""

from collections.abc import Callable
from dataclasses import replace
from math import ceil

import pytest
import torch
from torch import Tensor

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.ball import BALLS, Ball
from mtlbench.attacks.objectives import DGBA, Power, SignSum, Static, Total
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import APGD, FGSM, MIM, PGD, SAGA, MIMLinear, Noise, Square
from mtlbench.attacks.steps.apgd import checkpoints
from mtlbench.errors import UsageError
from mtlbench.reference import ReferenceAPGD, ReferenceSAGA
from tests.device import DEVICE, HERE
from tests.fakes import rows
from tests.grid import EPS, SLACK, apply, climb, first_batch, golden, same

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("one_thread")]


@pytest.fixture
def linear() -> tuple[Tensor, Callable[[Tensor], Tensor], Tensor]:
    """Images, losses that are linear in them, and the sign of their total slope, nowhere zero."""
    random = torch.Generator().manual_seed(0)
    x = 0.2 + 0.6 * torch.rand(4, 3, 5, 6, generator=random).to(**HERE)
    slopes = torch.randn(2, 4, 3, 5, 6, generator=random).to(**HERE)
    return x, lambda z: (slopes * z).sum((2, 3, 4)), slopes.sum(0).sign()


STEPS = [
    *(FGSM(), PGD(1), PGD(10), PGD(3), PGD(10, size=0.25), MIM(10), MIM(5, size=0.5), MIMLinear(10)),
    *(APGD(10), APGD(1), APGD(20, size=0.1), SAGA(10), ReferenceAPGD(10), ReferenceSAGA(10)),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step.name}{step.steps}")
def test_linear_losses_reach_the_corner(step, linear):
    x, losses, sign = linear
    eps = torch.tensor([0.0, 0.01, 8 / 255, 0.1], **HERE)
    assert torch.allclose(climb(step, losses, x, eps), x + eps[:, None, None, None] * sign, rtol=0, atol=1e-6)


@pytest.mark.parametrize("step", [PGD(20, size=0.25), APGD(20), MIM(20, size=0.25)], ids=lambda step: step.name)
def test_linear_losses_reach_the_corner_from_a_random_point(step, linear):
    x, losses, sign = linear
    found = climb(step, losses, x, torch.full((4,), 0.1), random_start=True)
    assert torch.allclose(found, x + 0.1 * sign, rtol=0, atol=1e-6)


@pytest.mark.parametrize("step", [PGD(4, size=0.5), APGD(), MIM(), SAGA()], ids=lambda step: step.name)
def test_linear_losses_reach_the_corner_of_the_box(step, linear):
    x, losses, sign = linear
    found = climb(step, losses, x, torch.full((4,), 0.9))
    assert torch.allclose(found, (x + 0.9 * sign).clamp(0, 1), rtol=0, atol=1e-6)


def test_a_smaller_step_stays_short_of_the_corner(linear):
    x, losses, sign = linear
    found = climb(PGD(3, size=0.1), losses, x, torch.full((4,), 0.1))
    assert torch.allclose(found - x, 0.03 * sign, atol=1e-6)


@pytest.fixture
def curved() -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """An image and a concave loss whose peak lies inside the ball of 0.1 in half of the columns, else beyond it."""
    x = torch.full((1, 3, 4, 4), 0.5, **HERE)
    peak = torch.full_like(x, 0.52)
    peak[..., ::2] = 0.9
    return x, lambda z: 10 - (z - peak).square().sum((1, 2, 3))[None]


@pytest.mark.parametrize(
    ("step", "near"),
    [(PGD(40, size=0.05), 0.0051), (APGD(40), 0.002), (MIMLinear(40, momentum=0.1), 0.02)],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_curved_loss_is_climbed_to_its_peak(step, near, curved):
    x, losses = curved
    found = climb(step, losses, x, torch.tensor([0.1]))
    assert (found[..., ::2] - 0.6).abs().max() < near
    assert (found[..., 1::2] - 0.52).abs().max() < near


@pytest.mark.parametrize("steps", range(1, 12))
def test_apgd_ends_at_the_best_point_that_it_has_seen(steps, curved):
    x, losses = curved
    seen: list[float] = []

    def watched(z: Tensor) -> Tensor:
        values = losses(z)
        seen.append(values.item())
        return values

    found = climb(APGD(steps), watched, x, torch.tensor([0.1]))
    assert len(seen) == steps + 1, "one look a step, and one at the last point"
    assert losses(found).item() == max(seen) > seen[0]


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("objective", [Total(), DGBA(), Static(), Power(0.5), SignSum()], ids=lambda o: o.name)
def test_apgd_never_ends_below_its_start(objective, steps):
    x = first_batch().input
    losses = golden("nyuv2").losses(first_batch())
    score = objective.bind(losses, x).score
    assert (score(losses(climb(APGD(steps), losses, x, torch.full((3,), EPS), objective))) >= score(losses(x))).all()


@pytest.mark.parametrize("step", [PGD(2), FGSM(), APGD(2)], ids=lambda step: step.name)
def test_more_restarts_never_lower_the_score(step):
    x = first_batch().input
    losses = golden("nyuv2").losses(first_batch())
    found = (climb(step, losses, x, torch.full((3,), EPS), DGBA(), restarts=n) for n in (1, 2, 4))
    once, twice, often = (DGBA().score(losses(image)) for image in found)
    assert (twice >= once).all()
    assert (often >= twice).all()


def test_apgd_keeps_the_best_point_of_each_image():
    """An image that only gets worse keeps its start, beside one that gets better."""
    x = torch.full((2, 3, 4, 4), 0.5, **HERE)
    sign = torch.tensor([1.0, -1.0], **HERE)

    def losses(z: Tensor) -> Tensor:
        rise = (z - x).sum((1, 2, 3))
        return torch.where(sign > 0, rise, -(z - x).abs().sum((1, 2, 3)) + 0 * rise)[None]

    found = climb(APGD(5), losses, x, torch.full((2,), 0.1))
    assert torch.allclose(found[0], x[0] + 0.1)
    assert torch.equal(found[1], x[1])


def test_a_zero_gradient_moves_nothing():
    x = torch.rand(2, 3, 4, 4).to(**HERE)
    for step in STEPS:
        found = climb(step, lambda z: 0 * z.sum((1, 2, 3))[None], x, torch.full((2,), 0.1))
        assert torch.equal(found, x), step.name


@pytest.mark.parametrize("steps", [1, 2, 4, 5, 10, 20, 50, 100])
def test_checkpoints_of_apgd(steps):
    """Croce & Hein 2020, section 3.2, in hundredths: 22, then gaps that shrink by 3 down to 6."""
    hundredths = (22, 41, 57, 70, 80, 87, 93, 99)
    assert list(checkpoints(steps)) == sorted({ceil(p * steps / 100) for p in hundredths})


@pytest.mark.parametrize(
    ("step", "options"),
    [
        (Noise(), {}),
        (Square(3), {}),
        (PGD(2), {"random_start": True}),
        (FGSM(), {"random_start": True, "restarts": 3}),
    ],
    ids=["noise", "square", "random start", "restarts"],
)
def test_random_draws_depend_on_seed_and_name_only(step, options):
    batch = first_batch()
    attack = Attack(Total(), step, golden("nyuv2").tasks, **options)
    reference = apply(attack, batch)
    assert torch.equal(apply(attack, batch), reference)
    assert not torch.equal(apply(attack, batch, seed=1), reference)
    renamed = apply(attack, replace(batch, names=("x", *batch.names[1:])))
    same(renamed[1:], reference[1:])
    twins = apply(attack, replace(rows(batch, [0, 0]), names=("a", "b")))
    assert not torch.equal(renamed[0], reference[0])
    assert not torch.equal(twins[0], twins[1])


def test_per_image_draws():
    like = torch.empty(2, 3, 50, 40, device=DEVICE)
    draws = PerImage(0, ["a", "b"])
    first, second = draws.uniform(like), draws.uniform(like)
    assert first.shape == like.shape
    assert first.dtype == torch.float32
    assert first.min() >= -1
    assert first.max() < 1
    assert abs(first.mean()) < 0.03
    assert abs(first.square().mean() - 1 / 3) < 0.03
    assert not torch.equal(first, second), "a stream goes on"
    assert torch.equal(PerImage(0, ["b"]).uniform(like[:1])[0], first[1])
    assert not torch.equal(PerImage(1, ["b"]).uniform(like[:1])[0], first[1])


def test_noise_is_a_sign_of_full_size():
    x = torch.full((2, 3, 16, 16), 0.5, **HERE)
    moved = climb(Noise(), lambda z: z.sum((1, 2, 3))[None], x, torch.full((2,), EPS)) - x
    assert torch.allclose(moved.abs(), torch.full_like(x, EPS), atol=SLACK)
    assert 0.45 < (moved > 0).float().mean() < 0.55


# The ball


def ball(norm: str, eps: list[float], size: int = 4) -> tuple[Ball, torch.Tensor]:
    """A ball around random images, and random points in and out of it."""
    random = torch.Generator().manual_seed(0)
    x = torch.rand(len(eps), 3, size, size, generator=random).to(**HERE)
    z = 3 * torch.rand(len(eps), 3, size, size, generator=random).to(**HERE) - 1
    return BALLS[norm](x, torch.tensor(eps, **HERE), PerImage(0, "abcdefghij"[: len(eps)])), z


def test_projection_is_the_nearest_point():
    around, z = ball("linf", [0.0, 0.05, 2.0])
    x, found = around.x, around.project(z)
    assert torch.equal(around.project(found), found)
    assert torch.equal(found[0], x[0])
    assert torch.equal(found[2], z[2].clamp(0, 1))
    assert torch.equal(found[1], torch.clamp(z[1], (x[1] - 0.05).clamp(min=0), (x[1] + 0.05).clamp(max=1)))


@pytest.mark.parametrize("norm", BALLS)
def test_projection_leads_into_ball_and_box_and_leaves_what_is_there(norm):
    eps = [0.0, 1e-4, 0.05, 0.3, 2.0]
    around, z = ball(norm, eps)
    for inside in (around.project(z), around.point(), around.edge()):
        assert (around.distance(inside) <= torch.tensor(eps, **HERE) + SLACK).all()
        assert ((inside >= 0) & (inside <= 1)).all()
        assert torch.allclose(around.project(inside), inside, atol=SLACK)
    assert torch.equal(around.project(z)[0], around.x[0])
    assert torch.equal(around.project(z)[-1], z[-1].clamp(0, 1))


def test_projection_to_the_l2_ball_keeps_the_direction():
    """Away from the box it is the nearest point: on the way from the image."""
    around, z = ball("l2", [0.01, 0.02])
    around.x = around.x * 0 + 0.5
    moved = around.project(z) - around.x
    assert torch.allclose(around.distance(around.project(z)), torch.tensor([0.01, 0.02], **HERE))
    assert torch.cosine_similarity(moved.flatten(1), (z - around.x).flatten(1)).min() > 1 - SLACK


@pytest.mark.parametrize("norm", BALLS)
def test_a_direction_has_length_1_and_gains_most(norm):
    """No other move of that length climbs a linear function higher."""
    around, gradient = ball(norm, [1.0] * 5, size=8)
    zero = torch.zeros_like(around.x)
    around.x = zero
    best = around.direction(gradient)
    assert torch.allclose(around.distance(best), torch.ones(5, **HERE))
    assert torch.equal(around.direction(zero), zero)
    gain = (gradient * best).flatten(1).sum(1)
    random = torch.Generator().manual_seed(1)
    for _ in range(200):
        other = torch.randn(zero.shape, generator=random).to(**HERE) + best
        other = other / around.distance(other)[:, None, None, None]
        assert ((gradient * other).flatten(1).sum(1) < gain).all()


def test_balls_of_one_radius():
    """In grey levels alike: a corner of one lies on the border of the other, which holds the whole first one."""
    inner, z = ball("linf", [0.05] * 4)
    outer, _ = ball("l2", [0.05] * 4)
    inner.x, outer.x = inner.x * 0 + 0.5, outer.x * 0 + 0.5
    inner = BALLS["linf"](inner.x, torch.full((4,), 0.05, **HERE), PerImage(0, "abcd"))
    assert torch.allclose(outer.distance(inner.edge()), torch.full((4,), 0.05, **HERE))
    assert (outer.distance(inner.project(z)) <= 0.05 + SLACK).all()


@pytest.mark.parametrize("norm", ["l1", "Linf", None, 2])
def test_a_norm_that_is_none(norm):
    with pytest.raises(UsageError, match=rf"attack\.norm={norm}: expected linf or l2"):
        Attack(Total(), PGD(), (), norm=norm)
    with pytest.raises(UsageError, match=r"attack\.norm=l2: apgd_reference steps in linf only"):
        Attack(Total(), ReferenceAPGD(), (), norm="l2")


# Options


@pytest.mark.parametrize("steps", [0, -1, 2.5, True, "3", None])
def test_bad_number_of_steps(steps):
    shown = "null" if steps is None else steps
    with pytest.raises(UsageError, match=rf"attack\.step\.steps={shown}: expected a whole number"):
        PGD(steps=steps)


@pytest.mark.parametrize("size", [0, -0.1, float("inf"), float("nan"), True, "0.1"])
def test_bad_step_size(size):
    with pytest.raises(UsageError, match=rf"attack\.step\.size={size}: expected a positive number"):
        PGD(size=size)


@pytest.mark.parametrize("step", [APGD, MIM, MIMLinear, SAGA, ReferenceAPGD, ReferenceSAGA])
def test_every_rule_checks_its_steps(step):
    with pytest.raises(UsageError, match=r"attack\.step\.steps=0: expected a whole number"):
        step(steps=0)


@pytest.mark.parametrize("restarts", [0, -1, 1.5, True, None, "2"])
def test_bad_number_of_restarts(restarts):
    shown = "null" if restarts is None else restarts
    with pytest.raises(UsageError, match=rf"attack\.restarts={shown}: expected a whole number"):
        Attack(Total(), PGD(), (), restarts=restarts)
