"""A point of a multirun is composed once, and is what Hydra composes for it."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig, OmegaConf

from mtlbench.cli.compose import Composed
from mtlbench.config.folder import conf_dir


class Loader:
    """Composes points of one number."""

    def __init__(self) -> None:
        self.composed: list[str] = []

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        self.composed += sweep_overrides
        return OmegaConf.create({"number": int(sweep_overrides[0])})


def test_who_asks_again_gets_what_was_composed() -> None:
    loader: Any = Loader()
    compose, master = Composed(loader), OmegaConf.create()
    checked = [compose(master, [number]) for number in ("1", "2")]
    run = [compose(master, [number]) for number in ("1", "2")]
    assert all(one is other for one, other in zip(checked, run, strict=True))
    assert loader.composed == ["1", "2"]


def test_what_was_given_away_is_composed_anew() -> None:
    loader: Any = Loader()
    compose, master = Composed(loader), OmegaConf.create()
    first, given, third = (compose(master, ["1"]) for _ in range(3))
    assert given is first
    assert third is not first
    assert third == first


def test_a_worker_gets_no_points_of_others() -> None:
    loader: Any = Loader()
    compose = Composed(loader)
    compose(OmegaConf.create(), ["1"])
    there = pickle.loads(pickle.dumps(compose))
    assert there.points == {}
    assert there(OmegaConf.create(), ["1"]) == {"number": 1}


def test_a_multirun_composes_each_point_once(call: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    composed: list[list[str]] = []
    whole = ConfigLoaderImpl.load_sweep_config

    def counted(self: Any, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        composed.append(sweep_overrides)
        return whole(self, master_config, sweep_overrides)

    monkeypatch.setattr(ConfigLoaderImpl, "load_sweep_config", counted)
    done = call("layouts", "-m", "limit=1", "tasks=2,3")
    assert (done.status, done.err) == (0, "")
    assert composed == [["limit=1", "tasks=2"], ["limit=1", "tasks=3"]]
    configs = [
        yaml.safe_load(file.read_text()) for file in sorted((tmp_path / "outputs" / "runs").glob("*/*/config.yaml"))
    ]
    assert [(config["limit"], config["tasks"], config["overrides"]) for config in configs] == [
        (1, tasks, ["limit=1", f"tasks={tasks}"]) for tasks in (2, 3)
    ]
    assert [Path(config["run_dir"]).name for config in configs] == ["0", "1"]


@pytest.mark.parametrize(
    ("arguments", "times"),
    [(["tasks=2"], 1), (["-m", "tasks=2,3"], 3), (["hydra.mode=RUN"], 2), (["hydra.mode=MULTIRUN", "tasks=2,3"], 4)],
)
def test_the_mode_is_composed_only_where_an_option_may_set_it(
    call: Callable, monkeypatch: pytest.MonkeyPatch, arguments: list[str], times: int
) -> None:
    """A multirun composes its points, and before them what they share."""
    composed: list[object] = []
    whole = ConfigLoaderImpl.load_configuration

    def counted(self: Any, *given: Any, **named: Any) -> DictConfig:
        composed.append(named["overrides"])
        return whole(self, *given, **named)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", counted)
    done = call("layouts", "limit=1", *arguments)
    assert (done.status, done.err) == (0, "")
    assert len(composed) == times


def test_only_experiments_set_the_mode() -> None:
    setting = {
        file.parent.name
        for file in conf_dir().rglob("*.yaml")
        if "mode" in ((yaml.safe_load(file.read_text()) or {}).get("hydra") or {})
    }
    assert setting == {"experiment"}
