"""Marks of the long forms."""

import pytest

LONG = (pytest.mark.robustness, pytest.mark.timeout(3600))


def some(name: str, short: list, long: list) -> pytest.MarkDecorator:
    """Parameter `name`: the values of the normal suite, and those for where robustness is asked for."""
    return pytest.mark.parametrize(name, [*short, *(pytest.param(value, marks=LONG) for value in long)])


def rounds(short: int, long: int) -> pytest.MarkDecorator:
    """Parameter `rounds`: few in the normal suite, many where robustness is asked for."""
    return some("rounds", [short], [long])
