"""A cell to be computed: one attack, or none, at one epsilon on all images of a split."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mtlbench.attacks.attack import Attack
from mtlbench.tasks import EVERY_TASK


@dataclass(frozen=True)
class Plan:
    """One cell of a pass.

    Attributes:
        key: names it, see `experiment.cells`.
        attack: None for the clean cell.
        eps: in the unit of the inputs' space, grey levels of 255 for images.
        identity: everything that can change its result.
        alternatives: the cells of the attack's `alternatives` at the same eps, from whose results this cell chooses.
            Those that come before it in the same pass are reused; the others are attacked again.
    """

    key: str
    attack: Attack | None
    eps: float
    identity: Mapping[str, Any] = field(default_factory=dict)
    alternatives: tuple["Plan", ...] = ()

    @property
    def label(self) -> str:
        """A few words for messages."""
        names = self.identity
        target = "" if names["target"] == EVERY_TASK else f":{names['target']}"
        weights = "/".join(map(str, names.get("objective", {}).get("weights", ())))
        attack = f"{names['attack']}{target}{weights and ' ' + weights}"
        return f"{names['dataset']} {names['model']} {names['sharing']} {attack} eps {names['eps']:g}"
