"""Marks of the long forms."""

import os

import pytest

LONG = (pytest.mark.robustness, pytest.mark.timeout(3600))


def some(name: str, short: list, long: list) -> pytest.MarkDecorator:
    """Parameter `name`: the values of the normal suite, and those for where robustness is asked for."""
    return pytest.mark.parametrize(name, [*short, *(pytest.param(value, marks=LONG) for value in long)])


def rounds(short: int, long: int) -> pytest.MarkDecorator:
    """Parameter `rounds`: few in the normal suite, many where robustness is asked for; ROUNDS=n sets how many."""
    return some("rounds", [short], [int(os.environ.get("ROUNDS", long))])
