"""Hydra composes every point of a multirun twice: to check it before the first run, and to run it. Here: once.

`conf/common.yaml` names `ComposeOnce` as a callback of Hydra, which calls it before the sweeper and the launcher
receive the configuration loader that they share.
"""

from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf


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
