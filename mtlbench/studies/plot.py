"""Descriptions of plots of tidy frames; `report.figures` draws them."""

from dataclasses import dataclass, field
from typing import Literal

import pandas as pd


@dataclass(frozen=True)
class Axis:
    """A column of a tidy frame that a plot shows.

    Attributes:
        column: its name.
        name: what it is, for the reader.
        unit: of its numbers; empty for names and ratios.
        low: column of the lower end of its interval; empty if there is none.
        high: column of the upper end.
        log: logarithmic.
    """

    column: str
    name: str
    unit: str = ""
    low: str = ""
    high: str = ""
    log: bool = False


ARP = Axis("arp_percent", "ARP", "%", "ci_low", "ci_high")


@dataclass(frozen=True)
class PlotBase:
    """What every plot has.

    Attributes:
        name: of the file.
        title: above all panels.
        frame: the data; one score set of it is drawn.
        panel: columns whose values get separate panels.
    """

    name: str
    title: str
    frame: pd.DataFrame
    panel: tuple[str, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True)
class Plot(PlotBase):
    """Values over numbers or names.

    Attributes:
        kind: lines over numbers, dots over names, or a scatter of two measured values.
        x: numbers, or names if `kind` is ``dot``.
        y: numbers; with an interval if its columns are named.
        series: column that gives colour, shape and dash.
        marked: of lines, columns of numbers on the x axis that get a vertical line in each panel, with their names.
        front: of a scatter, the column that says which points no other dominates: these are joined.
    """

    kind: Literal["line", "dot", "scatter"]
    x: Axis
    y: Axis
    series: str
    front: str = ""
    marked: tuple[Axis, ...] = ()


@dataclass(frozen=True)
class Matrix(PlotBase):
    """A heat map with numbers.

    Attributes:
        row: names, from top to bottom.
        column: names, from left to right.
        value: the numbers; 0 and 1 have the ends of the colour scale.
    """

    row: Axis
    column: Axis
    value: Axis
