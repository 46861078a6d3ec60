"""Hydra composes every point of a multirun twice: to check it before the first run, and to run it. Here: once.

`conf/common.yaml` names `ComposeOnce` as a callback of Hydra, which calls it before the sweeper and the launcher
receive the configuration loader that they share. Before that, Hydra composes a whole configuration to read its
`hydra.mode`; `mode_by_flags` saves this where nothing sets one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra._internal.hydra import Hydra
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

SET_MODE = ("experiment", "hydra.mode")
"""Options that may set `hydra.mode`; no other file of conf/ does."""


@contextmanager
def mode_by_flags(arguments: Sequence[str]) -> Iterator[None]:
    """Inside, -m alone makes a command a multirun, unless one of `SET_MODE` is among its arguments."""
    keys = {argument.lstrip("+").partition("=")[0] for argument in arguments}
    if keys & set(SET_MODE):
        yield
        return
    composing = Hydra.get_mode
    Hydra.get_mode = _no_mode  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Hydra.get_mode = composing  # type: ignore[method-assign]


def _no_mode(hydra: Hydra, config_name: str | None, overrides: list[str]) -> None:
    """What `Hydra.get_mode` finds in a configuration that sets no mode."""


class ComposeOnce(Callback):
    """Passes the configurations that the sweeper composed on to the launcher."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Hook before the sweeper composes the first point."""
        loader = GlobalHydra.instance().config_loader()
        loader.load_sweep_config = Composed(loader)  # type: ignore[method-assign]


class Composed:
    """`ConfigLoader.load_sweep_config` with a cache: each configuration is kept until it is requested again.

    Args:
        loader: the original configuration loader.
    """

    def __init__(self, loader: ConfigLoader) -> None:
        self.compose = loader.load_sweep_config
        self.points: dict[tuple[str, ...], DictConfig] = {}

    def __call__(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """The configuration of a point, removed from the cache, because running the point may modify it."""
        point = tuple(sweep_overrides)
        if point not in self.points:
            self.points[point] = self.compose(master_config, sweep_overrides)
            return self.points[point]
        found = self.points.pop(point)
        OmegaConf.copy_cache(from_config=master_config, to_config=found)
        return found

    def __getstate__(self) -> dict[str, Any]:
        """For pickling: the worker of a parallel launcher runs one point and does not need the cache."""
        return {"compose": self.compose, "points": {}}
