"""Properties of every objective with every step rule found in conf/, then of each one by itself."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.ball import Ball
from mtlbench.attacks.objectives import DGBA, Losses, Objective, Potential, Power, Single, Total
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import APGD, FGSM, MIM, PGD, SAGA, MIMLinear, Noise, Step
from mtlbench.build import build
from mtlbench.data.batch import Batch
from mtlbench.errors import UsageError
from mtlbench.evaluate import frozen
from mtlbench.tasks import Task
from tests.fakes import RGBGolden, rows

CONF = Path(__file__).resolve().parents[1] / "conf" / "attack"
EPS = 8 / 255
SLACK = 1e-6
NO_ATTACK = {"none"}
"""Options of conf/attack without an objective; everything else there is tested."""


def _read(path: Path) -> dict[str, Any]:
    node = {"attack": OmegaConf.load(path)}
    return OmegaConf.to_container(OmegaConf.create(node), resolve=True)["attack"]  # type: ignore[index, return-value]


def _pairs() -> list[tuple[str, str]]:
    """(attack, step) for every yaml; the step is its own where the attack brings one."""
    rules = sorted(path.stem for path in (CONF / "step").glob("*.yaml"))
    attacks = {path.stem: _read(path) for path in sorted(CONF.glob("*.yaml")) if path.stem not in NO_ATTACK}
    return [(name, step) for name, node in attacks.items() for step in (["own"] if node.get("fixed_step") else rules)]


PAIRS = _pairs()
OBJECTIVES = sorted({attack for attack, _ in PAIRS})
BATCHWISE = ("apgd_reference", "saga_reference")
"""Step rules that decide for the whole batch at once, as the reference does; they are there for parity only."""

each_pair = pytest.mark.parametrize(("attack", "step"), PAIRS)
each_per_image = pytest.mark.parametrize(("attack", "step"), [pair for pair in PAIRS if pair[1] not in BATCHWISE])


def objective_of(attack: str) -> Objective:
    return build(_read(CONF / f"{attack}.yaml")["objective"])


def step_of(attack: str, step: str) -> Step:
    return build(
        _read(CONF / f"{attack}.yaml")["fixed_step"] if step == "own" else _read(CONF / "step" / f"{step}.yaml")
    )


def attacked(step: Step, losses: Losses, objective: Objective, x: Tensor, eps: Tensor, random: PerImage) -> Tensor:
    """The result of an attack from the image itself."""
    return Attack(objective, step, ())(losses, x, eps, random)[""]


@cache
def golden(ds: str) -> RGBGolden:
    return RGBGolden(ds)


@cache
def precise() -> RGBGolden:
    """In double precision: rules that choose a best point may choose another one after a difference in rounding."""
    found = RGBGolden("nyuv2")
    found.model.double()
    return found


def precise_batch() -> Batch:
    return replace(first_batch(), image=first_batch().image.double())


def tasks_of(attack: str, ds: str = "nyuv2") -> tuple[Task, ...]:
    """Which losses the attack sees: those of one task for `single`."""
    tasks = (precise() if ds == "precise" else golden(ds)).tasks
    return tasks[:1] if attack == "single" else tasks


def run(
    attack: str, step: str, batch: Batch, eps: float | Sequence[float] = EPS, seed: int = 0, ds: str = "nyuv2"
) -> Tensor:
    """The attacked images of `batch`."""
    radii = torch.tensor([eps] * len(batch) if isinstance(eps, float) else eps)
    losses = (precise() if ds == "precise" else golden(ds)).losses(batch, tasks_of(attack, ds))
    random = PerImage(seed, batch.names)
    return attacked(step_of(attack, step), losses, objective_of(attack), batch.image, radii, random)


def first_batch(ds: str = "nyuv2") -> Batch:
    return golden(ds).batches[0]


def same(found: Tensor, expected: Tensor) -> None:
    """Equal but for gradients within rounding of zero, whose sign is anybody's guess. (Here all are bit-equal.)"""
    assert found.shape == expected.shape
    assert ((found - expected).abs() < SLACK).float().mean() > 0.999


pytestmark = pytest.mark.usefixtures("shared", "one_thread")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Numbers as on the machine that made the golden ones."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# Every objective with every step rule


def test_every_option_is_built():
    """Nothing in conf/ is left out silently: each file gives an objective or a step rule, or is listed."""
    for path in CONF.glob("*.yaml"):
        node = _read(path)
        assert node["name"] == path.stem
        assert (node["objective"] is None) == (path.stem in NO_ATTACK)
    for attack, step in PAIRS:
        assert isinstance(objective_of(attack), Objective)
        assert isinstance(step_of(attack, step), Step)
    assert {("dgba", "pgd"), ("total", "fgsm"), ("single", "pgd"), ("noise", "own")} <= set(PAIRS)


@pytest.mark.parametrize("ds", ["nyuv2", "tiny_taxonomy"])
@each_pair
def test_ball_box_and_form(attack, step, ds):
    batch = first_batch(ds)
    found = run(attack, step, batch, ds=ds)
    assert found.shape == batch.image.shape
    assert found.dtype == batch.image.dtype
    assert not found.requires_grad
    assert found.min() >= 0
    assert found.max() <= 1
    moved = (found - batch.image).abs()
    assert moved.max() <= EPS + SLACK
    assert moved.flatten(1).amax(1).min() > EPS / 2, "every image must move"


@each_pair
def test_images_on_the_box_stay_inside(attack, step):
    batch = first_batch()
    batch = replace(batch, image=(batch.image * 3 - 1).clamp(0, 1))
    found = run(attack, step, batch, eps=0.2)
    assert found.min() >= 0
    assert found.max() <= 1
    assert (found - batch.image).abs().max() <= 0.2 + SLACK


@each_pair
def test_radius_zero_is_exactly_the_image(attack, step):
    batch = first_batch()
    assert torch.equal(run(attack, step, batch, eps=0.0), batch.image)


@each_per_image
def test_batch_size_does_not_matter(attack, step):
    batch = precise_batch()
    together = run(attack, step, batch, ds="precise")
    alone = [run(attack, step, rows(batch, [i]), ds="precise") for i in range(len(batch))]
    same(torch.cat(alone), together)


@each_per_image
def test_order_of_the_images_does_not_matter(attack, step):
    batch = precise_batch()
    order = [2, 0, 1]
    same(run(attack, step, rows(batch, order), ds="precise"), run(attack, step, batch, ds="precise")[order])


@each_per_image
def test_a_radius_per_image(attack, step):
    batch, radii = first_batch(), [0.0, 2 / 255, 16 / 255]
    found = run(attack, step, batch, eps=radii)
    moved = (found - batch.image).abs().flatten(1).amax(1)
    assert (moved <= torch.tensor(radii) + SLACK).all()
    assert moved[0] == 0
    for i, radius in enumerate(radii):
        same(run(attack, step, rows(batch, [i]), eps=radius), found[i : i + 1])


@each_per_image
def test_an_image_without_valid_pixels_is_no_error(attack, step):
    """Nor does it change the others: it has no loss that anything could climb."""
    batch = first_batch()
    masks = {name: mask.clone() for name, mask in batch.masks.items()}
    for mask in masks.values():
        mask[1] = False
    found = run(attack, step, replace(batch, masks=masks))
    assert found.isfinite().all()
    same(found[[0, 2]], run(attack, step, batch)[[0, 2]])


@each_pair
def test_model_is_left_as_it_was(attack, step):
    batch = first_batch()
    model = golden("nyuv2").model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.requires_grad_(True).train()
    try:
        with frozen(model):
            assert not model.training
            assert not any(p.requires_grad for p in model.parameters())
            run(attack, step, batch)
        assert model.training
        assert all(p.requires_grad and p.grad is None for p in model.parameters())
    finally:
        model.requires_grad_(False).eval()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not batch.image.requires_grad
    assert batch.image.grad is None


@each_pair
def test_images_are_not_changed_in_place(attack, step):
    batch = first_batch()
    before = batch.image.clone()
    run(attack, step, batch)
    assert torch.equal(batch.image, before)


@each_pair
def test_same_seed_same_images(attack, step):
    batch = first_batch()
    torch.manual_seed(1)
    first = run(attack, step, batch)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert torch.equal(run(attack, step, batch), first)
    assert torch.equal(torch.get_rng_state(), state), "the global generator must not be used"


@pytest.mark.parametrize("ds", ["nyuv2", "tiny_taxonomy"])
@pytest.mark.parametrize("attack", sorted(set(OBJECTIVES) - {"noise"}))
def test_pgd_raises_the_score_of_every_image(attack, ds):
    batch = first_batch(ds)
    losses = golden(ds).losses(batch, tasks_of(attack, ds))
    objective = objective_of(attack).bind(losses, batch.image)
    clean, attacked = (objective.score(losses(x)) for x in (batch.image, run(attack, "pgd", batch, ds=ds)))
    assert (attacked > clean).all()


@pytest.mark.parametrize("ds", ["nyuv2", "tiny_taxonomy"])
def test_noise_is_weaker(ds):
    """Than DGBA with any step rule, in DGBA's own score, for every image."""
    batch = first_batch(ds)
    losses = golden(ds).losses(batch)
    noise = DGBA().score(losses(run("noise", "own", batch, ds=ds)))
    for step in (step for attack, step in PAIRS if attack == "dgba"):
        assert (DGBA().score(losses(run("dgba", step, batch, ds=ds))) > noise).all(), step


# Objectives


class Scaled:
    """Losses times a constant per task, in another order."""

    def __init__(self, losses: Callable[[Tensor], Tensor], factors: Sequence[float], order: Sequence[int]) -> None:
        self.losses, self.factors, self.order = losses, torch.tensor(factors)[:, None], list(order)

    def __call__(self, x: Tensor) -> Tensor:
        return (self.losses(x) * self.factors)[self.order]


def signs(objective: Objective, losses: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return objective.ascent(losses, x).direction.sign()


@pytest.mark.parametrize("factors", [(1000.0, 1.0, 1.0), (1.0, 1000.0, 1.0), (1e-3, 1.0, 1.0)])
def test_dgba_ignores_the_scale_of_a_loss_and_total_does_not(factors):
    batch = first_batch()
    losses = golden("nyuv2").losses(batch)
    scaled = Scaled(losses, factors, range(3))
    same(signs(DGBA(), scaled, batch.image), signs(DGBA(), losses, batch.image))
    changed = signs(Total(), scaled, batch.image) != signs(Total(), losses, batch.image)
    assert changed.float().mean() > 0.01


@pytest.mark.parametrize("step", [FGSM(), PGD(steps=5)], ids=["fgsm", "pgd"])
def test_dgba_attack_ignores_scale_and_order(step):
    batch, eps = first_batch(), torch.full((3,), EPS)
    losses = golden("nyuv2").losses(batch)
    scaled = Scaled(losses, (1000.0, 1e-3, 1.0), (2, 0, 1))
    random = PerImage(0, batch.names)
    same(
        attacked(step, scaled, DGBA(), batch.image, eps, random),
        attacked(step, losses, DGBA(), batch.image, eps, random),
    )


@pytest.mark.parametrize("step", [FGSM(), PGD()], ids=["fgsm", "pgd"])
@pytest.mark.parametrize("task", range(3))
def test_dgba_with_one_task_is_single(step, task):
    batch, eps = first_batch(), torch.full((3,), EPS)
    losses = golden("nyuv2").losses(batch, golden("nyuv2").tasks[task : task + 1])
    random = PerImage(0, batch.names)
    same(
        attacked(step, losses, DGBA(), batch.image, eps, random),
        attacked(step, losses, Single(), batch.image, eps, random),
    )


@pytest.mark.parametrize(("alpha", "equal"), [(0.0, Total()), (1.0, DGBA())])
@pytest.mark.parametrize("step", [PGD(), APGD()], ids=["pgd", "apgd"])
def test_power_reaches_from_total_to_dgba(alpha, equal, step):
    batch, eps = first_batch(), torch.full((3,), EPS)
    losses, random = golden("nyuv2").losses(batch), PerImage(0, batch.names)
    same(
        attacked(step, losses, Power(alpha), batch.image, eps, random),
        attacked(step, losses, equal, batch.image, eps, random),
    )


@pytest.mark.parametrize("attack", sorted(set(OBJECTIVES) - {"noise", "saga"}))
def test_apgd_never_ends_below_its_start(attack):
    batch = first_batch()
    losses = golden("nyuv2").losses(batch, tasks_of(attack))
    objective = objective_of(attack).bind(losses, batch.image)
    for steps in (1, 2, 5):
        found = Attack(objective_of(attack), APGD(steps), ())(
            losses, batch.image, torch.full((3,), EPS), PerImage(0, "abc")
        )
        assert (objective.score(losses(found[""])) >= objective.score(losses(batch.image))).all()


def test_more_restarts_never_lower_the_score():
    batch, eps = first_batch(), torch.full((3,), EPS)
    losses = golden("nyuv2").losses(batch)
    scores = [
        DGBA().score(
            losses(Attack(DGBA(), PGD(2), (), restarts=n)(losses, batch.image, eps, PerImage(0, batch.names))[""])
        )
        for n in (1, 2, 4)
    ]
    assert (scores[1] >= scores[0]).all()
    assert (scores[2] >= scores[1]).all()


def test_weighted_total_keeps_every_weighting_and_the_best_per_image():
    batch, eps = first_batch(), torch.full((3,), EPS)
    losses = golden("nyuv2").losses(batch)
    objective = objective_of("weighted_total")
    found = Attack(objective, PGD(3), ())(losses, batch.image, eps, PerImage(0, batch.names))
    assert len(found) == 11
    score = objective.bind(losses, batch.image).score
    tried = torch.stack([score(losses(image)) for name, image in found.items() if name])
    assert torch.equal(score(losses(found[""])), tried.amax(0))
    same(
        found["w3/0/0"],
        attacked(
            PGD(3),
            golden("nyuv2").losses(batch, golden("nyuv2").tasks[:1]),
            Single(),
            batch.image,
            eps,
            PerImage(0, batch.names),
        ),
    )


@pytest.mark.parametrize("ds", ["nyuv2", "tiny_taxonomy"])
@pytest.mark.parametrize("name", ["total", "dgba"])
def test_one_backward_equals_one_per_task(ds, name):
    """grad sum_i log L_i = sum_i grad L_i / L_i, the identity that makes DGBA cheap (arXiv 2305.12066)."""
    batch = first_batch(ds)
    losses = golden(ds).losses(batch)
    x = batch.image.clone().requires_grad_()
    values = losses(x)
    expected = torch.zeros_like(x)
    for row in values:
        (slope,) = torch.autograd.grad(row.sum(), x, retain_graph=True)
        expected += slope / row.detach()[:, None, None, None] if name == "dgba" else slope
    found = objective_of(name).ascent(losses, batch.image)
    clear = expected.abs() > 1e-12
    assert clear.float().mean() > 0.9
    assert torch.allclose(found.direction, expected, rtol=1e-3, atol=1e-6 * expected.abs().max().item())
    assert torch.equal(found.direction.sign()[clear], expected.sign()[clear])
    assert torch.equal(found.losses, values.detach())
    assert torch.allclose(found.score, (values.log() if name == "dgba" else values).sum(0).detach())


def test_ascent_keeps_no_graph():
    batch = first_batch()
    for attack in OBJECTIVES:
        losses = golden("nyuv2").losses(batch, tasks_of(attack))
        ascent = objective_of(attack).bind(losses, batch.image).ascent(losses, batch.image)
        assert ascent.direction.shape == batch.image.shape
        assert ascent.score.shape == (len(batch),)
        assert ascent.losses.shape == (len(tasks_of(attack)), len(batch))
        assert not any(part.requires_grad for part in ascent)


def test_dgba_gives_a_loss_of_zero_no_say():
    """One task without a valid pixel: DGBA of the others."""
    x = torch.rand(2, 3, 4, 4)
    slope = torch.randn(3, 4, 4)

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
        attacked(PGD(steps=7), counted, objective, batch.image, torch.full((3,), EPS), PerImage(0, batch.names))
        assert len(calls) == 7


# Step rules on a problem with a known optimum


@pytest.fixture
def linear() -> tuple[Tensor, Callable[[Tensor], Tensor], Tensor]:
    """Images, losses that are linear in them, and the sign of their total slope, nowhere zero."""
    random = torch.Generator().manual_seed(0)
    x = 0.2 + 0.6 * torch.rand(4, 3, 5, 6, generator=random)
    slopes = torch.randn(2, 4, 3, 5, 6, generator=random)
    return x, lambda z: (slopes * z).sum((2, 3, 4)), slopes.sum(0).sign()


STEPS = [
    FGSM(),
    PGD(1),
    PGD(10),
    PGD(3),
    PGD(10, size=0.25),
    APGD(10),
    MIM(10, size=0.25),
    MIMLinear(10),
    SAGA(10, size=0.25),
]


@pytest.mark.parametrize(
    "step", STEPS, ids=["fgsm", "pgd1", "pgd10", "pgd3", "pgd10-0.25", "apgd", "mim", "mim_linear", "saga"]
)
def test_linear_losses_reach_the_corner(step, linear):
    x, losses, sign = linear
    eps = torch.tensor([0.0, 0.01, 8 / 255, 0.1])
    found = attacked(step, losses, Total(), x, eps, PerImage(0, "abcd"))
    assert torch.allclose(found, x + eps[:, None, None, None] * sign, rtol=0, atol=1e-6)


def test_linear_losses_reach_the_corner_of_the_box(linear):
    x, losses, sign = linear
    found = attacked(PGD(4, size=0.5), losses, Total(), x, torch.full((4,), 0.9), PerImage(0, "abcd"))
    assert torch.equal(found, ((x + 0.9 * sign).clamp(0, 1)))


def test_a_smaller_step_stays_short_of_the_corner(linear):
    x, losses, sign = linear
    found = attacked(PGD(3, size=0.1), losses, Total(), x, torch.full((4,), 0.1), PerImage(0, "abcd"))
    assert torch.allclose(found - x, 0.03 * sign, atol=1e-6)


def test_pgd_climbs_back_on_a_curved_loss():
    """A concave loss whose peak lies inside the ball in half of the pixels and beyond it in the others."""
    x = torch.full((1, 3, 4, 4), 0.5)
    peak = torch.full_like(x, 0.52)
    peak[..., ::2] = 0.9
    found = attacked(
        PGD(40, size=0.05),
        lambda z: 10 - (z - peak).square().sum((1, 2, 3))[None],
        Total(),
        x,
        torch.tensor([0.1]),
        PerImage(0, "a"),
    )
    assert (found[..., ::2] - 0.6).abs().max() < 1e-6
    assert (found[..., 1::2] - 0.52).abs().max() <= 0.0051


def test_a_zero_gradient_moves_nothing():
    x = torch.rand(2, 3, 4, 4)
    for step in (FGSM(), PGD()):
        assert torch.equal(
            attacked(step, lambda z: 0 * z.sum((1, 2, 3))[None], Total(), x, torch.full((2,), 0.1), PerImage(0, "ab")),
            x,
        )


# Randomness


STARTS = {
    "noise": Attack(Total(), Noise(), ()),
    "random_start": Attack(Total(), PGD(2), (), random_start=True),
    "restarts": Attack(Total(), PGD(1), (), random_start=True, restarts=3),
}


@pytest.mark.parametrize("attack", STARTS.values(), ids=STARTS)
def test_random_draws_depend_on_seed_and_name_only(attack):
    batch = first_batch()

    def hit(batch: Batch, seed: int = 0) -> Tensor:
        eps = torch.full((len(batch),), EPS)
        return attack(golden("nyuv2").losses(batch), batch.image, eps, PerImage(seed, batch.names))[""]

    reference = hit(batch)
    assert torch.equal(hit(batch), reference)
    assert not torch.equal(hit(batch, seed=1), reference)
    renamed = hit(replace(batch, names=("x", *batch.names[1:])))
    assert not torch.equal(renamed[0], reference[0])
    same(renamed[1:], reference[1:])
    twins = hit(replace(rows(batch, [0, 0]), names=("a", "b")))
    assert not torch.equal(twins[0], twins[1])


def test_per_image_draws():
    like = torch.empty(2, 3, 50, 40)
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
    x = torch.full((2, 3, 16, 16), 0.5)
    moved = (
        attacked(Noise(), lambda z: z.sum((1, 2, 3))[None], Total(), x, torch.full((2,), EPS), PerImage(0, "ab")) - x
    )
    assert torch.allclose(moved.abs(), torch.full_like(x, EPS), atol=SLACK)
    assert 0.45 < (moved > 0).float().mean() < 0.55


# The ball


def test_projection_is_the_nearest_point():
    random = torch.Generator().manual_seed(0)
    x, z = torch.rand(3, 3, 4, 4, generator=random), 3 * torch.rand(3, 3, 4, 4, generator=random) - 1
    eps = torch.tensor([0.0, 0.05, 2.0])
    ball = Ball(x, eps, PerImage(0, "abc"))
    found = ball.project(z)
    assert torch.equal(ball.project(found), found)
    assert torch.equal(found[0], x[0])
    assert torch.equal(found[2], z[2].clamp(0, 1))
    assert torch.equal(found[1], torch.clamp(z[1], (x[1] - 0.05).clamp(min=0), (x[1] + 0.05).clamp(max=1)))


# Options


@pytest.mark.parametrize("steps", [0, -1, 2.5, True, "3", None])
def test_bad_number_of_steps(steps):
    with pytest.raises(UsageError, match=rf"attack\.step\.steps={steps}: expected a whole number"):
        PGD(steps=steps)


@pytest.mark.parametrize("size", [0, -0.1, float("inf"), float("nan"), True, "0.1"])
def test_bad_step_size(size):
    with pytest.raises(UsageError, match=rf"attack\.step\.size={size}: expected a positive number"):
        PGD(size=size)
