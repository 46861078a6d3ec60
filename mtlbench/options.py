"""What counts as a number in an option: YAML knows yes, .nan and whole numbers of any length, arithmetic does not."""

from math import inf
from sys import float_info
from typing import TypeGuard

from mtlbench.errors import UsageError


def is_number(value: object, least: float = -inf, most: float = inf) -> TypeGuard[int | float]:
    """Whether a value is a finite number, from `least` to `most`, that a float can hold; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return max(least, -float_info.max) <= value <= min(most, float_info.max)


def is_whole(value: object, least: int) -> TypeGuard[int]:
    """Whether a value is a whole number of at least `least`; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def flag(value: object, option: str) -> bool:
    """`value`, which is true or false, or a `UsageError` that names `option`."""
    if not isinstance(value, bool):
        raise UsageError(f"{option}={value}: expected true or false")
    return value
