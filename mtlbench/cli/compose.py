"""Hydra composes every point of a multirun twice, to check it before any runs and to run it. Here: once.

`conf/common.yaml` names `ComposeOnce` as a callback of Hydra, which calls it before the sweeper and the launcher get
the loader of configurations that they share.
"""

from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf


class ComposeOnce(Callback):
    """Lets the launcher have what the sweeper has composed."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Before the sweeper composes the first point."""
        loader = GlobalHydra.instance().config_loader()
        loader.load_sweep_config = Composed(loader)  # type: ignore[method-assign]


class Composed:
    """`ConfigLoader.load_sweep_config` that keeps what it composed until it is asked for it again.

    Args:
        loader: composes.
    """

    def __init__(self, loader: ConfigLoader) -> None:
        self.compose = loader.load_sweep_config
        self.points: dict[tuple[str, ...], DictConfig] = {}

    def __call__(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """The configuration of a point. Whoever runs it may change it, so it is given away."""
        point = tuple(sweep_overrides)
        if point not in self.points:
            self.points[point] = self.compose(master_config, sweep_overrides)
            return self.points[point]
        found = self.points.pop(point)
        OmegaConf.copy_cache(from_config=master_config, to_config=found)
        return found

    def __getstate__(self) -> dict[str, Any]:
        """For the workers of a parallel launcher, each of which runs one point: without those of the others."""
        return {"compose": self.compose, "points": {}}
