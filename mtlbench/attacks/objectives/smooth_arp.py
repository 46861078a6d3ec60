"""Smooth ARP: the damage that is reported, made smooth."""

from torch import Tensor

from mtlbench.attacks.objectives.base import METRICS, Potential


class SmoothARP(Potential):
    """Mean over the tasks of the mean over their metrics of smooth level / clean value. Ours.

    Its rise is ARP itself but for the softened decisions. It spends the budget where it buys most damage; a task that
    costs more may starve (`SmoothLog`, `WorstTask`).
    """

    name, climbs = "smooth_arp", METRICS

    def score(self, losses: Tensor) -> Tensor:
        """[T, B] -> [B], a fraction, as 1 = 100 %."""
        return losses.mean(0)
