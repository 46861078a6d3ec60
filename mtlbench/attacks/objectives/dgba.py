"""DGBA, the dynamic gradient balancing attack."""

from torch import Tensor

from mtlbench.attacks.objectives.base import Potential
from mtlbench.constants import SMALLEST_LOSS


class DGBA(Potential):
    """Sum of the logarithms of the losses (arXiv 2305.12066, section "DGBA").

    The attack's direction is sum_i grad L_i / L_i, the sign of which solves the integer linear programme of the
    averaged relative loss change. It equals grad sum_i log L_i, so one backward is enough, and multiplying a loss
    by a constant changes nothing.
    """

    name = "dgba"

    def score(self, losses: Tensor) -> Tensor:
        """[T, B] -> [B], sum over the tasks of log L, in nats."""
        return losses.clamp_min(SMALLEST_LOSS).log().sum(0)
