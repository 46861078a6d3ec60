"""A front end without gradient: what each attack sees past it, and what the alarms say."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

import mtlbench
from mtlbench.errors import ModelError

STEPS = 15


def rounded(x: Tensor) -> Tensor:
    """To 8 levels."""
    return (x * 7).round() / 7


class Rounding(nn.Module):
    """Without any gradient."""

    def forward(self, x: Tensor) -> Tensor:
        return rounded(x)


@pytest.fixture(scope="module")
def found(net: nn.Module, attacked: Callable[..., mtlbench.Result]) -> dict[str, mtlbench.Result]:
    """The same model attacked with gradients and without, as it is, and past its front end."""
    model = nn.Sequential(Rounding(), net)
    passed = nn.Sequential(mtlbench.straight_through(rounded), net)
    options = {"objective": "total", "eps": 8, "probe": None}
    return {
        "white": attacked(model=model, step="pgd", steps=STEPS, **options),
        "square": attacked(model=model, step="square", steps=200, **options),
        "passed": attacked(model=passed, step="pgd", steps=STEPS, **options),
    }


def arp(result: mtlbench.Result) -> float:
    return float(result.arp["arp_percent"].item())


def test_the_white_box_attack_sees_nothing(found: dict[str, mtlbench.Result]) -> None:
    assert arp(found["white"]) == 0
    assert "100% of a task's input gradient is zero" in found["white"].arp["status"].item()


def test_square_needs_no_gradient(found: dict[str, mtlbench.Result]) -> None:
    assert arp(found["square"]) > 1
    numbers = found["square"].checks.set_index("attack").loc["total"]
    assert (numbers["gradients_per_image"], numbers["forwards_per_image"]) == (0, 200)


def test_straight_through_sees_most(found: dict[str, mtlbench.Result]) -> None:
    assert arp(found["passed"]) > arp(found["square"])


def test_straight_through_is_the_same_model(found: dict[str, mtlbench.Result]) -> None:
    clean = [one.metrics[one.metrics["attack"] == "none"]["clean"].tolist() for one in found.values()]
    assert clean[0] == clean[1] == clean[2]


def test_that_square_is_stronger_is_an_alarm(
    net: nn.Module, attacked: Callable[..., mtlbench.Result], found: dict[str, mtlbench.Result]
) -> None:
    white, square, passed = (found[name].cells for name in ("white", "square", "passed"))
    both = mtlbench.Result([*white, square[-1]], replicates=50)
    status = both.arp.set_index("step")["status"]
    assert "an attack without gradients does" in status["pgd"]
    assert "an attack without gradients" not in status["square"]
    seen = mtlbench.Result([*passed, *square], replicates=50).arp.set_index("step")["status"]
    assert "an attack without gradients" not in seen["pgd"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_of_the_function_and_gradients_of_the_identity(dtype: torch.dtype) -> None:
    x = torch.rand(2, 3, 8, 8, dtype=dtype, generator=torch.Generator().manual_seed(0)).requires_grad_()
    front_end = mtlbench.straight_through(rounded)
    assert torch.equal(front_end(x), rounded(x.detach()))
    slope = torch.arange(8, dtype=dtype)
    (gradient,) = torch.autograd.grad((slope * front_end(x)).sum(), x)
    assert torch.equal(gradient, slope.expand_as(x))


def test_a_module_becomes_a_part() -> None:
    part = nn.Dropout()
    assert not mtlbench.straight_through(part).eval().get_submodule("function").training


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: x[..., :2], r"returned \[1, 2\] of torch.float32 for \[1, 4\] of torch.float32"),
        (lambda x: x.to(torch.uint8), r"returned \[1, 4\] of torch.uint8"),
        (lambda x: x.numpy(), r"returned ndarray for \[1, 4\]"),
    ],
)
def test_what_gradients_cannot_pass_is_refused(function: Callable[[Tensor], Tensor], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        mtlbench.straight_through(function)(torch.rand(1, 4))


@pytest.fixture(scope="module")
def transferred(net: nn.Module, attacked: Callable[..., mtlbench.Result]) -> mtlbench.Result:
    """Made on the model without its front end."""
    model = nn.Sequential(Rounding(), net)
    return attacked(model=model, source=net, step="pgd", steps=STEPS, objective="total", eps=8, probe=None)


def test_what_is_made_on_another_model_transfers(
    transferred: mtlbench.Result, found: dict[str, mtlbench.Result]
) -> None:
    assert arp(transferred) > arp(found["square"])
    status = mtlbench.Result([*found["white"].cells, transferred.cells[-1]], replicates=50).arp.set_index("made_on")
    assert "an attack without gradients does" in status.loc["", "status"]


def test_of_the_model_itself_it_is_the_white_box_attack(
    net: nn.Module, attacked: Callable[..., mtlbench.Result]
) -> None:
    same, white = (attacked(objective="weighted_total", step="pgd", steps=1, eps=8, source=one) for one in (net, None))
    assert same.metrics["attacked"].tolist() == white.metrics["attacked"].tolist()
    assert {cell.key for cell in same.cells} & {cell.key for cell in white.cells} == {same.cells[0].key}


def test_only_attacks_are_named_by_their_source(
    transferred: mtlbench.Result, found: dict[str, mtlbench.Result]
) -> None:
    clean, attack = transferred.cells
    assert attack.identity["made_on"]["weights"] != attack.identity["weights"] == clean.identity["weights"]
    assert "made_on" not in clean.identity
    assert "made_on" not in found["white"].cells[-1].identity


def test_the_source_comes_back_as_it_was(net: nn.Module, attacked: Callable[..., mtlbench.Result]) -> None:
    other = deepcopy(net).train()
    attacked(source=other, objective="total", step="fgsm", steps=None, eps=8)
    assert all(module.training for module in other.modules())
    assert all(parameter.requires_grad for parameter in other.parameters())
