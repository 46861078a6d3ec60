"""Power: one family from total (alpha 0) to dgba (alpha 1) and beyond."""

from torch import Tensor

from mtlbench.attacks.objectives.base import Potential
from mtlbench.attacks.objectives.dgba import SMALLEST_LOSS
from mtlbench.errors import UsageError
from mtlbench.values import is_number


class Power(Potential):
    """Direction sum_i grad L_i / L_i^alpha = grad sum_i L_i^(1 - alpha) / (1 - alpha). Ours.

    Args:
        alpha: how strongly a task's own loss mutes it: 0 is `total`, 1 is `dgba`.
    """

    name = "power"

    def __init__(self, alpha: float = 1.0) -> None:
        if not is_number(alpha) or abs(alpha) >= 100:
            raise UsageError(f"attack.alpha={alpha}: expected a number, 0 (total) to 1 (dgba) and beyond")
        self.alpha = float(alpha)

    def score(self, losses: Tensor) -> Tensor:
        """[T, B] -> [B]."""
        if self.alpha == 0:
            return losses.sum(0)
        losses = losses.clamp_min(SMALLEST_LOSS)
        rest = 1 - self.alpha
        return (losses.log() if rest == 0 else losses.pow(rest) / rest).sum(0)
