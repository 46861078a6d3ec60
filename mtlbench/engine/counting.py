"""Counts the cost of an attack: gradients, with hooks on the backward pass, and forwards."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mtlbench.attacks.objectives.base import Losses


@dataclass(frozen=True)
class Cost:
    """Of one or more attacked images, over all of them.

    Attributes:
        gradients: backward passes to an image. Gradients that PyTorch evaluates in one batch (``is_grads_batched``)
            count as one.
        forwards: evaluations of an image's losses, those for a gradient included.
    """

    gradients: float = 0
    forwards: float = 0

    def __add__(self, other: "Cost") -> "Cost":
        """The sum."""
        return Cost(self.gradients + other.gradients, self.forwards + other.forwards)

    def per_image(self, images: int) -> dict[str, float]:
        """The means, as a cell's provenance has them; an int if whole."""
        means = {"gradients_per_image": self.gradients / images, "forwards_per_image": self.forwards / images}
        return {name: int(mean) if mean == int(mean) else mean for name, mean in means.items()}

    @staticmethod
    def of(provenance: Mapping[str, Any], images: int) -> "Cost":
        """The inverse of `per_image`; 0 where a number was not counted yet."""
        return Cost(*(provenance.get(f"{name}_per_image", 0) * images for name in ("gradients", "forwards")))


FREE = Cost()


class Counted:
    """Losses that count how often they are evaluated, and the backward passes through them.

    Args:
        losses: inputs [B, ...] -> losses [T, B].

    Attributes:
        cost: so far.
    """

    def __init__(self, losses: Losses) -> None:
        self.losses, self.cost = losses, FREE

    def __call__(self, x: Tensor) -> Tensor:
        """The losses [T, B]."""
        values = self.losses(x)
        self.cost += Cost(forwards=values.shape[-1])
        if values.requires_grad:
            values.register_hook(self._count)
        return values

    def _count(self, gradient: Tensor) -> None:
        self.cost += Cost(gradients=gradient.shape[-1])
