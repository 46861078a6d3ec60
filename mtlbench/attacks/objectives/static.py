"""Static: task weights from the clean losses, fixed during the attack."""

import copy
from typing import Self

from torch import Tensor

from mtlbench.attacks.objectives.base import Losses, Potential
from mtlbench.constants import SMALLEST_LOSS


class Static(Potential):
    """Sum of L_i / L_i(clean): the averaged relative loss change itself, up to a constant. Ours.

    At the first step its direction equals that of `dgba`; after that the weights stay fixed.
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
