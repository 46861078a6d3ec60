"""Whatever lies in conf/ composes, resolves and builds: a new yaml is tested unasked."""

import re
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import hydra
import pytest
import yaml
from omegaconf import OmegaConf

from mtlbench.cli.entry import COMMANDS
from mtlbench.config import folder as folder_module
from mtlbench.config.attack import build_attacks, build_objective_and_step, epsilon_list
from mtlbench.config.dataset import known_tasks, size_of
from mtlbench.config.defence import build_defence
from mtlbench.config.folder import conf_dir
from mtlbench.config.model import build_backbone, build_custom, is_custom, sharing_tree
from mtlbench.config.training import training_recipe
from mtlbench.config.values import check_values
from mtlbench.studies import STUDIES
from mtlbench.tasks import three_tasks

CONF = conf_dir()
# common*.yaml is what the commands, and the attacks, share.
PRIMARY = sorted(file.stem for file in CONF.glob("*.yaml") if not file.stem.startswith("common"))
OPTIONS = sorted(str(file.relative_to(CONF).with_suffix("")) for file in CONF.glob("*/**/*.yaml"))

GIVEN = {
    "model/custom": ("model.build=mtlbench.models.builders.torchvision:build",),
    "attack/step/words": ("dataset=sentences", "eps=[1,3]"),
    "defence/smoothing": ("defence.sigma=16",),
    "model/two_layer": ("dataset=clusters",),
    "model/limit": ("dataset=clusters",),
}
"""Option -> what it cannot do without."""


def compose(command: str, *overrides: str) -> dict[str, Any]:
    return deepcopy(_composed(command, *overrides))


@cache
def _composed(command: str, *overrides: str) -> dict[str, Any]:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        config = hydra.compose(command, overrides=["+dataset.root=/data", *overrides])
    plain: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(plain, dict)
    check_values(plain)
    return plain


def test_every_command_has_a_file_and_every_file_a_command() -> None:
    assert sorted(COMMANDS) == PRIMARY


@pytest.mark.parametrize("command", PRIMARY)
def test_a_command_composes(command: str) -> None:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        config = hydra.compose(command)
    plain: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    check_values(plain)


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_composes_and_builds(option: str) -> None:
    group, _, name = option.rpartition("/")
    config = compose("attack", f"{group}={name}", *GIVEN.get(option, ()))
    tasks = three_tasks()
    attacks = build_attacks(config, build_objective_and_step(config), tasks)
    assert bool(attacks) == (config["attack"]["name"] != "none")
    assert build_custom(config).title if is_custom(config) else build_backbone(config).name
    assert training_recipe(config).iterations > 0
    assert (build_defence(config) is None) == (config["defence"]["name"] == "none")
    assert epsilon_list(config)
    assert min(size_of(config)) > 0
    if option != "sharing/tree":
        assert sharing_tree(config, len(tasks)).tasks == len(tasks)


EXPERIMENTS = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))
IMAGES, SENTENCES = ("rooms", "rooms5", "nyuv2", "tiny_taxonomy"), ("sentences", "slu")
OF_SENTENCES = {"text", "text_words"}
OWN_TASKS = {
    "implicit_bias": ("clusters", "digits"),
    "granular_tasks": ("clusters",),
    "granular_rooms": ("rooms8",),
}
"""Experiment -> the datasets whose tasks it is about."""


def _datasets(experiment: str) -> tuple[str, ...]:
    if experiment in OWN_TASKS:
        return OWN_TASKS[experiment]
    return SENTENCES if experiment in OF_SENTENCES else IMAGES


@pytest.mark.grid
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_value_of_an_experiment_and_every_dataset_compose(experiment: str) -> None:
    params = yaml.safe_load((CONF / "experiment" / f"{experiment}.yaml").read_text())["hydra"]["sweeper"]["params"]
    choices = [_choices(key, str(value)) for key, value in params.items()]
    choices.append([f"dataset={dataset}" for dataset in _datasets(experiment)])
    # One of each value is enough for options that do not meet.
    for i in range(max(map(len, choices))):
        point = [values[i % len(values)] for values in choices]
        config = compose("attack", f"experiment={experiment}", *point)
        tasks = known_tasks(config) if experiment in OWN_TASKS else three_tasks()
        assert tasks
        assert bool(build_attacks(config, build_objective_and_step(config), tasks)) == (
            config["attack"]["name"] != "none"
        )
        assert sharing_tree(config, len(tasks)).tasks == len(tasks)
        assert epsilon_list(config)


def _choices(key: str, values: str) -> list[str]:
    if values.startswith("${choose:"):
        return [f"{key}={value}" for value in (7, "independent", "share2", "all_shared")]
    return [f"{key}={value}" for value in re.split(r",(?![^{\[]*[}\]])", values)]


def test_a_study_belongs_to_every_experiment_but_those_for_a_start() -> None:
    starts = {"quickstart", "parts", *OF_SENTENCES}
    for experiment in EXPERIMENTS:
        study = compose("attack", f"experiment={experiment}")["study"]
        assert study == (None if experiment in starts else experiment)
    assert set(STUDIES) - {"leaderboard"} == set(EXPERIMENTS) - starts  # of whatever models there are


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_says_what_it_is(option: str) -> None:
    first, *_ = (CONF / f"{option}.yaml").read_text().splitlines()
    assert first.startswith("# "), f"conf/{option}.yaml: the first line is a comment"


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.startswith("experiment/")])
def test_an_experiment_begins_with_its_command(option: str) -> None:
    text = (CONF / f"{option}.yaml").read_text()
    assert f"# mtlbench attack {option.replace('/', '=', 1)}" in text


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.startswith("experiment/")])
def test_the_values_of_an_experiment_win(option: str) -> None:
    given = yaml.safe_load((CONF / f"{option}.yaml").read_text())
    config = compose("attack", option.replace("/", "=", 1))
    own = {key: value for key, value in given.items() if key not in ("defaults", "hydra")}
    refers = {f"${{dataset.study.{name}}}": config["dataset"]["study"][name] for name in ("eps", "limit")}
    own = {key: refers.get(str(value), value) for key, value in own.items()}
    for key, value in own.items():
        found = {name: config[key][name] for name in value} if isinstance(value, dict) else config[key]
        assert found == value, key


@pytest.mark.parametrize("installed", [False, True])
def test_the_configuration_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    """Beside the package in a checkout, inside it where a wheel was installed, whatever else lies beside it there."""
    beside, inside = tmp_path / "conf", tmp_path / "mtlbench" / "conf"
    for folder in (beside, inside) if installed else (beside,):
        folder.mkdir(parents=True)
    monkeypatch.setattr(folder_module, "__file__", str(tmp_path / "mtlbench" / "config" / "folder.py"))
    assert conf_dir() == (inside if installed else beside)


def test_it_holds_the_primary_configuration_of_every_command() -> None:
    assert [command for command in COMMANDS if not (conf_dir() / f"{command}.yaml").is_file()] == []
