"""Activations: ReLU is what it was before there was a choice, the others are other models."""

import pytest
import torch

from mtlbench.errors import UsageError
from mtlbench.models.activations import ACTIVATIONS
from mtlbench.models.model import weights_hash
from mtlbench.models.sharing import BLOCKS, level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import TreeModel, build
from mtlbench.models.two_layer import Neurons
from mtlbench.tasks import classification, three_tasks

TASKS = (*three_tasks(), classification(3, name="part"))


def tiny(activation: str | None = None) -> TreeModel:
    return build(Tiny(0.2, activation), level(len(TASKS), BLOCKS), TASKS, seed=0).eval()


def test_relu_is_not_in_the_identity():
    """So that weights and results from before the option keep their keys."""
    assert Tiny(activation="relu").identity() == Tiny().identity() == {"name": "tiny", "width": 1.0}
    assert Tiny(activation="relu").name == "tiny"


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_other_activations_are_other_models_of_the_same_weights(activation):
    """They start from the same weights, and every task sees the difference."""
    image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    plain, bent = tiny(), tiny(activation)
    assert weights_hash(bent) == weights_hash(plain)
    same = {name: torch.equal(found, bent(image)[name]) for name, found in plain(image).items()}
    assert same == dict.fromkeys(same, activation == "relu")
    assert (Tiny(0.2, activation).name == "tiny-x0.2") == (activation == "relu")


@pytest.mark.parametrize("p", [1, 3])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_neurons_stay_of_degree_one_in_their_weights(activation, p):
    torch.manual_seed(0)
    neurons = Neurons(7, 5, p, act=activation).requires_grad_(False)
    x = torch.randn(3, 7, dtype=torch.float64)
    before = neurons(x)
    neurons.weight.mul_(1e-9)
    torch.testing.assert_close(neurons(x), 1e-9 * before)


def test_an_unknown_one_is_refused():
    with pytest.raises(
        UsageError, match=r"^model\.activation=tanh: expected relu, leaky_relu, gelu, silu or softplus$"
    ):
        Tiny(activation="tanh")
