"""Two layers of polynomial ReLU neurons: their degrees, their start, and the closed forms that they approach."""

from math import sqrt
from typing import Any

import pytest
import torch
from torch import Tensor

from mtlbench.errors import UsageError
from mtlbench.models.alignment import alignment
from mtlbench.models.limits import limit
from mtlbench.models.sharing import BLOCKS, level
from mtlbench.models.tree_model import build
from mtlbench.models.two_layer import Neurons, TwoLayer
from mtlbench.tasks import classification, depth
from tests.fakes import Trivial

TASK = classification(2, name="group1", metrics=("accuracy",))
TWO = (TASK, classification(2, name="group2", metrics=("accuracy",)))
each_p = pytest.mark.parametrize("p", [1, 1.5, 2, 3, 4])


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def of_weights(weights: Tensor, p: float, normalise: bool = False) -> Neurons:
    neurons = Neurons(weights.shape[1], len(weights), p, normalise=normalise)
    neurons.weight.data.copy_(weights)
    return neurons.requires_grad_(False)


@each_p
def test_neurons_are_the_formula(p):
    weights, x = draw(5, 7), draw(3, 7, seed=1)
    expected = (x @ weights.T).clamp_min(0) ** p / weights.norm(dim=1) ** (p - 1)
    torch.testing.assert_close(of_weights(weights, p)(x), expected)


@each_p
def test_neurons_are_of_degree_one_in_their_weights(p):
    weights, x = draw(5, 7), draw(3, 7, seed=1)
    torch.testing.assert_close(of_weights(1e-9 * weights, p)(x), 1e-9 * of_weights(weights, p)(x))


@each_p
def test_neurons_are_of_degree_p_in_the_input_and_one_when_normalised(p):
    weights, x = draw(5, 7), draw(3, 7, seed=1)
    torch.testing.assert_close(of_weights(weights, p)(2 * x), 2**p * of_weights(weights, p)(x))
    torch.testing.assert_close(of_weights(weights, p, True)(2 * x), 2 * of_weights(weights, p, True)(x))


def test_with_p_one_normalising_changes_nothing():
    weights, x = draw(5, 7), draw(3, 7, seed=1)
    assert torch.equal(of_weights(weights, 1, True)(x), of_weights(weights, 1)(x))


def test_a_tiny_start_neither_underflows_nor_loses_its_gradient():
    """|w|^(p-1) of a start of 1e-100 is 0 even in float64."""
    neurons, x = Neurons(7, 5, 4, init=1e-100), draw(3, 7, seed=1)
    neurons(x).sum().backward()
    assert neurons.weight.grad.isfinite().all()
    assert bool((neurons.weight.grad != 0).any())


def test_the_start_is_balanced():
    """|v_j| = |w_j| = init, and half of the v_j are negative."""
    model = build(TwoLayer(7, hidden=6, init=1e-3), level(1, 1, 1), [TASK], seed=0)
    torch.testing.assert_close(model.blocks["0_0"].weight.norm(dim=1), torch.full((6,), 1e-3).double())
    assert sorted(model.heads["group1"].weight[0].tolist()) == [-1e-3] * 3 + [1e-3] * 3


def test_two_classes_have_opposite_logits_and_more_have_their_own():
    model = build(TwoLayer(7), level(1, 1, 1), [classification(3, name="three")], seed=0)
    assert model(draw(2, 7))["three"].shape == (2, 3, 1, 1)
    two = build(TwoLayer(7), level(1, 1, 1), [TASK], seed=0)(draw(2, 7))["group1"]
    assert torch.equal(two[:, 0], -two[:, 1])
    assert two.shape == (2, 2, 1, 1)


def test_names_in_tables_tell_models_apart():
    options: list[dict[str, Any]] = [
        {},
        {"p": 3},
        {"hidden": 7},
        {"init": 0.1},
        {"normalise": True},
        {"activation": "gelu"},
    ]
    names = [TwoLayer(7, **one).name for one in options]
    assert names[:2] == ["two_layer-p1", "two_layer-p3"]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"p": 0.5}, "model.p=0.5: expected a number from 1"),
        ({"hidden": 0}, "model.hidden=0: expected a whole number"),
        ({"init": 0}, "model.init=0: expected a positive number"),
        ({"D": None}, "model.D=None: expected the length of an input vector"),
        ({"activation": "swish"}, "model.activation=swish: expected relu, "),
    ],
)
def test_refusals(options, said):
    with pytest.raises(UsageError, match="^" + said):
        TwoLayer(**{"D": 7, **options})


def test_a_task_per_pixel_is_refused():
    with pytest.raises(UsageError, match="model=two_layer: depth is no classification of whole inputs"):
        TwoLayer(7).head(depth())


def flips(model: torch.nn.Module, x: Tensor, direction: Tensor) -> float:
    """The length of a move along a unit vector at which the output is 0, by bisection."""
    low, high = 0.0, 2.0

    def output(length: float) -> float:
        return float(model((x + length * direction)[None])["group1"].detach()[0, 1])

    sign = output(low) > 0
    assert sign != (output(high) > 0)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (output(middle) > 0) == sign else (low, middle)
    return low


@pytest.mark.parametrize(("clusters", "first"), [(4, 1), (10, 6), (20, 12)])
@pytest.mark.parametrize("cluster", [0, -1])
def test_the_limit_of_relu_networks_flips_at_one_over_the_root_of_k(clusters, first, cluster):
    """Whatever K1 is, along the difference of all centres."""
    x = torch.eye(clusters, 30, dtype=torch.float64)[cluster]
    signs = torch.where(torch.arange(30) < first, 1.0, -1.0).double() * (torch.arange(30) < clusters)
    away = (-1 if cluster == 0 else 1) * signs / sqrt(clusters)
    assert flips(limit([TASK], 30, clusters, first, 1), x, away) == pytest.approx(1 / sqrt(clusters), abs=1e-12)


@pytest.mark.parametrize("p", [2, 3, 4])
def test_the_limit_of_higher_degrees_flips_half_way_to_another_centre(p):
    """On the border to every centre of the other class; d0, the direction of averages, takes it much longer."""
    centres = torch.eye(10, 30, dtype=torch.float64)
    model = limit([TASK], 30, 10, 6, p)
    for other in range(6, 10):
        away = (centres[other] - centres[0]) / sqrt(2)
        assert flips(model, centres[0], away) == pytest.approx(sqrt(0.5), abs=1e-12)
    signs = torch.where(torch.arange(10) < 6, -1.0, 1.0).double()
    assert flips(model, centres[0], signs @ centres / sqrt(10)) > 1


def test_the_limit_is_of_one_task():
    with pytest.raises(UsageError, match=r"the dataset has 2; use dataset\.tasks=1$"):
        limit(TWO, 30, 10, 6, 1)


def test_alignment_of_given_weights():
    """Golden: two centres of each label; one neuron on a centre, three times as heavy one on an average."""
    model = build(TwoLayer(4, hidden=2), level(1, 1, 1), [TASK], seed=0)
    model.blocks["0_0"].weight.data.copy_(torch.tensor([[1.0, 0, 0, 0], [0, 0, sqrt(1.5), sqrt(1.5)]]))
    found = alignment(model, torch.eye(4).double(), {"group1": torch.tensor([1, 1, 0, 0])}, ["group1"])
    half = sqrt(0.5)
    assert found == pytest.approx({"centre": (1 + 3 * half) / 4, "average": (half + 3) / 4, "rank": 4 / 3})


def test_alignment_is_the_mean_over_the_tasks_own_layers():
    """A neuron on the average of the first task's class counts as aligned where that task has it."""
    model = build(TwoLayer(4, hidden=1), level(2, 0, 1), TWO, seed=0)
    labels = {"group1": torch.tensor([1, 1, 0, 0]), "group2": torch.tensor([1, 0, 1, 0])}
    for block in model.blocks.values():
        block.weight.data.copy_(torch.tensor([[1.0, 1.0, 0, 0]]))
    found = alignment(model, torch.eye(4).double(), labels, ["group1", "group2"])
    assert found == pytest.approx({"centre": sqrt(0.5), "average": (1 + 0.5) / 2, "rank": 1})


def test_other_models_have_no_neurons():
    assert alignment(build(Trivial(), level(1, BLOCKS), [TASK], seed=0), torch.eye(2, 4), {}, ["group1"]) is None
