"""One check per option: returns the converted value, or raises a `UsageError` that names the option.

YAML accepts yes, .nan and integers of any length; arithmetic does not.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from math import inf
from sys import float_info
from typing import TypeGuard

from mtlbench.errors import UsageError

LARGEST = 2**31 - 1
"""Above it, libraries raise their own errors."""


def is_number(value: object, least: float = -inf, most: float = inf) -> TypeGuard[int | float]:
    """Whether a value is a finite number from `least` to `most` that a float can hold; booleans are not numbers."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return max(least, -float_info.max) <= value <= min(most, float_info.max)


def is_whole(value: object, least: int) -> TypeGuard[int]:
    """Whether a value is a whole number of at least `least`; booleans are not numbers."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def whole(value: object, option: str, least: int = 1, most: int = LARGEST, otherwise: str = "") -> int:
    """A whole number from `least` to `most`; `otherwise` says what else the caller accepts, such as ``, or null``."""
    if not is_whole(value, least):
        raise UsageError(f"{option}={shown(value)}: expected a whole number of at least {least}{otherwise}")
    if value > most:
        raise UsageError(f"{option}={value}: expected at most {most}")
    return value


def number(
    value: object,
    option: str,
    expected: str,
    least: float = -inf,
    most: float = inf,
    above: float = -inf,
    below: float = inf,
) -> float:
    """A finite number from `least` to `most`, above `above` and below `below`; `expected` is this range in words."""
    if not is_number(value, least, most) or not above < value < below:
        raise UsageError(f"{option}={value}: expected {expected}")
    return float(value)


def positive(value: object, option: str, example: str = "") -> float:
    """A number above 0."""
    return number(value, option, f"a positive number{example}", above=0)


def one_of(value: object, option: str, choices: Iterable[str]) -> str:
    """One of some names."""
    names = list(choices)
    if not isinstance(value, str) or value not in names:
        raise UsageError(f"{option}={value}: expected {', '.join(names[:-1])} or {names[-1]}")
    return value


def flag(value: object, option: str) -> bool:
    """`value`, which is true or false, or a `UsageError` that names `option`."""
    if not isinstance(value, bool):
        raise UsageError(f"{option}={shown(value)}: expected true or false")
    return value


def shown(value: object) -> str:
    """A value as it is written on the command line."""
    return "null" if value is None else str(value)


def near(wrong: str, known: Sequence[str]) -> str:
    """``; did you mean X?`` for the name in `known` that is most like `wrong`, or nothing."""
    found = get_close_matches(wrong, known, 1, cutoff=0.5)
    return f"; did you mean {found[0]}?" if found else ""
