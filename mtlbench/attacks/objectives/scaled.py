"""Scaled: any objective, seeing the losses in other units."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from mtlbench.attacks.objectives.base import Ascent, Losses, Objective
from mtlbench.identity import decisive


class Scaled(Objective):
    """An objective that sees each loss times a factor: what another unit of depth, say, would do to an attack.

    The directions of dgba and static do not change (their scores do, by constants), total's does.

    Args:
        objective: what to climb.
        factors: T positive numbers.
        names: what they are called in the identity; those with a factor of 1 do not occur there.
    """

    def __init__(self, objective: Objective, factors: Sequence[float], names: Sequence[str] = ()) -> None:
        self.objective, self.factors, self.names = objective, tuple(factors), tuple(names)
        self.name = objective.name

    def identity(self) -> dict[str, Any]:
        """That of the objective, and the factors."""
        scale = {name: float(f) for name, f in zip(self.names, self.factors, strict=False) if f != 1}
        return self.objective.identity() | decisive({"loss_scale": scale or None})

    def _scaled(self, losses: Tensor) -> Tensor:
        return losses * losses.new_tensor(self.factors)[:, None]

    def _seen(self, losses: Losses) -> Losses:
        return lambda x: self._scaled(losses(x))

    def bind(self, losses: Losses, x: Tensor) -> Objective:
        """The objective bound to the scaled losses."""
        return Scaled(self.objective.bind(self._seen(losses), x), self.factors)

    def candidates(self) -> Mapping[str, Objective]:
        """Those of the objective, scaled."""
        return {name: Scaled(other, self.factors) for name, other in self.objective.candidates().items()}

    def runs(self, tasks: int) -> int:
        """As many as without the factors."""
        return self.objective.runs(tasks)

    def searches(self, tasks: int) -> int:
        """As many as without the factors."""
        return self.objective.searches(tasks)

    def score(self, losses: Tensor) -> Tensor:
        """[T, B] -> [B], the score of the scaled losses."""
        return self.objective.score(self._scaled(losses))

    def ascent(self, losses: Losses, x: Tensor) -> Ascent:
        """Direction and score; the losses are those before scaling."""
        found = self.objective.ascent(self._seen(losses), x)
        return found._replace(losses=found.losses / found.losses.new_tensor(self.factors)[:, None])

    def parts(self, losses: Losses, x: Tensor) -> tuple[Tensor, Tensor]:
        """Per-task directions of the objective, and the losses before scaling."""
        directions, values = self.objective.parts(self._seen(losses), x)
        return directions, values / values.new_tensor(self.factors)[:, None]
