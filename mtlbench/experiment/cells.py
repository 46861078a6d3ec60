"""Which cells a configuration asks for, and what each one's identity is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mtlbench.attacks.attack import RAW, Attack
from mtlbench.config import Config
from mtlbench.config.build import identity_of
from mtlbench.engine.evaluate import PlannedCell
from mtlbench.identity import decisive
from mtlbench.storage.store import content_key
from mtlbench.tasks import EVERY_TASK

CLEAN = "none"
LINF = "linf"
"""The norm of results of before there was a choice: their identity does not name it."""


@dataclass(frozen=True)
class Plan:
    """A cell to be computed.

    Attributes:
        identity: everything that can change its result.
        attack: None for the clean cell.
        eps: in grey levels of 255.
    """

    identity: Mapping[str, Any]
    attack: Attack | None
    eps: float

    @property
    def key(self) -> str:
        """Content key."""
        return content_key(self.identity)

    @property
    def label(self) -> str:
        """A few words for messages."""
        names = self.identity
        target = "" if names["target"] == EVERY_TASK else f":{names['target']}"
        return f"{names['dataset']} {names['model']} {names['sharing']} {names['attack']}{target} eps {names['eps']:g}"

    def planned(self) -> PlannedCell:
        """The form that `evaluate` takes."""
        return PlannedCell(self.key, self.attack, self.eps)


def clean_plan(model: Mapping[str, Any]) -> Plan:
    """The cell without an attack, which every relative score of the same model joins."""
    nothing = {"attack": CLEAN, "objective": {}, "target": EVERY_TASK, "tasks": []}
    return Plan({**model, **nothing, "step": "-", "steps": 0, "step_options": {}, "eps": 0.0}, None, 0.0)


def plans(
    config: Config, model: Mapping[str, Any], attacks: Mapping[str, Attack], epsilons: list[float]
) -> list[Plan]:
    """The clean cell, then every target at every epsilon.

    Args:
        config: its ``attack`` group names the attack.
        model: the part of the identity that all cells of a model and split share.
        attacks: target -> attack.
        epsilons: grey levels of 255.
    """
    found = [clean_plan(model)]
    for target, attack in attacks.items():
        how = {
            "attack": config["attack"]["name"],
            "objective": attack.objective.identity(),
            "target": target,
            "tasks": [task.name for task in attack.tasks],
            "step": attack.step.identity()["name"],
            "steps": attack.step.steps,
            "step_options": {name: value for name, value in attack.step.identity().items() if name != "name"},
            "starts": decisive({"random_start": attack.random_start, "restarts": attack.restarts}),
        } | ({} if attack.norm == LINF else {"norm": attack.norm})
        how |= {} if attack.logits == RAW else {"logits": attack.logits}
        found += [Plan({**model, **how, "eps": eps}, attack, eps) for eps in epsilons]
    return found


def known(identity: Mapping[str, Any], plugins: Sequence[str]) -> dict[str, Any]:
    """The identity of a cell of before schema 3, in which a part of a plugin has the name that its class declares."""
    if not identity["objective"]:
        return dict(identity)
    step = identity_of({"name": identity["step"], **identity["step_options"]}, plugins)
    objective = identity_of(identity["objective"], plugins)
    return {**identity, "objective": objective, "step": step.pop("name"), "step_options": step}
