"""Types and lower bounds of plain values, checked before any work. Component-specific ranges are checked elsewhere.

Each message names the option, the value found and what would be right.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtlbench.errors import UsageError
from mtlbench.options import LARGEST, flag, is_number, near, shown, whole
from mtlbench.studies import STUDIES

LEAST = {
    "seed": 0,
    "workers": 0,
    "limit": 1,
    "batch_size": 1,
    "scores.paper_batch": 1,
    "audit": 1,
    "save_images": 0,
}
"""Whole-number options -> smallest valid value. Options of a component are checked by its constructor."""

MOST = {"seed": 2**32 - 1, "workers": 256, "save_images": 1000}

MAY_BE_NULL = ("limit", "audit", "save_images")
SHORTEST_TIMEOUT = 1
"""Seconds; with less, a slow step would be taken for a hang."""

FLAGS = ("force", "fail_fast", "wait", "all_trees", "compile")
SCORES = ("standard", "paper")
GROUPS = ("dataset", "model", "sharing", "attack", "attack.step", "defence", "training", "scores")
NAMES = ("dataset.name", "attack.name", "defence.name", "training.name")
"""Options that become parts of file names."""

OF_ATTACK = ("name", "objective", "tasks", "random_start", "restarts")
"""What every file in conf/attack gives, by itself or by its defaults."""

NAME = re.compile(r"\w[\w.-]{0,99}", re.ASCII)
MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


def check_values(config: Mapping[str, Any]) -> None:
    """Check types and lower bounds of plain values; options that a command does not have are skipped.

    Args:
        config: the resolved configuration.

    Raises:
        UsageError: one is wrong.
    """
    for option in GROUPS:
        value = _value(config, option, {})
        if not isinstance(value, Mapping):
            raise UsageError(f"{option}={value}: to choose an option write {option.replace('.', '/')}={value}")
    if lacking := [name for name in OF_ATTACK if name not in config.get("attack", OF_ATTACK)]:
        raise UsageError(
            f"attack: without {', '.join(lacking)}; a file in conf/attack gives a name and an objective, and has "
            "/common_attack@_here_ among its defaults"
        )
    _check_numbers(config)
    for option in FLAGS:
        flag(_value(config, option, False), option)
    for option in NAMES:
        value = _value(config, option, "name")
        if not isinstance(value, str) or not NAME.fullmatch(value):
            raise UsageError(f"{option}={shown(value)}: expected a name of letters, digits, '.', '_' and '-'")
    outputs = config.get("outputs", "outputs")
    if not isinstance(outputs, str) or not outputs.strip() or not outputs.isprintable():
        raise UsageError(f"outputs={shown(outputs)}: expected a folder")
    if config.get("checkpoint", "auto") is None:
        raise UsageError("checkpoint=null: expected auto, a weights file, or its folder")
    for option in ("dataset.root", "dataset.describe", "checkpoint"):
        try:
            Path(str(_value(config, option, ""))).expanduser()
        except RuntimeError as error:
            raise UsageError(f"{option}={_value(config, option, '')}: no such user") from error
    plugins = config.get("plugins", [])
    if not isinstance(plugins, list) or not all(isinstance(p, str) and MODULE.fullmatch(p) for p in plugins):
        raise UsageError(
            f"plugins={shown(plugins)}: expected a list of Python modules, for example [mypackage.attacks]"
        )
    if _value(config, "scores.name", SCORES[0]) not in SCORES:
        raise UsageError(f"scores.name={_value(config, 'scores.name', '')}: expected {' or '.join(SCORES)}")
    if not isinstance(_value(config, "dataset.metrics", {}) or {}, Mapping):  # reported before any rooms are generated
        raise UsageError(f"dataset.metrics={_value(config, 'dataset.metrics', '')}: expected task: [metric, ...]")
    study = config.get("study")
    if study is not None and study not in list(STUDIES):
        raise UsageError(
            f"study={study}: expected null or one of {', '.join(STUDIES)}{near(str(study), list(STUDIES))}"
        )


def _check_numbers(config: Mapping[str, Any]) -> None:
    for option, least in LEAST.items():
        value = _value(config, option, least)
        if not (value is None and option in MAY_BE_NULL):
            whole(value, option, least, MOST.get(option, LARGEST), ", or null" if option in MAY_BE_NULL else "")
    timeout = _value(config, "timeout", None)
    if timeout is not None and not is_number(timeout, SHORTEST_TIMEOUT):
        raise UsageError(f"timeout={timeout}: expected seconds, at least {SHORTEST_TIMEOUT}, or null")


def _value(config: Mapping[str, Any], option: str, otherwise: object) -> Any:
    """The value of a dotted `option`, or `otherwise` if the configuration lacks it."""
    node: Any = config
    for name in option.split("."):
        if not isinstance(node, Mapping) or name not in node:
            return otherwise
        node = node[name]
    return node
