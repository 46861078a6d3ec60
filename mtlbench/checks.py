"""What can be said about a command line before any work: group choices are names, plain values have the right type.

Each message names the option, the value found and what would be right. Ranges that only one part knows stay with it.
"""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from math import inf
from pathlib import Path
from typing import Any

from mtlbench.errors import UsageError
from mtlbench.studies import STUDIES

LEAST = {
    "seed": 0,
    "workers": 0,
    "limit": 1,
    "batch_size": 1,
    "dataset.images": 2,
    "dataset.seed": 0,
    "dataset.classes": 2,
    "sharing.index": 0,
    "training.iterations": 1,
    "training.batch_size": 1,
    "training.halve_every": 1,
    "training.save_every": 1,
    "scores.paper_batch": 1,
    "audit": 1,
}
"""Whole numbers and the smallest that makes sense."""

MAY_BE_NULL = ("limit", "sharing.index", "timeout", "audit")
MAY_BE_A_NAME = ("sharing.index",)
POSITIVE = ("training.lr", "timeout")
FLAGS = ("force", "fail_fast", "wait")
GROUPS = ("dataset", "model", "sharing", "attack", "attack.step", "training", "scores")
PATH_IN_VALUE = re.compile(r"\.\.|\\|(^|[\s,(\[\"'])/")


def check_overrides(arguments: Sequence[str], conf: Path) -> None:
    """Refuse what Hydra would accept and must not.

    Hydra loads any yaml file that a path in a group choice leads to, and lets keys be deleted.

    Args:
        arguments: the command line behind the command.
        conf: the configuration folder.

    Raises:
        UsageError: one of them.
    """
    for argument in arguments:
        if argument.startswith("~") and not argument.startswith("~hydra"):
            raise UsageError(f"{argument}: options cannot be deleted; give another value, for example limit=null")
        key, equals, value = argument.lstrip("+").partition("=")
        group = key.split("@")[0]
        if not equals or not group or not (conf / group).is_dir():
            continue
        if value in ("", "null") or PATH_IN_VALUE.search(value):
            options = ", ".join(sorted(file.stem for file in (conf / group).glob("*.yaml")))
            raise UsageError(f"{argument}: expected the name of an option of {group}, one of {options}")


def check_values(config: Mapping[str, Any]) -> None:
    """Check types and lower bounds of plain values; options that a command does not have are passed over.

    Args:
        config: the resolved configuration.

    Raises:
        UsageError: one is wrong.
    """
    for option in GROUPS:
        value = _value(config, option, {})
        if not isinstance(value, Mapping) and value is not None:
            raise UsageError(f"{option}={value}: to choose an option write {option.replace('.', '/')}={value}")
    for option, least in LEAST.items():
        value = _value(config, option, least)
        if (value is None and option in MAY_BE_NULL) or (isinstance(value, str) and option in MAY_BE_A_NAME):
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            alternative = ", or null" if option in MAY_BE_NULL else ""
            raise UsageError(f"{option}={_shown(value)}: expected a whole number of at least {least}{alternative}")
    for option in POSITIVE:
        value = _value(config, option, 1)
        if value is None and option in MAY_BE_NULL:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < inf:
            raise UsageError(f"{option}={_shown(value)}: expected a positive number")
    for option in FLAGS:
        value = _value(config, option, False)
        if not isinstance(value, bool):
            raise UsageError(f"{option}={_shown(value)}: expected true or false")
    study = config.get("study")
    if study is not None and study not in STUDIES:
        raise UsageError(
            f"study={study}: expected null or one of {', '.join(STUDIES)}{near(str(study), list(STUDIES))}"
        )


def near(wrong: str, known: Sequence[str]) -> str:
    """``; did you mean X?`` for the name in `known` that is most like `wrong`, or nothing."""
    found = get_close_matches(wrong, known, 1, cutoff=0.5)
    return f"; did you mean {found[0]}?" if found else ""


def _value(config: Mapping[str, Any], option: str, otherwise: object) -> Any:
    """The value of a dotted `option`, or `otherwise` where the configuration has none."""
    node: Any = config
    for name in option.split("."):
        if not isinstance(node, Mapping) or name not in node:
            return otherwise
        node = node[name]
    return node


def _shown(value: object) -> str:
    return "null" if value is None else str(value)
