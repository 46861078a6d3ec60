"""SEA and its step rule: the schedule, what is kept, and that a masked loss keeps no clean image."""

import pytest
import torch
from torch import Tensor

import mtlbench
from mtlbench.attacks.attack import Attack
from mtlbench.attacks.ball import BALLS
from mtlbench.attacks.objectives import SEA, OneOfSEA, Total
from mtlbench.attacks.objectives.sea import SEA_LOSSES
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import APGD, ShrinkingAPGD
from mtlbench.attacks.targets import targets_of
from mtlbench.engine.counting import Cost, Counted
from mtlbench.errors import UsageError
from mtlbench.tasks import classification, depth, segmentation
from tests.device import HERE
from tests.grid import apply, climb, first_batch, golden

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("one_thread")]

EPS = 4 / 255


@pytest.mark.parametrize(
    ("steps", "runs"), [(100, (30, 30, 40)), (300, (90, 90, 120)), (10, (3, 3, 4)), (33, (9, 9, 15)), (4, (1, 1, 2))]
)
def test_the_schedule_of_the_authors(steps: int, runs: tuple[int, ...]) -> None:
    assert ShrinkingAPGD(steps).runs() == runs


@pytest.mark.parametrize("steps", [1, 3])
def test_three_runs_need_four_steps(steps: int) -> None:
    with pytest.raises(UsageError, match=rf"attack.step.steps={steps}: expected at least 4"):
        ShrinkingAPGD(steps)


def test_the_radii_are_2_and_one_and_a_half_and_1() -> None:
    """A linear loss is climbed to the border of each ball."""
    x = torch.full((2, 3, 4, 4), 0.5, **HERE)
    farthest: list[float] = []

    def losses(z: Tensor) -> Tensor:
        farthest.append(float((z - x).detach().abs().max() / EPS))
        return z.flatten(1).sum(1)[None]

    found = climb(ShrinkingAPGD(10), losses, x, torch.full((2,), EPS, **HERE))
    assert torch.allclose(found, x + EPS)
    each = [farthest[:4], farthest[4:8], farthest[8:]]
    assert [max(part) for part in each] == pytest.approx([2, 1.5, 1], rel=1e-4)


def test_cost() -> None:
    seen = Counted(lambda z: z.flatten(1).sum(1)[None])
    x = torch.full((2, 3, 4, 4), 0.5, **HERE)
    climb(ShrinkingAPGD(10), seen, x, torch.full((2,), EPS, **HERE))
    assert seen.cost == Cost(gradients=2 * 10, forwards=2 * 13)


@pytest.mark.parametrize("norm", BALLS)
def test_it_is_three_runs_of_apgd_one_after_the_other(norm: str) -> None:
    batch, attack = first_batch("precise"), Attack(Total(), ShrinkingAPGD(10), golden("precise").tasks, norm=norm)
    losses, radius = golden("precise").seen_by(attack, batch), batch.input.new_full((len(batch),), EPS)
    x = batch.input
    with torch.no_grad():
        for steps, factor in ((3, 2.0), (3, 1.5), (4, 1.0)):
            ball = BALLS[norm](batch.input, factor * radius, PerImage(0, batch.names))
            x = APGD(steps).run(losses, Total(), ball, ball.project(x))
    torch.testing.assert_close(apply(attack, batch, EPS, ds="precise"), x, rtol=0, atol=1e-7)


# The ensemble


def wrong(images: Tensor) -> Tensor:
    """Share of wrong pixels [B]."""
    batch, attack = first_batch("precise"), Attack(SEA(), APGD(1), golden("precise").tasks[:1])
    return golden("precise").seen_by(attack, batch)(images)[-1]


@pytest.fixture(scope="module")
def parts() -> dict[str, Tensor]:
    """What each loss finds, and the ensemble."""
    batch, task = first_batch("precise"), golden("precise").tasks[:1]
    made = {loss: apply(Attack(OneOfSEA(loss), ShrinkingAPGD(8), task), batch, ds="precise") for loss in SEA_LOSSES}
    return made | {"sea": apply(Attack(SEA(), ShrinkingAPGD(8), task), batch, ds="precise")}


def test_of_each_image_the_lowest_pixel_accuracy_is_kept(parts: dict[str, Tensor]) -> None:
    found = torch.stack([wrong(parts[loss]) for loss in SEA_LOSSES])
    assert torch.equal(wrong(parts["sea"]), found.amax(0))
    batch = first_batch("precise")
    for image, row in zip(parts["sea"], range(len(batch)), strict=True):
        assert any(torch.equal(image, parts[loss][row]) for loss in SEA_LOSSES)


@pytest.mark.parametrize("loss", SEA_LOSSES)
def test_no_part_keeps_the_clean_image(parts: dict[str, Tensor], loss: str) -> None:
    """The best point is judged by pixel accuracy; judged by a masked loss itself it would be the clean image."""
    batch = first_batch("precise")
    assert (wrong(parts[loss]) > wrong(batch.input)).all()


def test_the_direction_is_that_of_the_loss() -> None:
    batch, task = first_batch("precise"), golden("precise").tasks[:1]
    for row, loss in enumerate(SEA_LOSSES):
        attack = Attack(OneOfSEA(loss), APGD(1), task)
        losses = golden("precise").seen_by(attack, batch)
        ascent = attack.objective.ascent(losses, batch.input)
        x = batch.input.clone().requires_grad_()
        (slope,) = torch.autograd.grad(losses(x)[row].sum(), x)
        torch.testing.assert_close(ascent.direction, slope)
        assert torch.equal(ascent.score, ascent.losses[-1])


def test_it_is_of_tasks_with_a_class_for_each_pixel() -> None:
    tasks = {"objects": segmentation(5), "kind": classification(3), "depth": depth(), "parts": segmentation(4)}
    named = [*(task.__class__(**{**vars(task), "name": name}) for name, task in tasks.items())]
    assert list(targets_of(SEA(), named)) == ["objects", "parts"]
    with pytest.raises(UsageError, match="sea: expected a task with classes for each pixel; there are kind, depth"):
        targets_of(SEA(), named[1:3])


def test_from_python() -> None:
    batch, task = first_batch(), golden("nyuv2").tasks[0]
    images, targets = batch.input[:2].float(), {task.name: batch.targets[task.name][:2].clamp(max=task.channels - 1)}

    def model(x: Tensor) -> dict[str, Tensor]:
        return {task.name: torch.cat([x, -x, x.flip(1)], 1).repeat(1, 5, 1, 1)[:, : task.channels]}

    found = mtlbench.perturb(model, images, targets, [task], objective="sea", steps=4)
    assert found.shape == images.shape
    assert (found - images).abs().max() <= 8 / 255 + 1e-6
    with pytest.raises(UsageError, match="step=pgd: sea has a step rule of its own"):
        mtlbench.perturb(model, images, targets, [task], objective="sea", step="pgd")
