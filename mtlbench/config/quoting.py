"""Names of files and folders on the command line: taken as typed, independent of Hydra's grammar.

To Hydra ``outputs=20261126`` is a number, ``a,b`` a sweep, ``a(b)`` an error. Here the value of an option of
`AS_TYPED` is put into quotes before Hydra sees it, unless it stands in quotes, is ``null``, or is read as typed.
In a sweep a comma separates values, as everywhere, and quotes keep it in a name.
"""

import re
import shlex
from collections.abc import Callable, Sequence

from mtlbench.errors import UsageError

AS_TYPED = (
    *("outputs", "dataset.root", "dataset.describe", "checkpoint", "attack.source"),
    *("cell", "source", "target", "report.where"),
    "merge",
)
QUOTED = r"(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
PIECE = re.compile(rf"\s*({QUOTED}|[^,]*?)\s*(?:,|$)")
SWEEP = re.compile(r"(choice|glob|interval|range|shuffle|sort|tag)\(.*\)")

Reader = Callable[[str], object]
"""Function from an override in Hydra's grammar to its value; raises `ValueError` if it is invalid."""


def quoted(text: str) -> str:
    """`text` in Hydra's quotes; backslashes are special only before a quote."""
    quote = "'" if '"' in text and "'" not in text else '"'
    inner = re.sub(
        rf"(\\*)({quote}|\Z)", lambda found: found[1] * 2 + (f"\\{quote}" if found[2] else ""), text, flags=re.DOTALL
    )
    return f"{quote}{inner}{quote}"


def advice(key: str, text: str) -> str:
    """The shell argument that sets `key` to `text`."""
    return shlex.quote(f"{key}={quoted(text)}")


def as_typed(arguments: Sequence[str], read: Reader) -> list[str]:
    """The command line, with names quoted that Hydra would parse differently.

    Raises:
        UsageError: a list, or several outputs folders.
    """
    sweep = any(
        argument in ("-m", "--multirun") or argument.lstrip("+").startswith(("hydra.mode=MULTIRUN", "experiment="))
        for argument in arguments
    )
    return [_as_typed(argument, sweep, read) for argument in arguments]


def _as_typed(argument: str, sweep: bool, read: Reader) -> str:
    given, equals, value = argument.partition("=")
    key, value = given.lstrip("+"), value.strip()
    if not equals or key not in AS_TYPED or not value or (sweep and SWEEP.fullmatch(value)):
        return argument
    if value[0] in "[{":
        raise UsageError(
            f"{argument}: expected a name; one that begins with a bracket is quoted: {advice(given, value)}"
        )
    values = [found[1] for found in PIECE.finditer(value) if found[0]] if sweep else [value]
    if key == "outputs" and len(values) > 1:
        raise UsageError(
            f"{argument}: expected one folder, run the command once for each; "
            f"or quote a name that holds commas: {advice(given, value)}"
        )
    return f"{given}={','.join(_for_hydra(key, one, read) for one in values)}"


def _for_hydra(key: str, text: str, read: Reader) -> str:
    if re.fullmatch(QUOTED, text) or text.lower() == "null":
        return text
    try:
        same = read(f"{key}={text}") == text
    except ValueError:
        same = False
    return text if same else quoted(text)
