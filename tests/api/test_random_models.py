"""Models that draw random numbers: the same draws beside whatever, and what the mean of ten gradients is good for."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import mtlbench
from mtlbench.errors import UsageError
from tests.api.conftest import TASKS

Attacked = Callable[..., mtlbench.Result]


class Dropping(nn.Module):
    """A front end that makes half of the pixels grey, others every time."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        kept = torch.rand_like(x[:, :1]) < 0.5
        return self.net(torch.where(kept, x, 0.5))


class Guessing(nn.Module):
    """The image's one class with a probability of .7, else the other one; drawn by one of the global generators."""

    def __init__(self, draw: Callable[[], float]) -> None:
        super().__init__()
        self.draw = draw

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        right = self.draw() < 0.7
        truth = x.mean((1, 2, 3))[:, None] > 0.5
        return {"kind": 4.0 * torch.cat([truth == right, truth != right], 1)[:, [1, 0]].to(x) + 0 * x.sum()}


OPTIONS: dict[str, Any] = {
    "objective": "total",
    "step": "pgd",
    "steps": 4,
    "eps": 8,
    "probe": None,
    "random": True,
    "limit": 12,
}


@pytest.fixture(scope="module")
def found(net: nn.Module, attacked: Attacked) -> dict[int, mtlbench.Result]:
    return {eot: attacked(model=Dropping(net), eot=eot, **OPTIONS) for eot in (1, 10)}


def losses(result: mtlbench.Result) -> np.ndarray:
    """Of the clean and the attacked images, [2, N, T]."""
    return np.stack([cell.arrays["losses"] for cell in result.cells])


def test_the_mean_of_ten_gradients_does_more_than_one(found: dict[int, mtlbench.Result]) -> None:
    once, ten = (float(found[eot].arp["arp_percent"].item()) for eot in (1, 10))
    assert ten > 1.2 * once > 0
    assert {eot: one.cells[1].provenance["gradients_per_image"] for eot, one in found.items()} == {1: 4, 10: 40}


def test_one_draw_a_step_is_an_alarm(found: dict[int, mtlbench.Result]) -> None:
    said = {eot: "each step saw one draw" in one.arp["status"].item() for eot, one in found.items()}
    assert said == {1: True, 10: False}


def test_a_repeat_gives_the_same_numbers(
    net: nn.Module, attacked: Attacked, found: dict[int, mtlbench.Result]
) -> None:
    """Whatever the global generators are at; they are left as they were."""
    torch.manual_seed(5)
    random.seed(5)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    again = attacked(model=Dropping(net), eot=10, **OPTIONS)
    assert np.array_equal(losses(again), losses(found[10]))
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_no_image_draws_for_another(net: nn.Module, attacked: Attacked, found: dict[int, mtlbench.Result]) -> None:
    fewer = attacked(model=Dropping(net), eot=10, **OPTIONS | {"limit": 5})
    assert np.array_equal(losses(fewer), losses(found[10])[:, :5])


def test_another_seed_draws_otherwise(net: nn.Module, attacked: Attacked, found: dict[int, mtlbench.Result]) -> None:
    other = attacked(model=Dropping(net), eot=1, seed=1, **OPTIONS)
    assert (losses(other) != losses(found[1])).any(2).all()


def test_clean_and_attacked_images_are_scored_with_the_same_draws(net: nn.Module, attacked: Attacked) -> None:
    clean, unmoved = attacked(model=Dropping(net), **OPTIONS | {"eps": 0}).cells
    assert np.array_equal(clean.arrays["losses"], unmoved.arrays["losses"])


def test_only_what_was_asked_for_is_in_the_identity(found: dict[int, mtlbench.Result]) -> None:
    assert [cell.identity.get("random") for one in found.values() for cell in one.cells] == [True] * 4
    assert [cell.identity.get("eot") for one in found.values() for cell in one.cells] == [None, None, None, 10]


def test_a_metric_attack_and_a_perturbation_draw_too(net: nn.Module, test_split: tuple[Tensor, dict]) -> None:
    images, targets = test_split[0][:4], {task: target[:4] for task, target in test_split[1].items()}
    options: dict[str, Any] = {"objective": "smooth_arp", "steps": 2, "random": True, "eot": 2}
    moved = [mtlbench.perturb(Dropping(net), images, targets, TASKS, **options, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(moved[0], moved[1])
    assert not torch.equal(moved[0], moved[2])
    assert (moved[0] - images).abs().amax() <= 8 / 255 + 1e-6


DRAWS = {"torch": lambda: torch.rand(1).item(), "python": random.random, "numpy": np.random.random}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_the_score_is_right_in_the_mean(draw: Callable[[], float]) -> None:
    """Of 200 images the share that is right is .7 within three standard deviations; seeds are fixed."""
    images = torch.zeros(200, 1, 1, 1).expand(-1, 3, 2, 2) + (torch.arange(200) % 2)[:, None, None, None]
    target = {"kind": torch.arange(200) % 2}
    result = mtlbench.attack(
        Guessing(draw), (images, target), {"kind": mtlbench.classification(2)}, objective="total", step="fgsm", eps=1,
        random=True, probe=None, progress=False, replicates=0,
    )  # fmt: skip
    metrics = result.metrics
    accuracy = metrics[(metrics["metric"] == "accuracy") & (metrics["scores"] == "standard")]["clean"].iloc[0]
    assert accuracy == pytest.approx(0.7, abs=3 * (0.7 * 0.3 / 200) ** 0.5)


def test_draws_of_what_is_always_the_same_are_refused(attacked: Attacked) -> None:
    with pytest.raises(UsageError, match=r"eot=10: the model says of no random numbers; expected random=True"):
        attacked(objective="total", eot=10)


# What the probe says


def asked(model: nn.Module, test_split: tuple[Tensor, dict], random: bool = False) -> list[str]:
    """The findings on whether it is deterministic."""
    found = mtlbench.probe(model, test_split, TASKS, random=random)
    assert not random or not [one for one in found.findings if one.question == "batch"]
    return [f"{one.severity}: {one}" for one in found.findings if one.question == "deterministic"]


class OfItsOwn(Dropping):
    """With a generator that nobody can seed."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return self.net(x + 0.1 * torch.rand(x.shape, generator=self.own))

    own = torch.Generator().manual_seed(0)


def test_the_probe_asks_for_a_declaration(net: nn.Module, test_split: tuple[Tensor, dict]) -> None:
    (finding,) = asked(Dropping(net), test_split)
    assert finding.startswith("refuse")
    assert "random=True says so, and eot=10 then follows the mean of ten gradients" in finding
    assert asked(Dropping(net), test_split, random=True) == []


def test_the_probe_finds_a_generator_that_cannot_be_seeded(net: nn.Module, test_split: tuple[Tensor, dict]) -> None:
    (finding,) = asked(OfItsOwn(net), test_split, random=True)
    assert "it draws from a generator of its own; expected PyTorch's, NumPy's or Python's global one" in finding


def test_the_probe_finds_a_declaration_of_nothing(net: nn.Module, test_split: tuple[Tensor, dict]) -> None:
    (finding,) = asked(net, test_split, random=True)
    assert finding.startswith("warn: deterministic: random=True, and two draws say the same")
