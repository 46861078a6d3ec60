"""Greedy replacement of words, after HotFlip (Ebrahimi et al. 2018, arXiv 1712.06751)."""

import torch
from torch import Tensor

from mtlbench.attacks.around import Choices
from mtlbench.attacks.ball import Ball, per_image
from mtlbench.attacks.objectives.base import Losses, Objective
from mtlbench.attacks.steps.base import Step
from mtlbench.attacks.words import Words
from mtlbench.errors import UsageError
from mtlbench.options import one_of, whole

VALUES, NEIGHBOURS = "values", "neighbours"


class ReplaceWords(Step):
    """One word after the other: a gradient ranks all replacements, the best few are tried, the best one is kept.

    The radius eps is the number of words. A word stays where no replacement raises the score.

    Args:
        substitutes: what may stand in the place of a word. ``values``: another value of the same slot that is one
            word (Boston, Denver), so every label stays right. ``neighbours``: a near word that the training text has
            under exactly the same tags; some of these change what is true (cheapest, highest), so the damage is an
            upper bound.
        tried: how many replacements the objective itself judges for each word; 0 replaces words at random, which an
            attack has to beat.
    """

    name, norms, forms = "words", ("linf",), ("text",)
    steps, counts = 1, "words"

    def __init__(self, substitutes: str = VALUES, tried: int = 8) -> None:
        self.substitutes = one_of(substitutes, "attack.step.substitutes", (VALUES, NEIGHBOURS))
        self.tried = whole(tried, "attack.step.tried", 0)

    def inside(self, ball: Ball, choices: Choices | None) -> Ball:
        """Sentences with at most eps words replaced."""
        if choices is None:
            raise UsageError("attack/step=words: the dataset does not say what may stand in the place of a word")
        return Words(ball, choices.vectors, choices.of(self.substitutes))

    def run(self, losses: Losses, objective: Objective, ball: Ball, start: Tensor) -> Tensor:
        """For each word one gradient and `tried` forwards; the last sentence, which is the best one."""
        assert isinstance(ball, Words)
        if self.tried == 0:
            return ball.point()
        x = start
        for _ in range(ball.most):
            gradient, best_score, _ = objective.ascent(losses, x)
            best = x
            for other in ball.moves(x, gradient, self.tried):
                score = objective.score(losses(other))
                better = score > best_score
                best = torch.where(per_image(better, x), other, best)
                best_score = torch.where(better, score, best_score)
            x = best
        return x
