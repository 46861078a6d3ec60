"""What can be said about a command line before any work: group choices are names, plain values have the right type.

Each message names the option, the value found and what would be right. Ranges that only one part knows stay with it.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from itertools import accumulate
from pathlib import Path
from typing import Any

from mtlbench.errors import UsageError
from mtlbench.options import is_number, is_whole
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
    "sharing.shared_blocks": 0,
    "training.iterations": 1,
    "training.batch_size": 1,
    "training.halve_every": 1,
    "training.save_every": 1,
    "scores.paper_batch": 1,
    "audit": 1,
}
"""Whole numbers and the smallest that makes sense."""

MOST = {"seed": 2**32 - 1, "dataset.seed": 2**32 - 1, "workers": 256}
ANY_MOST = 2**31 - 1
"""The largest of the other whole numbers; beyond it libraries raise errors of their own."""

MAY_BE_NULL = ("limit", "sharing.index", "audit")
MAY_BE_A_NAME = ("sharing.index",)
POSITIVE = ("training.lr",)
SHORTEST_TIMEOUT = 1
"""Seconds; below, a slow step would pass for a hang."""

FLAGS = (
    *("force", "fail_fast", "wait", "all_trees", "compile", "attack.random_start"),
    *("dataset.augment.mirror", "dataset.follow_links"),
)
SCORES = ("standard", "paper")
GROUPS = ("dataset", "model", "sharing", "attack", "attack.step", "training", "scores")
NAMES = ("dataset.name", "attack.name", "training.name")
"""They become parts of file names."""

KEY = re.compile(r"[A-Za-z_][\w-]*([./][\w-]+)*", re.ASCII)
CHOICE = re.compile(r"[\w ,()\[\]'\"*=-]+", re.ASCII)
NO_NAME = re.compile(r"\b(\d|(null|true|false|nan|inf)\b)|^[^A-Z*]*$", re.ASCII | re.IGNORECASE)
NAME = re.compile(r"\w[\w.-]{0,99}", re.ASCII)
MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")

WORD = r"(?!(?i:null|true|false|nan|inf)\b)[A-Za-z_][\w.]*"
OF_HYDRA = {
    r"hydra/launcher": WORD,
    r"hydra\.launcher(\.[\w-]+)+": r".+",
    r"hydra\.sweeper\.max_batch_size": r"\d+",
    r"hydra\.mode": WORD,
    r"hydra\.verbose": rf"true|false|{WORD}|\[{WORD}(, ?{WORD})*\]",
}
"""The options of Hydra itself that may be given, and their values. Others run code, or read and write anywhere."""

BUILDS = re.compile(r"\$|_(target|args|partial|recursive|convert)_")
"""What makes Hydra build an object of a value."""

ONE_OF = (("-r", "--run"), ("-m", "--multirun"), ("-c", "--cfg"), ("-i", "--info"), ("-sc", "--shell-completion"))
FLAGS_OF_HYDRA = (
    *(flag for names in ONE_OF for flag in names),
    *("-h", "--help", "--hydra-help", "--version", "--resolve", "-p", "--package"),
)
"""Not those that read other configuration (--config-dir and its like) or a pickle (--experimental-rerun)."""

LONGEST = 20_000
DEEPEST = 20


def check_overrides(arguments: Sequence[str], conf: Path) -> None:
    """Refuse what Hydra would accept and must not.

    Hydra loads any yaml file that a path in a group choice leads to, lets keys be deleted, and has options of its own
    that run code or write anywhere.

    Args:
        arguments: the command line behind the command.
        conf: the configuration folder.

    Raises:
        UsageError: one of them.
    """
    for argument in arguments:
        if len(argument) > LONGEST or _depth(argument) > DEEPEST:
            raise UsageError(
                f"{argument[:60]}...: expected at most {LONGEST} characters, brackets at most {DEEPEST} deep"
            )
        if not argument.isprintable():
            expected = f"expected key=value{_in_utf8(argument)}"
            raise UsageError(f"{argument!r}: holds characters that cannot be printed; {expected}")
        if argument.startswith("~"):
            raise UsageError(f"{argument}: options cannot be deleted; give another value, for example limit=null")
        key, equals, value = argument.lstrip("+").partition("=")
        if equals and not argument.startswith("-"):
            _check_override(argument, key, value.strip(), conf)
    _check_flags(arguments)


def _in_utf8(argument: str) -> str:
    """Advice for letters that Python could not read because the locale has only those of ASCII."""
    try:
        letters = os.fsencode(argument).decode()
    except UnicodeError:
        return ""
    return f"; for {letters} set PYTHONUTF8=1 or a UTF-8 locale" if letters.isprintable() else ""


def _check_flags(arguments: Sequence[str]) -> None:
    given = [argument.partition("=")[0] for argument in arguments if argument.startswith("-")]
    for flag in given:
        if flag not in FLAGS_OF_HYDRA:
            raise UsageError(f"{flag}: no such flag; there are {', '.join(FLAGS_OF_HYDRA)}")
    modes = [names[-1] for names in ONE_OF if set(names) & set(given)]
    if len(modes) > 1:
        raise UsageError(f"{' '.join(modes)}: expected one of them")
    if "--resolve" in given and not {"-c", "--cfg", "-h", "--help"} & set(given):
        raise UsageError("--resolve: expected beside --cfg")


def _check_override(argument: str, key: str, value: str, conf: Path) -> None:
    if not KEY.fullmatch(key):
        raise UsageError(f"{argument}: expected key=value with a key such as eps, dataset.root or attack/step")
    if re.match(r"hydra\b", key):
        shape = next((shape for option, shape in OF_HYDRA.items() if re.fullmatch(option, key)), None)
        if shape is None or BUILDS.search(argument):
            raise UsageError(
                f"{argument}: not an option of mtlbench; of Hydra's own there are hydra/launcher, hydra.launcher.* "
                "(plain values), hydra.mode and hydra.verbose; outputs=FOLDER says where everything is written"
            )
        if not re.fullmatch(shape, value):
            raise UsageError(f"{argument}: expected a name or a plain value")
    elif key == "experiment" and re.search(r"[,*(\[]", value):
        raise UsageError(f"{argument}: expected one experiment; run the command once for each")
    elif key == "outputs" and (value.strip("'\" ").lower() in ("", "null") or value[0] in "[{"):
        raise UsageError(f"{argument}: expected a folder")
    elif (conf / key).is_dir() and (not CHOICE.fullmatch(value) or NO_NAME.search(value)):
        options = ", ".join(sorted(file.stem for file in (conf / key).glob("*.yaml")))
        raise UsageError(f"{argument}: expected the name of an option of {key}, one of {options}")


def _depth(argument: str) -> int:
    """How deep brackets are nested, quotes not considered."""
    steps = ((character in "([{") - (character in ")]}") for character in argument)
    return max(accumulate(steps), default=0)


def check_added(command: str, arguments: Sequence[str], conf: Path, keys: Callable[[str], list[str]]) -> None:
    """Refuse options that are added under a name nobody reads: with ``+`` Hydra takes any.

    Args:
        command: its name.
        arguments: the command line behind it.
        conf: the configuration folder.
        keys: from a command to every key and group of its default configuration.

    Raises:
        UsageError: one of them. What is built from a `_target_` takes further arguments, and checks them itself.
    """
    added = [argument for argument in arguments if argument.startswith("+")]
    known = keys(command) if added else []
    for argument in added:
        key = argument.lstrip("+").partition("=")[0]
        above = list(accumulate(key.split(".")[:-1], "{}.{}".format))
        built = any(f"{node}._target_" in known for node in above)
        free = any(node in known and not any(k.startswith(f"{node}.") for k in known) for node in above)  # loss_scale
        if not (built or free or key in known or key.startswith("hydra") or (conf / key).is_dir()):
            raise UsageError(
                f"{argument}: no such option{near(key, known)}; leave the + out, or see mtlbench {command} --cfg job"
            )


def elsewhere(arguments: Sequence[str]) -> bool:
    """Whether the points run in other processes, or Hydra only shows something."""
    flags = {argument for argument in arguments if argument.startswith("-")} - {"-m", "--multirun", "-r", "--run"}
    return bool(flags) or any("hydra/launcher" in argument for argument in arguments)


def check_values(config: Mapping[str, Any]) -> None:
    """Check types and lower bounds of plain values; options that a command does not have are passed over.

    Args:
        config: the resolved configuration.

    Raises:
        UsageError: one is wrong.
    """
    for option in GROUPS:
        value = _value(config, option, {})
        if not isinstance(value, Mapping):
            raise UsageError(f"{option}={value}: to choose an option write {option.replace('.', '/')}={value}")
    _check_numbers(config)
    for option in FLAGS:
        value = _value(config, option, False)
        if not isinstance(value, bool):
            raise UsageError(f"{option}={_shown(value)}: expected true or false")
    for option in NAMES:
        value = _value(config, option, "name")
        if not isinstance(value, str) or not NAME.fullmatch(value):
            raise UsageError(f"{option}={_shown(value)}: expected a name of letters, digits, '.', '_' and '-'")
    outputs = config.get("outputs", "outputs")
    if not isinstance(outputs, str) or not outputs.strip() or not outputs.isprintable():
        raise UsageError(f"outputs={_shown(outputs)}: expected a folder")
    if config.get("checkpoint", "auto") is None:
        raise UsageError("checkpoint=null: expected auto, a weights file, or its folder")
    for option in ("dataset.root", "checkpoint"):
        try:
            Path(str(_value(config, option, ""))).expanduser()
        except RuntimeError as error:
            raise UsageError(f"{option}={_value(config, option, '')}: no such user") from error
    plugins = config.get("plugins", [])
    if not isinstance(plugins, list) or not all(isinstance(p, str) and MODULE.fullmatch(p) for p in plugins):
        raise UsageError(
            f"plugins={_shown(plugins)}: expected a list of Python modules, for example [mypackage.attacks]"
        )
    if _value(config, "scores.name", SCORES[0]) not in SCORES:
        raise UsageError(f"scores.name={_value(config, 'scores.name', '')}: expected {' or '.join(SCORES)}")
    if not isinstance(_value(config, "dataset.metrics", {}) or {}, Mapping):  # said before any rooms are made
        raise UsageError(f"dataset.metrics={_value(config, 'dataset.metrics', '')}: expected task: [metric, ...]")
    study = config.get("study")
    if study is not None and study not in list(STUDIES):
        raise UsageError(
            f"study={study}: expected null or one of {', '.join(STUDIES)}{near(str(study), list(STUDIES))}"
        )


def _check_numbers(config: Mapping[str, Any]) -> None:
    for option, least in LEAST.items():
        value = _value(config, option, least)
        if (value is None and option in MAY_BE_NULL) or (isinstance(value, str) and option in MAY_BE_A_NAME):
            continue
        if not is_whole(value, least):
            alternative = ", or null" if option in MAY_BE_NULL else ""
            raise UsageError(f"{option}={_shown(value)}: expected a whole number of at least {least}{alternative}")
        if value > MOST.get(option, ANY_MOST):
            raise UsageError(f"{option}={value}: expected at most {MOST.get(option, ANY_MOST)}")
    for option in POSITIVE:
        value = _value(config, option, 1)
        if not is_number(value) or value <= 0:
            raise UsageError(f"{option}={_shown(value)}: expected a positive number")
    timeout = _value(config, "timeout", None)
    if timeout is not None and not is_number(timeout, SHORTEST_TIMEOUT):
        raise UsageError(f"timeout={timeout}: expected seconds, at least {SHORTEST_TIMEOUT}, or null")


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
