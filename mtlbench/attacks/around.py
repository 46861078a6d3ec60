"""What an attack is told of its inputs beside their values: their space, and where they may go."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from mtlbench.space import IMAGES, Space

Points = Mapping[str, Mapping[str, Tensor]]
"""Kind of start (`Attack.starts`) -> task name -> points [B, ...] that a run begins on the way to."""


class Choices(Protocol):
    """Which words of B sentences of length M may be replaced by which."""

    @property
    def vectors(self) -> Tensor:
        """[V, D], the input that stands for each word of the vocabulary."""

    def of(self, rule: str) -> Tensor:
        """The substitutes [B, M, K] of each word by a rule, -1 for none; never the word itself."""


@dataclass(frozen=True)
class Around:
    """Of B inputs [B, ...].

    Attributes:
        space: that they lie in.
        movable: bool [B, ...], what may be moved; None = everything.
        choices: of sentences, which words may be replaced by which.
        points: where an attack may start beside the inputs themselves.
    """

    space: Space = IMAGES
    movable: Tensor | None = None
    choices: Choices | None = None
    points: Points = field(default_factory=dict)


AN_IMAGE = Around()
"""Nothing but an image."""
