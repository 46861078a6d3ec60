"""SEA, the segmentation ensemble attack: three losses, and of each image the result with fewest right pixels."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtlbench.attacks.objectives.base import Ascent, Losses, Objective
from mtlbench.attacks.objectives.single import Single

SEA_LOSSES = ("balanced_masked_ce", "masked_ce", "js")
"""The losses of the ensemble, in the order of the authors' code; the first of equally good results is kept."""

JUDGE = "wrong_pixels"
"""What an image is judged by, in a run and between the runs: what is reported, no loss of the attack."""


class OneOfSEA(Objective):
    """One attack of the ensemble: the direction is that of its loss, the score the share of wrong pixels.

    A masked loss falls as pixels turn wrong. Judged by itself it would keep the clean image.

    Args:
        part: one of `SEA_LOSSES`.
    """

    name, sees = "one_of_sea", (*SEA_LOSSES, JUDGE)

    def __init__(self, part: str) -> None:
        self.part = part

    def score(self, losses: Tensor) -> Tensor:
        """Rows [4, B] of `sees` -> [B], in [0, 1]."""
        return losses[-1]

    def ascent(self, losses: Losses, x: Tensor) -> Ascent:
        """One forward, one backward of its loss."""
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            values = losses(x)
            (direction,) = torch.autograd.grad(values[SEA_LOSSES.index(self.part)].sum(), x)
        return Ascent(direction, values[-1].detach(), values.detach())


class SEA(Single):
    """Segmentation ensemble attack (Croce et al. 2023, arXiv 2306.12941): the best of `SEA_LOSSES` for each image.

    It attacks one task, which has a class for each pixel. Best is the lowest pixel accuracy; the choice that is worst
    for mIoU depends on the whole set of images, and is made from the stored results (`scores.worst_of_set`).
    """

    name, sees = "sea", (*SEA_LOSSES, JUDGE)

    def score(self, losses: Tensor) -> Tensor:
        """Rows [4, B] of `sees` -> [B], the share of wrong pixels."""
        return losses[-1]

    def alternatives(self, tasks: int) -> Sequence[Objective]:
        """One for each loss."""
        return [OneOfSEA(loss) for loss in SEA_LOSSES]
