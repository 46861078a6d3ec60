"""Losses of decisions, not of confidence: multiplying the logits by a number changes no attack."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import DGBA, Objective, Single, Total
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import PGD
from mtlbench.engine.losses import LOSSES, TaskLosses
from mtlbench.engine.scale_free import FLOOR, SCALE_FREE, class_margin, gap, of_images, saturated, size, spread
from mtlbench.errors import DataError, UsageError
from mtlbench.tasks import Task, classification, multilabel, regression, segmentation
from tests.device import DEVICE, HERE, here

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("one_thread")]

N = 64
OF_CLASSES = ("class_margin", "dlr")


def vectors(loss: str, channels: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    prediction = torch.randn(N, channels, 1, 1, generator=random)
    most, wide = (channels, 1) if loss in OF_CLASSES else (2, channels)
    target = torch.randint(0, most, (N, wide, 1, 1), generator=random)
    return here(prediction), here(target), torch.ones(N, 1, 1, 1, dtype=torch.bool, device=DEVICE)


def with_gradient(loss: str, prediction: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    prediction = prediction.clone().requires_grad_()
    values = LOSSES[loss](prediction, *rest)
    return values.detach(), torch.autograd.grad(values.sum(), prediction)[0]


CASES = [
    (loss, channels) for loss in SCALE_FREE for channels in (1, 2, 3, 7) if loss not in OF_CLASSES or channels > 1
]
each = pytest.mark.parametrize(("loss", "channels"), CASES)


@each
@pytest.mark.parametrize("factor", [2.0**-10, 8.0, 2.0**20])
def test_a_factor_on_the_logits_changes_no_bit(loss: str, channels: int, factor: float) -> None:
    """A power of two, so that nothing rounds; the gradient with respect to the logits shrinks by it."""
    prediction, *rest = vectors(loss, channels)
    values, slope = with_gradient(loss, prediction, *rest)
    scaled, scaled_slope = with_gradient(loss, factor * prediction, *rest)
    assert torch.equal(scaled, values)
    assert torch.equal(factor * scaled_slope, slope)


@each
def test_every_image_has_a_loss_and_a_gradient(loss: str, channels: int) -> None:
    prediction, target, mask = vectors(loss, channels)
    values, slope = with_gradient(loss, prediction, target, mask)
    assert (values > 0).all()
    moves = mask.flatten()
    if loss == "dlr" and channels > 2:  # flat where the right class is the third one
        moves = (prediction.argsort(1, descending=True)[:, 2:3] != target).flatten()
    assert torch.equal(slope.flatten(1).abs().amax(1) > 1e-6, moves)


def dlr(*logits: float, right: int = 0) -> float:
    prediction = torch.tensor(logits, **HERE)[None, :, None, None]
    target, mask = torch.tensor([[[[right]]]], device=DEVICE), torch.ones(1, 1, 1, 1, dtype=torch.bool, device=DEVICE)
    return LOSSES["dlr"](prediction, target, mask, None).item()


def test_dlr_by_hand() -> None:
    assert dlr(4, 1, 0, -9) == pytest.approx(1 - 3 / 4, abs=2 * FLOOR)  # right: the published ratio
    assert dlr(1, 1, 0) == pytest.approx(1, abs=2 * FLOOR)  # on the border
    assert dlr(1, 3, 0) == pytest.approx(1 + 2 / (3 + 2), abs=2 * FLOOR)  # wrong: between 1 and 2
    assert dlr(-1e6, 3, 2, 0) == pytest.approx(2, abs=2 * FLOOR)
    assert 0 < dlr(9, 0, 0) <= 2 * FLOOR  # nothing between second and third, and yet not 0
    assert dlr(0, 0, 0, 0) == 1
    assert dlr(5, 5, 5, right=2) == 1


@pytest.mark.parametrize("channels", [2, 3, 40])
def test_dlr_lies_between_0_and_2_and_tells_right_from_wrong(channels: int) -> None:
    prediction, target, mask = vectors("dlr", channels, seed=3)
    prediction = prediction * torch.logspace(-6, 6, N, **HERE)[:, None, None, None]
    values = LOSSES["dlr"](prediction, target, mask)
    assert ((values > 0) & (values < 2)).all()
    wrong = prediction.argmax(1, keepdim=True) != target
    assert torch.equal(values > 1, wrong.flatten())


def test_unknown_labels_count_for_nothing() -> None:
    prediction, target, mask = vectors("label_margin", 3)
    target = target.to(prediction)
    target[:, 1] = torch.nan
    scale = prediction.abs().mean((1, 2, 3))
    values = SCALE_FREE["label_margin"](prediction, target, mask, None, scale)
    others = SCALE_FREE["label_margin"](prediction[:, ::2], target[:, ::2], mask, None, scale)
    assert torch.allclose(values, others)
    nothing, slope = with_gradient("label_margin", prediction, torch.full_like(target, torch.nan), mask, None)
    assert not nothing.any()
    assert not slope.any()


def test_scales_by_hand() -> None:
    logits = torch.tensor([[[1.0, 5.0, 99.0]], [[-1.0, -5.0, 0.0]]], **HERE)[None].expand(2, -1, -1, -1)
    mask = torch.tensor([[[[True, True, False]]], [[[False] * 3]]], device=DEVICE)
    assert of_images(spread, logits, mask).tolist() == [3, 1]  # of 1 and 5; nothing to measure
    assert of_images(size, logits, mask).tolist() == [3, 1]
    assert of_images(gap, logits, mask).tolist() == [6, 1]  # of 2 and 10
    assert of_images(spread, 0 * logits, mask).tolist() == [1, 1]
    four = torch.tensor([9.0, -1.0, 4.0, 6.0], **HERE)[None, :, None, None]
    assert gap(four).item() == 5
    assert gap(four[:, :1]).item() == 9


def test_a_clean_scale_is_a_constant() -> None:
    """Twice the scale is half the margin."""
    prediction, target, mask = vectors("class_margin", 3)
    own = of_images(gap, prediction, mask)
    values = class_margin(prediction, target, mask, None, 2 * own)
    assert torch.allclose(values, class_margin(prediction / 2, target, mask, None, own))
    rightmost = prediction.argmax(1, keepdim=True)
    closest = class_margin(prediction, rightmost, mask, None, own)
    assert (closest < math.log(2)).all()  # margins 0 to 1
    assert (closest >= math.log(1 + math.exp(-1)) - 1e-6).all()


# Attacks on a model whose confident heads hide their gradient


class Parts(nn.Module):
    """A trunk with a class of four, a yes or no, three attributes and a mask; confident by a factor on its logits."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()
        )
        self.heads = nn.ModuleDict({name: nn.Linear(16 * 16, task.channels) for name, task in PER_IMAGE.items()})
        self.mask = nn.Conv2d(16, 3, 1)
        self.factor = 1.0

    def forward(self, x: Tensor, names: Sequence[str] | None = None) -> dict[str, Tensor]:
        features = self.trunk(x - 0.5)
        pooled = F.adaptive_avg_pool2d(features, 4).flatten(1)
        found = {name: head(pooled)[:, :, None, None] for name, head in self.heads.items()} | {
            "mask": self.mask(features)
        }
        return {name: self.factor * logits for name, logits in found.items() if names is None or name in names}


PER_IMAGE = {
    "class": classification(4, name="class"),
    "defect": classification(2, name="defect"),
    "labels": multilabel(3, name="labels"),
}
TASKS = {**PER_IMAGE, "mask": segmentation(3, name="mask")}


def draw(n: int, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Images of a bright patch: its quarter is the class, its height and colours the others, the mask where it is."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 2, (n, 3), generator=random)
    quarter, tall = torch.randint(0, 4, (n,), generator=random), torch.randint(0, 2, (n,), generator=random)
    images, mask = (
        0.5 + 0.08 * torch.randn(n, 3, 16, 16, generator=random),
        torch.zeros(n, 1, 16, 16, dtype=torch.long),
    )
    for i in range(n):
        top, left = 8 * int(quarter[i] // 2), 8 * int(quarter[i] % 2)
        where = slice(top + 1, top + 4 + 3 * int(tall[i])), slice(left + 1, left + 7)
        images[i][:, where[0], where[1]] += (0.06 + 0.12 * labels[i])[:, None, None]
        mask[i, 0, where[0], where[1]] = 1 + int(tall[i])
    targets = {"class": quarter[:, None], "defect": tall[:, None], "labels": labels}
    return images.clamp(0, 1), {name: t[:, :, None, None] for name, t in targets.items()} | {
        "mask": mask[..., ::2, ::2]
    }


def masks(targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.ones_like(target[:, :1], dtype=torch.bool) for name, target in targets.items()}


@pytest.fixture(scope="module")
def model() -> Parts:
    images, targets = draw(192, 0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = Parts()
    losses = TaskLosses(built, list(TASKS.values()), targets, masks(targets), training=True)
    optimiser = torch.optim.Adam(built.parameters(), 1e-2)
    for _ in range(100):
        optimiser.zero_grad()
        losses(images).mean(1).sum().backward()
        optimiser.step()
    return built.to(**HERE).eval().requires_grad_(False)


IMAGES, TARGETS = draw(N, 1)
IMAGES, TARGETS = here(IMAGES), {name: target.to(DEVICE) for name, target in TARGETS.items()}
EPS = torch.full((N,), 4 / 255, **HERE)
RANDOM = PerImage(0, [str(i) for i in range(N)])


def attacked(model: Parts, tasks: Sequence[Task], factor: float, objective: Objective, logits: str = "raw") -> Tensor:
    model.factor = factor
    losses = TaskLosses(model, tasks, TARGETS, masks(TARGETS), clean=IMAGES, logits=logits)
    return Attack(objective, PGD(5), tuple(tasks))(losses, IMAGES, EPS, RANDOM)


def right(model: Parts, images: Tensor, name: str) -> float:
    """Share of right classes or labels."""
    logits = model(images)[name]
    predicted = (logits > 0) if name == "labels" else logits.argmax(1, keepdim=True)
    return float((predicted == TARGETS[name]).double().mean())


FACTORS = (1.0, 3.0, 24.0, 100.0)
PLAIN = {name: replace(task, attack_loss=None) for name, task in TASKS.items()}
"""The same tasks, attacked by what trains them."""


def left(model: Parts, tasks: Mapping[str, Task], objective: Objective, logits: str = "raw") -> dict[str, list[float]]:
    """Task -> share of right decisions under attack, for each factor on the logits."""
    images = [attacked(model, list(tasks.values()), factor, objective, logits) for factor in FACTORS]
    return {name: [right(model, x, name) for x in images] for name in tasks}


@pytest.mark.parametrize("name", PER_IMAGE)
def test_a_confident_head_hides_from_cross_entropy_and_not_from_margins(model: Parts, name: str) -> None:
    """`single` at x1, x3, x24, x100: the same decisions, other confidence."""
    plain, margin = (left(model, {name: tasks[name]}, Single())[name] for tasks in (PLAIN, TASKS))
    assert max(margin) - min(margin) <= 1 / N
    assert margin[0] <= plain[0] + 1 / N  # it is no weaker where nothing is hidden
    assert plain[3] > plain[0] + 0.1
    assert plain[3] > margin[3] + 0.1


@pytest.mark.parametrize("objective", [DGBA(), Total()])
def test_attacks_on_all_heads_do_not_change_with_confidence(model: Parts, objective: Objective) -> None:
    found = left(model, PER_IMAGE, objective)
    for name, shares in found.items():
        assert max(shares) - min(shares) <= 0.02, name
    hurt = [sum(1 - shares[i] for shares in found.values()) for i in (0, 3)]
    plain = left(model, {name: PLAIN[name] for name in PER_IMAGE}, objective)
    assert sum(1 - shares[3] for shares in plain.values()) < 0.7 * hurt[1]


@pytest.mark.parametrize("objective", [Single(), DGBA(), Total()])
def test_normalised_logits_are_attacked_alike_whatever_their_size(model: Parts, objective: Objective) -> None:
    tasks = {"mask": TASKS["mask"]} if objective.name == "single" else TASKS
    found = left(model, tasks, objective, "normalised")
    for name, shares in found.items():
        assert max(shares) - min(shares) <= 0.02, name


def test_a_power_of_two_changes_no_bit_of_an_attacked_image(model: Parts) -> None:
    """Nothing rounds otherwise."""
    one, other = (attacked(model, list(TASKS.values()), factor, DGBA(), "normalised") for factor in (1.0, 64.0))
    assert torch.equal(one, other)


def test_raw_logits_of_dense_tasks_are_what_they_were(model: Parts) -> None:
    model.factor = 1.0
    task = TASKS["mask"]
    logits, ids, mask = model(IMAGES)["mask"], TARGETS["mask"], masks(TARGETS)["mask"]
    raw, normalised = (
        TaskLosses(model, [task], TARGETS, masks(TARGETS), clean=IMAGES, logits=how)(IMAGES)[0]
        for how in ("raw", "normalised")
    )
    assert torch.equal(raw, LOSSES["cross_entropy"](logits, ids, mask, None))
    third = of_images(spread, logits, mask) / 3
    assert torch.equal(normalised, LOSSES["cross_entropy"](logits / third[:, None, None, None], ids, mask, None))


def test_the_clean_images_are_looked_at_once_and_only_where_a_scale_is_needed(model: Parts) -> None:
    model.factor = 1.0
    seen: list[tuple[int, list[str]]] = []

    def forward(x: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        seen.append((len(x), list(names)))
        return model(x, names)

    TaskLosses(forward, [TASKS["mask"]], TARGETS, masks(TARGETS), clean=IMAGES)(IMAGES)
    assert seen == [(N, ["mask"])]
    seen.clear()
    losses = TaskLosses(forward, [TASKS["defect"], TASKS["mask"]], TARGETS, masks(TARGETS), clean=IMAGES)
    twice = [losses(IMAGES) for _ in range(2)][1]
    assert seen == [(N, ["defect", "mask"])] * 3
    assert torch.allclose(losses.repeat(2)(IMAGES.repeat(2, 1, 1, 1)), twice.repeat(1, 2), rtol=1e-5)


def test_training_climbs_other_losses(model: Parts) -> None:
    model.factor = 1.0
    task = TASKS["class"]
    args = (model, [task], TARGETS, masks(TARGETS))
    logits, ids = model(IMAGES)["class"], TARGETS["class"]
    plain = LOSSES["cross_entropy"](logits, ids, masks(TARGETS)["class"], None)
    assert torch.equal(TaskLosses(*args, training=True, logits="normalised")(IMAGES)[0], plain)
    assert torch.equal(TaskLosses(*args)(IMAGES)[0], class_margin(logits, ids, masks(TARGETS)["class"]))


def test_saturated_pixels_by_hand() -> None:
    """Of two valid pixels one is 18 apart; a third does not count."""
    task = segmentation(3, name="mask")
    rows = [[20.0, 5.0, 99.0], [2.0, 1.0, 0.0], [0.0, 4.0, 0.0]]  # 18, 1 and 99 apart
    logits = torch.tensor(rows, **HERE)[None, :, None].repeat(2, 1, 1, 1)
    mask = torch.tensor([[True, True, False], [False] * 3], device=DEVICE)[:, None, None]
    assert saturated(task, logits, mask).tolist() == [0.5, 0]
    assert saturated(task, logits, mask[..., :1]).tolist() == [pytest.approx(2 / 3), 0]  # brought to its size
    assert saturated(replace(task, attack_loss="class_margin"), logits, mask).tolist() == [0, 0]
    labels = replace(multilabel(3, name="labels", attack_loss=None), per_image=False)
    assert saturated(labels, logits, mask).tolist() == [pytest.approx(1 / 6), 0]


# Losses of the user


def cubes(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None) -> Tensor:
    return (prediction - target).abs().pow(3).mean((1, 2, 3))


def test_a_loss_may_be_a_function() -> None:
    task = regression(name="wear", outputs=2, loss="l2", attack_loss=cubes)
    x, y = here(torch.randn(2, N, 2, 1, 1))
    targets = {"wear": y}
    losses = TaskLosses(lambda *_: {"wear": x}, [task], targets, masks(targets))
    assert torch.allclose(losses(x)[0], (x - y).abs().pow(3).mean((1, 2, 3)))


@pytest.mark.parametrize(
    ("loss", "error", "says"),
    [
        (
            lambda *_: torch.zeros(()),
            DataError,
            r"wear: loss .*<lambda> is \[\]; expected one number an image, \[64\]",
        ),
        ("cube", UsageError, "loss cube: expected a function, or one of cross_entropy, cosine, l1, l2, bce"),
    ],
)
def test_a_wrong_loss_is_named(loss: Any, error: type[Exception], says: str) -> None:
    task = regression(name="wear", loss=loss)
    y = {"wear": torch.zeros(N, 1, 1, 1)}
    with pytest.raises(error, match=says):
        TaskLosses(lambda *_: y, [task], y, masks(y))(y["wear"])


def test_normalised_logits_need_the_clean_images(model: Parts) -> None:
    with pytest.raises(ValueError, match="need the clean images"):
        TaskLosses(model, [TASKS["mask"]], TARGETS, masks(TARGETS), logits="normalised")(IMAGES)
    with pytest.raises(UsageError, match=r"attack\.logits=half: expected raw or normalised"):
        TaskLosses(model, [TASKS["mask"]], TARGETS, masks(TARGETS), logits="half")
