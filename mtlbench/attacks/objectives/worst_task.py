"""Worst task: the least hurt task, so that all are hurt alike."""

import torch
from torch import Tensor

from mtlbench.attacks.objectives.base import METRICS
from mtlbench.attacks.objectives.static import Static
from mtlbench.options import positive

NO_DAMAGE_TO_COME = 1e3
"""Damage of a task that an image has no label for: no soft minimum sees it."""


class WorstTask(Static):
    """Soft minimum over the tasks of their smooth damage, -tau log sum exp(-damage / tau). Ours.

    The damage is the rise of the mean over the task's metrics of smooth level / clean value.

    Args:
        tau: how far above the smallest one a damage still counts, as a fraction: .3 is 30 %.
    """

    name, climbs = "worst_task", METRICS

    def __init__(self, tau: float = 0.3) -> None:
        super().__init__()
        self.tau = positive(tau, "attack.tau", ", for example 0.3")

    def score(self, losses: Tensor) -> Tensor:
        """[T, B] -> [B], a fraction."""
        assert self.clean is not None, "bind the objective to a batch first"
        damage = torch.where(losses == 0, NO_DAMAGE_TO_COME, losses - self.clean)
        return -self.tau * (-damage / self.tau).logsumexp(0)
