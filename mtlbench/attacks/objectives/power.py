"""Power: one family from total (alpha 0) to dgba (alpha 1) and beyond."""

import torch
from torch import Tensor

from mtlbench.attacks.objectives.base import Potential
from mtlbench.constants import SMALLEST_LOSS
from mtlbench.options import number


class Power(Potential):
    """Direction sum_i grad L_i / L_i^alpha = grad sum_i L_i^(1 - alpha) / (1 - alpha). Ours.

    Args:
        alpha: how strongly a task is down-weighted by its own loss: 0 is `total`, 1 is `dgba`.
    """

    name = "power"

    def __init__(self, alpha: float = 1.0) -> None:
        expected = "a number, 0 (total) to 1 (dgba) and beyond"
        self.alpha = number(alpha, "attack.alpha", expected, above=-100, below=100)

    def score(self, losses: Tensor) -> Tensor:
        """[T, B] -> [B]."""
        if self.alpha == 0:
            return losses.sum(0)
        guarded = losses.clamp_min(SMALLEST_LOSS)
        rest = 1 - self.alpha
        terms = guarded.log() if rest == 0 else guarded.pow(rest) / rest
        # A loss of exactly 0 means that an image has no valid pixel; its constant term would swamp the others.
        return torch.where(losses == 0, 0, terms).sum(0)
