"""Checks of a command line before Hydra parses it: options exist, and no value runs code.

Each message names the option, the value found and what would be right.
"""

import os
import re
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path

from mtlbench.errors import UsageError
from mtlbench.options import near

KEY = re.compile(r"[A-Za-z_][\w-]*([./][\w-]+)*", re.ASCII)
CHOICE = re.compile(r"[\w ,()\[\]'\"*=-]+", re.ASCII)
NO_NAME = re.compile(r"\b(\d|(null|true|false|nan|inf)\b)|^[^A-Z*]*$", re.ASCII | re.IGNORECASE)

WORD = r"(?!(?i:null|true|false|nan|inf)\b)[A-Za-z_][\w.]*"
OF_HYDRA = {
    r"hydra/launcher": WORD,
    r"hydra\.launcher(\.[\w-]+)+": r".+",
    r"hydra\.sweeper\.max_batch_size": r"\d+",
    r"hydra\.mode": WORD,
    r"hydra\.verbose": rf"true|false|{WORD}|\[{WORD}(, ?{WORD})*\]",
}
"""The allowed options of Hydra itself, and their values. Others run code, or read and write anywhere."""

BUILDS = re.compile(r"\$|_(target|args|partial|recursive|convert)_")
"""Keys that make Hydra instantiate an object."""

ONE_OF = (("-r", "--run"), ("-m", "--multirun"), ("-c", "--cfg"), ("-i", "--info"), ("-sc", "--shell-completion"))
FLAGS_OF_HYDRA = (
    *(flag for names in ONE_OF for flag in names),
    *("-h", "--help", "--hydra-help", "--version", "--resolve", "-p", "--package"),
)
"""Without those that read other configuration (such as --config-dir) or a pickle (--experimental-rerun)."""

OPEN = re.compile(r"model\.options(\.[\w-]+)*", re.ASCII)
"""Options whose names belong to a builder's function; the function checks them."""

CALLED = {
    "attack.space": "attack/step=words eps=[1,3]",
    "attack.words": "attack/step=words eps=[1,3]",
    "attack.substitutes": "attack/step=words attack.step.substitutes",
}
"""What one may call an option -> what it is called here, where no name is like it."""

LONGEST = 20_000
DEEPEST = 20


def check_overrides(arguments: Sequence[str], conf: Path) -> None:
    """Refuse arguments that Hydra would accept but must not.

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
    """A hint for characters that Python could not decode because of an ASCII locale."""
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
    """Nesting depth of brackets, ignoring quotes."""
    steps = ((character in "([{") - (character in ")]}") for character in argument)
    return max(accumulate(steps), default=0)


def opened(arguments: Sequence[str]) -> list[str]:
    """The command line with ``++`` before the options of `OPEN`: Hydra takes new names of a mapping only so."""
    return [f"++{one}" if OPEN.fullmatch(one.partition("=")[0]) else one for one in arguments]


def check_added(command: str, arguments: Sequence[str], conf: Path, keys: Callable[[str], list[str]]) -> None:
    """Refuse options added under an unknown name: with ``+`` Hydra accepts any.

    Args:
        command: its name.
        arguments: the command line behind it.
        conf: the configuration folder.
        keys: function from a command to every key and group of its default configuration.

    Raises:
        UsageError: one of them. Objects built from a `_target_` take further arguments, and check them themselves.
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
                f"{argument}: no such option{called(key, known)}; leave the + out, or see mtlbench {command} --cfg job"
            )


def called(wrong: str, known: Sequence[str]) -> str:
    """`near`, which `CALLED` knows better of some options."""
    return f"; did you mean {CALLED[wrong]}?" if wrong in CALLED else near(wrong, known)


def elsewhere(arguments: Sequence[str]) -> bool:
    """Whether points run in other processes, or Hydra only prints something."""
    flags = {argument for argument in arguments if argument.startswith("-")} - {"-m", "--multirun", "-r", "--run"}
    return bool(flags) or any("hydra/launcher" in argument for argument in arguments)
