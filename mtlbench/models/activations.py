"""The activations of our own backbones, by name."""

from collections.abc import Callable

from torch import nn

from mtlbench.options import one_of

RELU = "relu"
"""The default, which identities omit: results from before the option existed keep their keys."""

SOFTPLUS_BETA = 2.0
"""Sharpness of the softplus: at 1 the maps of a network with batch normalisation hardly bend."""

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    RELU: nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": lambda: nn.Softplus(beta=SOFTPLUS_BETA),
}
"""Name -> builder: ReLU; leaky ReLU of slope 0.01; GELU (arXiv 1606.08415); SiLU (arXiv 1702.03118); softplus."""


def activation(name: str | None) -> nn.Module:
    """A fresh module; None is ReLU."""
    return ACTIVATIONS[name or RELU]()


def activation_option(given: object) -> str | None:
    """``model.activation``, checked; None for ReLU."""
    name = RELU if given is None else one_of(given, "model.activation", ACTIVATIONS)
    return None if name == RELU else name
