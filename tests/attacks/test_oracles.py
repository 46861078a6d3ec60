"""The engine against independent implementations: SciPy's HiGHS, foolbox, torchattacks."""

import warnings
from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from torch import Tensor, nn

from mtlbench.attacks.around import Around
from mtlbench.attacks.attack import Attack
from mtlbench.attacks.ball import BALLS
from mtlbench.attacks.objectives import DGBA, Single
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import APGD, PGD, Step
from mtlbench.models.sharing import level
from mtlbench.models.tree_model import build
from mtlbench.models.two_layer import TwoLayer
from mtlbench.space import Space
from mtlbench.tasks import Task, classification

CLASSIFICATION = (Task("classification", 4, "cross_entropy", ()),)
VECTOR_TASK = (classification(2, name="one", metrics=("accuracy",)),)
EPS = 8 / 255


@pytest.mark.parametrize("seed", range(10))
def test_dgba_direction_solves_the_integer_programme_and_its_relaxation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tasks, pixels = 2 + seed % 3, 27
    gradients, losses = rng.normal(size=(tasks, pixels)), rng.uniform(0.01, 5, tasks)
    cost = -(gradients / losses[:, None]).mean(0)
    integer = milp(
        cost, integrality=np.ones(pixels), bounds=Bounds(-1, 1), constraints=LinearConstraint(np.eye(pixels))
    )
    relaxed = linprog(cost, bounds=[(-1, 1)] * pixels, method="highs")
    x = torch.zeros(1, 3, 3, 3, dtype=torch.float64)

    def linear(z: Tensor) -> Tensor:
        slopes = torch.from_numpy(gradients).reshape(tasks, 1, 3, 3, 3)
        return torch.from_numpy(losses)[:, None] + (slopes * z).sum((2, 3, 4))

    direction = DGBA().ascent(linear, x).direction.sign().flatten().numpy()
    assert cost @ direction == pytest.approx(integer.fun, abs=1e-9)
    assert cost @ direction == pytest.approx(relaxed.fun, abs=1e-9)
    assert cost @ -direction > integer.fun + 1e-3  # the check can fail


@pytest.fixture(scope="module")
def classifier() -> tuple[nn.Module, Tensor, Tensor]:
    """A small network trained to tell four noisy patterns apart, 24 images and their labels."""
    generator = torch.Generator().manual_seed(0)
    patterns = torch.rand(4, 3, 8, 8, generator=generator)

    def draw(n: int) -> tuple[Tensor, Tensor]:
        labels = torch.randint(0, 4, (n,), generator=generator)
        noise = 0.35 * torch.randn(n, 3, 8, 8, generator=generator)
        return (0.25 * patterns[labels] + 0.4 + noise).clamp(0, 1), labels

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(3, 12, 3), nn.ReLU(), nn.Conv2d(12, 12, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4)
        )
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(150):
        images, labels = draw(64)
        optimiser.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimiser.step()
    images, labels = draw(24)
    return model.eval().requires_grad_(False), images, labels


def ours(step: Step, classifier: tuple[nn.Module, Tensor, Tensor], **starts: Any) -> Tensor:
    model, images, labels = classifier
    attack = Attack(Single(), step, CLASSIFICATION, **starts)
    names = [str(i) for i in range(len(images))]
    return attack(loss_of(model, labels), images, torch.full((len(images),), EPS), PerImage(0, names))


def loss_of(model: nn.Module, labels: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: F.cross_entropy(model(x), labels, reduction="none")[None]


def test_pgd_equals_foolbox(classifier: tuple[nn.Module, Tensor, Tensor]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        foolbox = pytest.importorskip("foolbox", reason="foolbox is not installed")
        model, images, labels = classifier
        wrapped = foolbox.PyTorchModel(model, bounds=(0, 1))
        theirs = foolbox.attacks.LinfPGD(rel_stepsize=0.25, steps=10, random_start=False).run(
            wrapped, images, foolbox.criteria.Misclassification(labels), epsilon=EPS
        )
    torch.testing.assert_close(ours(PGD(10, size=0.25), classifier), theirs, rtol=0, atol=1e-6)


def test_pgd_equals_torchattacks(classifier: tuple[nn.Module, Tensor, Tensor]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torchattacks = pytest.importorskip("torchattacks", reason="torchattacks is not installed")
        model, images, labels = classifier
        theirs = torchattacks.PGD(model, eps=EPS, alpha=EPS / 10, steps=10, random_start=False)(images, labels)
    torch.testing.assert_close(ours(PGD(10), classifier), theirs, rtol=0, atol=1e-6)


EUCLIDEAN = EPS * sqrt(3 * 8 * 8)
"""The radius of our l2 ball in the usual unit."""


def test_l2_pgd_equals_foolbox(classifier: tuple[nn.Module, Tensor, Tensor]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        foolbox = pytest.importorskip("foolbox", reason="foolbox is not installed")
        model, images, labels = classifier
        wrapped = foolbox.PyTorchModel(model, bounds=(0, 1))
        theirs = foolbox.attacks.L2PGD(rel_stepsize=0.25, steps=10, random_start=False).run(
            wrapped, images, foolbox.criteria.Misclassification(labels), epsilon=EUCLIDEAN
        )
    torch.testing.assert_close(ours(PGD(10, size=0.25), classifier, norm="l2"), theirs, rtol=0, atol=1e-5)


class Flat(nn.Module):
    """A network of two layers and one task, its logits [B, 2]."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.tree = build(TwoLayer(6, p=p, init=1.0), level(1, 1, 1), VECTOR_TASK, seed=0)

    def forward(self, x: Tensor) -> Tensor:
        return self.tree(x)["one"].flatten(1)


@pytest.mark.parametrize("p", [1, 3])
def test_l2_pgd_of_vectors_equals_foolbox(p: float) -> None:
    """Without a box, eps a Euclidean length; short vectors, as foolbox cuts off gradients below 1e-12."""
    model = Flat(p).eval().requires_grad_(False)
    x = 0.5 * torch.randn(12, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = model(x).argmax(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        foolbox = pytest.importorskip("foolbox", reason="foolbox is not installed")
        wrapped = foolbox.PyTorchModel(model, bounds=(-100, 100))
        theirs = foolbox.attacks.L2PGD(rel_stepsize=0.25, steps=10, random_start=False).run(
            wrapped, x, foolbox.criteria.Misclassification(labels), epsilon=0.5
        )
    attack = Attack(Single(), PGD(10, size=0.25), VECTOR_TASK, norm="l2")
    radii, random = torch.full((12,), 0.5, dtype=torch.float64), PerImage(0, [str(i) for i in range(12)])
    mine = attack(loss_of(model, labels), x, radii, random, Around(Space("vector", "length", euclidean=True)))
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-9)
    assert (mine - x).norm(dim=1).max() == pytest.approx(0.5)


def test_l2_pgd_equals_torchattacks(classifier: tuple[nn.Module, Tensor, Tensor]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torchattacks = pytest.importorskip("torchattacks", reason="torchattacks is not installed")
        model, images, labels = classifier
        attack = torchattacks.PGDL2(model, eps=EUCLIDEAN, alpha=EUCLIDEAN / 10, steps=10, random_start=False)
        theirs = attack(images, labels)
    torch.testing.assert_close(ours(PGD(10), classifier, norm="l2"), theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_dgba_direction_attains_the_optimum_of_the_l2_problem(seed: int) -> None:
    """max sum_i grad L_i d / L_i over |d| <= r: by Cauchy and Schwarz r |sum_i grad L_i / L_i|, attained."""
    random = torch.Generator().manual_seed(seed)
    gradients = torch.randn(3, 1, 3, 4, 4, generator=random, dtype=torch.float64)
    losses = torch.rand(3, generator=random, dtype=torch.float64) + 0.01
    x = torch.zeros(1, 3, 4, 4, dtype=torch.float64)

    def linear(z: Tensor) -> Tensor:
        return losses[:, None] + (gradients * z).sum((2, 3, 4))

    radius = torch.tensor([EPS], dtype=torch.float64)
    ball = BALLS["l2"](x, radius, PerImage(0, ["0"]))
    move = radius * ball.direction(DGBA().ascent(linear, x).direction)
    slope = (gradients / losses[:, None, None, None, None]).sum(0)
    optimum = EPS * sqrt(slope.numel()) * slope.norm()
    assert (slope * move).sum() == pytest.approx(float(optimum), rel=1e-12)
    assert (slope * radius * slope.sign() / sqrt(2)).sum() < optimum  # the check can fail


def test_apgd_is_not_weaker_than_torchattacks(classifier: tuple[nn.Module, Tensor, Tensor]) -> None:
    model, images, labels = classifier
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torchattacks = pytest.importorskip("torchattacks", reason="torchattacks is not installed")
        theirs = torchattacks.APGD(model, norm="Linf", eps=EPS, steps=20, n_restarts=1, seed=0, loss="ce")(
            images, labels
        )
    loss = loss_of(model, labels)
    # theirs leaves an image alone once it is misclassified, so only the images that it attacked to the end count
    attacked = model(theirs).argmax(1) == labels
    assert attacked.any()
    mine = loss(ours(APGD(20), classifier))[0]
    assert mine[attacked].mean() >= loss(theirs)[0][attacked].mean() - 1e-4
    assert mine.mean() > loss(images)[0].mean() + 0.1


def test_apgd_never_ends_below_pgds_start(classifier: tuple[nn.Module, Tensor, Tensor]) -> None:
    model, images, labels = classifier
    assert (loss_of(model, labels)(ours(APGD(5), classifier)) >= loss_of(model, labels)(images)).all()
