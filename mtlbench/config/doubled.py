"""``attack.converged=check``: the same attack with twice the steps. Plain values only."""

from collections.abc import Mapping
from typing import Any

from mtlbench.config import Config
from mtlbench.errors import UsageError
from mtlbench.options import is_whole, whole

CHECK = "check"
"""Value of ``attack.converged``."""


def step_group(attack: Mapping[str, Any]) -> str:
    """Which options of an attack are those of its step rule."""
    return "fixed_step" if attack.get("fixed_step") else "step"


def has_steps(attack: Mapping[str, Any]) -> bool:
    """Whether the attack takes a number of steps: one without attack, noise and fgsm take none."""
    return attack.get("objective") is not None and is_whole(attack[step_group(attack)].get("steps"), 1)


def doubled(config: Config) -> Config | None:
    """The configuration with twice the steps, if ``attack.converged`` asks to compare and there are steps to double.

    Raises:
        UsageError: ``attack.converged`` or ``attack.converged_images`` is wrong.
    """
    chosen = config["attack"]
    wanted = chosen.get("converged")  # configurations from before the option lack it
    if wanted not in (None, CHECK):
        raise UsageError(f"attack.converged={wanted}: expected {CHECK}, or null")
    whole(chosen.get("converged_images", 1), "attack.converged_images")
    if wanted is None or not has_steps(chosen):
        return None
    rule = step_group(chosen)
    return {**config, "attack": {**chosen, rule: {**chosen[rule], "steps": 2 * chosen[rule]["steps"]}}}
