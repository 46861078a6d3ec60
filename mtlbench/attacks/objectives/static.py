"""Static: balance by the clean losses, once and for all."""

import copy
from typing import Self

from torch import Tensor

from mtlbench.attacks.objectives.base import Losses, Potential
from mtlbench.attacks.objectives.dgba import SMALLEST_LOSS


class Static(Potential):
    """Sum of L_i / L_i(clean): the averaged relative loss change itself, up to a constant. Ours.

    Its direction is that of `dgba` at the first step; later the weights stay where they were.
    """

    name = "static"

    def __init__(self) -> None:
        self.clean: Tensor | None = None

    def bind(self, losses: Losses, x: Tensor) -> Self:
        """A copy that knows the clean losses [T, B] of this batch; one forward."""
        bound = copy.copy(self)
        bound.clean = losses(x).detach().clamp_min(SMALLEST_LOSS)
        return bound

    def score(self, losses: Tensor) -> Tensor:
        """[T, B] -> [B]."""
        assert self.clean is not None, "bind the objective to a batch first"
        return (losses / self.clean).sum(0)
