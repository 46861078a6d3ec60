"""``attack.black_box=check``: the same attack by random search, without gradients."""

from collections.abc import Mapping
from typing import Any

from mtlbench.attacks.steps import Square
from mtlbench.config import Config
from mtlbench.config.dataset import space_of
from mtlbench.config.doubled import CHECK, step_group
from mtlbench.constants import LINF
from mtlbench.errors import UsageError

QUERIES = 1000
RANDOM_SEARCH: Mapping[str, Any] = {"_target_": "mtlbench.attacks.steps.Square", "steps": QUERIES}


def can_search(config: Config) -> bool:
    """Whether there is a random search to compare with: it needs an objective, and knows images and linf only."""
    attack = config["attack"]
    if space_of(config).form not in Square.forms:
        return False
    return attack.get("objective") is not None and attack["name"] != "noise" and attack.get("norm", LINF) == LINF


def searched(config: Config) -> Config | None:
    """The configuration with random search, if ``attack.black_box`` asks to compare and there is one.

    Raises:
        UsageError: ``attack.black_box`` is wrong.
    """
    chosen = config["attack"]
    wanted = chosen.get("black_box")  # configurations from before the option lack it
    if wanted not in (None, CHECK):
        raise UsageError(f"attack.black_box={wanted}: expected {CHECK}, or null")
    if wanted is None or not can_search(config):
        return None
    return {**config, "attack": {**chosen, step_group(chosen): dict(RANDOM_SEARCH)}}
