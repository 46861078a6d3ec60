"""Square Attack (Andriushchenko et al. 2020, arXiv 1912.00049, algorithms 1 and 2): random search, no gradient."""

from math import sqrt

import torch
from torch import Tensor

from mtlbench.attacks.ball import Ball, per_image
from mtlbench.attacks.objectives.base import Losses, Objective
from mtlbench.attacks.steps.base import Step, step_count
from mtlbench.errors import UsageError
from mtlbench.options import is_number

HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Queries of 10,000 after which p is halved, as in the authors' code; scaled to the number of steps."""

OF = 10_000


class Square(Step):
    """Squares at a random place, of a random sign per channel, are kept where they raise the score of their image.

    It starts from vertical stripes of random signs. Every value is moved by eps, up or down, throughout. It sees
    scores only, so it also climbs where gradients are hidden. A start given (``random_start``) is not used: the
    stripes are one.

    Args:
        steps: number of queries: one forward each, the start's included.
        p: share of the pixels in the first squares, above 0, at most 1. The default is that of AutoAttack; the paper's
            .05 is for 10,000 queries.
    """

    name, norms, forms = "square", ("linf",), ("image",)

    def __init__(self, steps: int = 1000, p: float = 0.8) -> None:
        self.steps = step_count(steps)
        if not is_number(p, 0, 1) or p == 0:
            raise UsageError(f"attack.step.p={p!r}: expected a share above 0 and at most 1, for example 0.8")
        self.p = float(p)

    def run(self, losses: Losses, objective: Objective, ball: Ball, start: Tensor) -> Tensor:
        """No gradient, one forward a step; the best point of each image."""
        best = ball.project(ball.x + ball.eps * signs(ball.random.uniform(ball.x[:, :, :1])))
        score = objective.score(losses(best))
        for query in range(1, self.steps):
            window, moved = square(ball, side(self.share(query), ball.x))
            x = torch.where(window, moved, best)
            found = objective.score(losses(x))
            better = found > score
            best = torch.where(per_image(better, x), x, best)
            score = torch.where(better, found, score)
        return best

    def share(self, query: int) -> float:
        """The share of the pixels that a square of query 1, 2, .. has."""
        return self.p / 2 ** sum(query * OF // self.steps > after for after in HALVED_AFTER)


def signs(draws: Tensor) -> Tensor:
    """-1 or 1, from numbers in [-1, 1)."""
    return torch.where(draws < 0, -1.0, 1.0)


def side(share: float, x: Tensor) -> int:
    """Of a square with this share of the pixels of images [B, C, H, W]; at least 1, at most the shorter side."""
    height, width = x.shape[-2:]
    return min(max(round(sqrt(share * height * width)), 1), height, width)


def square(ball: Ball, side: int) -> tuple[Tensor, Tensor]:
    """Where each image's square is [B, 1, H, W]; the images moved by eps, a sign per channel, [B, C, H, W]."""
    x = ball.x
    draws = ball.random.uniform(x[:, :1, :1, :1].expand(-1, x.shape[1] + 2, -1, -1))
    rows, columns = (_interval(draws[:, axis], x.shape[2 + axis], side) for axis in (0, 1))
    return (rows[:, :, None] & columns[:, None])[:, None], ball.project(x + ball.eps * signs(draws[:, 2:]))


def _interval(draws: Tensor, length: int, side: int) -> Tensor:
    """`side` neighbours of 0 .. `length` - 1 per image [B, length], from numbers [B, 1, 1] in [-1, 1)."""
    first = ((draws.flatten(1).double() + 1) / 2 * (length - side + 1)).floor()
    at = torch.arange(length, device=draws.device)
    return (at >= first) & (at < first + side)
