"""Runs that begin on the way to other points, and vectors under the same step rules as images."""

import pytest
import torch
from torch import Tensor

from mtlbench.attacks.around import Around
from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import Single, Total
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import PGD, Direct, Step
from mtlbench.constants import AVERAGE_OTHER, INPUT, NEAREST_OTHER
from mtlbench.errors import UsageError
from mtlbench.experiment.cells import attack_identity
from mtlbench.models.sharing import level
from mtlbench.models.tree_model import build
from mtlbench.models.two_layer import TwoLayer
from mtlbench.space import Space
from mtlbench.tasks import classification

TASKS = tuple(classification(2, name=name, metrics=("accuracy",)) for name in ("one", "two"))
VECTORS = Space("vector", "the data's unit", euclidean=True)
NAMES = ("a", "b", "c")


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X = draw(3, 5)
POINTS = {NEAREST_OTHER: {"one": X + 0.1 * draw(3, 5, seed=1), "two": X + 9 * draw(3, 5, seed=2)}}


class Kept(Step):
    """Remembers where it starts, and stays there."""

    name, steps = "kept", 1

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def run(self, losses, objective, ball, start):
        self.seen.append(start)
        return start


def run(step: Step, losses=lambda x: x.square().sum(1)[None], eps: float = 1.0, tasks=TASKS, **options) -> Tensor:
    attack = Attack(Total(), step, tasks, norm="l2", **options)
    radii = torch.full((3,), eps, dtype=torch.float64)
    return attack(losses, X, radii, PerImage(0, NAMES), Around(VECTORS, points=POINTS))


def test_runs_begin_at_nine_tenths_of_the_way_for_each_attacked_task():
    """Up to the border of the ball, or to the point where that is nearer."""
    kept = Kept()
    run(kept, starts=(INPUT, NEAREST_OTHER))
    near, far = POINTS[NEAREST_OTHER].values()
    assert torch.equal(kept.seen[0], X)
    torch.testing.assert_close(kept.seen[1], X + 0.9 * (near - X))
    torch.testing.assert_close(kept.seen[2], X + 0.9 * (far - X) / (far - X).norm(dim=1, keepdim=True))
    assert len(kept.seen) == 3


def test_a_single_attack_begins_at_its_own_tasks_point():
    kept = Kept()
    run(kept, starts=(NEAREST_OTHER,), tasks=TASKS[:1])
    assert len(kept.seen) == 1
    torch.testing.assert_close(kept.seen[0], X + 0.9 * (POINTS[NEAREST_OTHER]["one"] - X))


def test_restarts_are_of_the_input_alone():
    kept = Kept()
    run(kept, starts=(NEAREST_OTHER, INPUT), restarts=3)
    assert len(kept.seen) == 2 + 3


def test_direct_goes_all_the_way():
    """To the better of both points as the loss judges, here the one farther out."""
    found = run(Direct(), starts=(NEAREST_OTHER,))
    ends = [
        X + (point - X) / (point - X).norm(dim=1, keepdim=True).clamp_min(1)
        for point in POINTS[NEAREST_OTHER].values()
    ]
    lengths = torch.stack([end.square().sum(1) for end in ends])
    torch.testing.assert_close(found, torch.stack(ends)[lengths.argmax(0), torch.arange(3)])


def test_several_starts_are_no_worse_than_any():
    def losses(x: Tensor) -> Tensor:
        return (x * 3).sin().sum(1)[None] + 0 * x.sum(1)

    def reached(*starts: str) -> Tensor:
        return losses(run(PGD(5), losses, starts=starts))[0]

    both = reached(INPUT, NEAREST_OTHER)
    torch.testing.assert_close(both, torch.maximum(reached(INPUT), reached(NEAREST_OTHER)))


def test_what_the_inputs_lack_is_refused():
    with pytest.raises(
        UsageError, match=r"^attack\.starts=average_other: the inputs of this dataset have image, nearest_other only$"
    ):
        run(PGD(1), starts=(AVERAGE_OTHER,))


@pytest.mark.parametrize("starts", [(), ("image", "image"), ("elsewhere",)])
def test_wrong_starts_are_refused(starts):
    with pytest.raises(UsageError, match=r"expected some of image, nearest_other, average_other, each once$"):
        Attack(Total(), PGD(1), TASKS, starts=starts)


def test_the_usual_start_is_not_in_the_identity():
    """So that results from before the option keep their keys."""
    plain = attack_identity("total", "all", Attack(Total(), PGD(1), TASKS))
    assert plain["starts"] == {"restarts": 1}
    other = attack_identity("total", "all", Attack(Total(), PGD(1), TASKS, starts=(INPUT, NEAREST_OTHER)))
    assert other["starts"] == {"restarts": 1, "from": ["image", "nearest_other"]}


def by_hand(losses, x: Tensor, eps: float, steps: int) -> Tensor:
    """L2 PGD as it is in the textbook: a step of eps / steps along the unit gradient, back into the ball."""
    z = x.clone()
    for _ in range(steps):
        z = z.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(losses(z).sum(), z)
        z = z + eps / steps * gradient / gradient.norm(dim=1, keepdim=True)
        move = z - x
        z = x + move * (eps / move.norm(dim=1, keepdim=True)).clamp_max(1)
    return z.detach()


@pytest.mark.parametrize("p", [1, 3])
@pytest.mark.parametrize("eps", [0.1, 2.0])
def test_with_one_task_it_is_the_l2_pgd_of_the_textbook(p, eps):
    """With a Euclidean radius, no box, on a network of two layers; that is foolbox's L2 attack without a start."""
    model = build(TwoLayer(5, p=p, init=1.0), level(1, 1, 1), TASKS[:1], seed=0).requires_grad_(False)

    def losses(x: Tensor) -> Tensor:
        return model(x)["one"][:, 0, 0, 0][None]

    attack = Attack(Single(), PGD(7), TASKS[:1], norm="l2")
    radii = torch.full((3,), eps, dtype=torch.float64)
    found = attack(losses, X, radii, PerImage(0, NAMES), Around(VECTORS))
    torch.testing.assert_close(found, by_hand(losses, X, eps, 7))
    assert float((found - X).norm(dim=1).max()) <= eps + 1e-12
