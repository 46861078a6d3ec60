"""Sign sum: every task casts one vote per pixel."""

from torch import Tensor

from mtlbench.attacks.objectives.base import Ascent, Losses, Objective


class SignSum(Objective):
    """Direction sum_i sign(grad L_i), a baseline of arXiv 2305.12066: T backward passes over one forward.

    It has no potential; its score, for rules that track a best point, is the sum of the losses, as in the reference.
    """

    name = "sign_sum"

    def score(self, losses: Tensor) -> Tensor:
        """[T, B] -> [B], sum over the tasks."""
        return losses.sum(0)

    def ascent(self, losses: Losses, x: Tensor) -> Ascent:
        """One forward, T backwards."""
        directions, values = self.task_directions(losses, x)
        return Ascent(directions.sign().sum(0), self.score(values), values)
