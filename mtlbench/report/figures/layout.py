"""Which columns give colour, and which give panels: never more than six series in a panel."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import pandas as pd

from mtlbench.report.figures.look import MOST_SERIES

OF_MODEL = ("dataset", "model", "training", "step")
"""Columns in which what a panel shows must agree, whether or not a plot names them."""

REPEATED = ("seed", "seeds", "n_images")
"""Columns in which lines and dots of one colour may differ."""


@dataclass(frozen=True)
class Layout:
    """Columns whose values together give colours; panels, the fastest last; and the name of a mark beside these."""

    colour: tuple[str, ...]
    panels: tuple[str, ...]
    told: tuple[str, ...] = ()


def arrange(frame: pd.DataFrame, series: str, panel: Sequence[str], used: str = "") -> Layout:
    """Colours for the series, if they are few; else panels for the series, and colours for what had panels.

    Args:
        frame: the data.
        series: column that would give colour; empty for none.
        panel: columns that would give panels; those that are constant do not.
        used: a column that an axis shows.
    """
    panels = varying(frame, [name for name in (*OF_MODEL, *panel) if name not in (used, series)])
    if not series or _values(frame, [series]) <= MOST_SERIES:
        return Layout((series,) if series else (), panels)
    few = [name for name in panels if _values(frame, [name]) <= MOST_SERIES]
    if panels and prod(_values(frame, [name]) for name in panels) <= MOST_SERIES:
        return Layout(panels, (series,))
    best = max(few, key=lambda name: _values(frame, [name]), default="")
    return Layout((best,) if best else (), (series, *(name for name in panels if name != best)))


def varying(frame: pd.DataFrame, names: Sequence[str]) -> tuple[str, ...]:
    """Those of `names` that are columns with more than one value, without duplicates."""
    return tuple(name for name in dict.fromkeys(names) if name in frame and _values(frame, [name]) > 1)


def side_by_side(frame: pd.DataFrame, panels: Sequence[str], count: int, most: int) -> int:
    """How many of `count` panels stand side by side: one for each value of the fastest column, or for half of them.

    Args:
        frame: the data.
        panels: columns of the panels.
        count: of the panels.
        most: that fit beside each other.
    """
    fastest = _values(frame, panels[-1:]) if len(panels) > 1 else count
    halves = fastest // 2 if fastest % 2 == 0 and fastest > most else fastest
    return halves if 1 < halves <= most else min(count, most)


def _values(frame: pd.DataFrame, names: Sequence[str]) -> int:
    return len(frame[list(names)].drop_duplicates())
