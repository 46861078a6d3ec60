"""``attack.black_box=check``: the same attack by random search, without gradients. Plain values only."""

from collections.abc import Mapping
from typing import Any

from mtlbench.config import Config
from mtlbench.config.doubled import CHECK, step_group
from mtlbench.errors import UsageError

QUERIES = 1000
RANDOM_SEARCH: Mapping[str, Any] = {"_target_": "mtlbench.attacks.steps.Square", "steps": QUERIES}


def can_search(attack: Mapping[str, Any]) -> bool:
    """Whether there is a random search to compare with: it needs an objective, and knows linf only."""
    return attack.get("objective") is not None and attack["name"] != "noise" and attack.get("norm", "linf") == "linf"


def searched(config: Config) -> Config | None:
    """The configuration with random search, if ``attack.black_box`` asks to compare and there is one.

    Raises:
        UsageError: ``attack.black_box`` is wrong.
    """
    chosen = config["attack"]
    wanted = chosen.get("black_box")  # configurations from before the option lack it
    if wanted not in (None, CHECK):
        raise UsageError(f"attack.black_box={wanted}: expected {CHECK}, or null")
    if wanted is None or not can_search(chosen):
        return None
    return {**config, "attack": {**chosen, step_group(chosen): dict(RANDOM_SEARCH)}}
