"""Marks of the long forms."""

import pytest


def rounds(short: int, long: int) -> pytest.MarkDecorator:
    """Parameter `rounds`: few in the normal suite, many where robustness is asked for."""
    marks = (pytest.mark.robustness, pytest.mark.timeout(3600))
    return pytest.mark.parametrize("rounds", [short, pytest.param(long, marks=marks)])
