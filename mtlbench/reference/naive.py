"""DGBA as it is usually written: the implementation that the engine's cost is compared with."""

import torch
from torch import Tensor

from mtlbench.attacks.ball import per_image
from mtlbench.attacks.objectives import DGBA, Ascent, Losses


class NaiveDGBA(DGBA):
    """One backward per task through a retained graph, with parameter gradients, and one more forward for the score.

    The direction is the same as that of `DGBA`. Parameters must require gradients for the comparison to be fair.
    """

    name = "dgba naive"

    def ascent(self, losses: Losses, x: Tensor) -> Ascent:
        """One forward, T backwards into images and parameters, one forward."""
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            values = losses(x)
            direction = torch.zeros_like(x)
            for loss in values:
                x.grad = None
                loss.sum().backward(retain_graph=True)
                assert x.grad is not None
                direction += x.grad / per_image(loss.detach(), x)
        with torch.no_grad():
            score = self.score(losses(x))
        return Ascent(direction, score, values.detach())
