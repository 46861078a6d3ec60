"""The defence of a configuration."""

from mtlbench.config import Config
from mtlbench.config.build import build
from mtlbench.constants import NO_DEFENCE
from mtlbench.engine.smoothing import Smoothing


def build_defence(config: Config) -> Smoothing | None:
    """The defence of the attacked model; None for ``defence=none``, and where a command has none."""
    chosen = dict(config.get("defence") or {"name": NO_DEFENCE})
    if chosen.pop("name") == NO_DEFENCE:
        return None
    found: Smoothing = build(chosen, config["plugins"], kind=Smoothing)
    return found
