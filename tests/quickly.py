"""Which of many cases `./scripts/test --quick` runs."""

from collections.abc import Iterable
from typing import Any

import pytest


def first(cases: Iterable[Any]) -> list[Any]:
    """The cases of a parametrised test, all but the first with the mark ``grid``: other networks, which take long."""
    one, *others = cases
    marked = (pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.grid) for case in others)
    return [one, *marked]
