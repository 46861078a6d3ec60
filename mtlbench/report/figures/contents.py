"""What of a plot's frame is drawn, and which column is shown how."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from mtlbench.report.figures.layout import OF_MODEL, REPEATED, Layout, arrange, varying
from mtlbench.report.figures.look import MOST_SERIES
from mtlbench.studies import Axis, Matrix, Plot

ON_FRONT = "on the front"
"""Column that gives colour where there are too many series for colours."""


@dataclass(frozen=True)
class Contents:
    """The rows of a chart.

    Attributes:
        kind: of the plot, or ``matrix``.
        frame: rows whose numbers are finite.
        layout: columns of colours, panels and further names.
        axes: channel -> what it shows, in the order in which a mark tells it.
        names: channels that show names, even if these are numbers.
        front: column that says what no other row dominates; empty for none.
        marked: columns of vertical lines.
    """

    kind: str
    frame: pd.DataFrame
    layout: Layout
    axes: dict[str, Axis]
    names: tuple[str, ...] = field(default=())
    front: str = ""
    marked: tuple[Axis, ...] = ()


def contents(plot: Plot | Matrix, scores: str) -> Contents:
    """Of one score set of a plot."""
    if isinstance(plot, Matrix):
        frame = _drawable(plot.frame, scores, [plot.value])
        layout = Layout((), varying(frame, [*OF_MODEL, *plot.panel, *REPEATED]))
        return Contents("matrix", frame, layout, {"x": plot.column, "y": plot.row, "value": plot.value}, ("x", "y"))
    if plot.kind == "dot":
        return _dots(plot, _drawable(plot.frame, scores, [plot.y]))
    frame = _drawable(plot.frame, scores, [plot.x, plot.y])
    axes = {"x": plot.x, "y": plot.y}
    if plot.kind == "scatter":
        return _scatter(plot, frame, axes)
    layout = arrange(frame, plot.series, plot.panel, plot.x.column)
    return Contents(plot.kind, frame, layout, axes, marked=plot.marked)


def _dots(plot: Plot, frame: pd.DataFrame) -> Contents:
    """Names go down, numbers across; the column with more names gets the rows, the other colours."""
    names, series = plot.x, plot.series
    if frame[series].nunique() > frame[names.column].nunique():
        names, series = Axis(series, series.replace("_", " ")), names.column
    layout = arrange(frame, series, plot.panel, names.column)
    return Contents("dot", frame, layout, {"y": names, "x": plot.y}, ("y",))


def _scatter(plot: Plot, frame: pd.DataFrame, axes: dict[str, Axis]) -> Contents:
    """A mark tells its series; where colours are too few for that, they tell what is on the front."""
    colour = plot.series
    if frame[colour].nunique() > MOST_SERIES:
        colour = ON_FRONT
        on = frame[plot.front].eq(True) if plot.front else pd.Series(False, frame.index)
        frame = frame.assign(**{colour: np.where(on, ON_FRONT, "behind it")})
    layout = arrange(frame, colour, plot.panel)
    told = () if colour == plot.series else (plot.series,)
    return Contents("scatter", frame, Layout(layout.colour, layout.panels, told), axes, front=plot.front)


def _drawable(frame: pd.DataFrame, scores: str, numbers: Sequence[Axis]) -> pd.DataFrame:
    """The rows of one score set whose numbers are finite."""
    frame = frame[frame["scores"] == scores] if "scores" in frame else frame
    known = [np.isfinite(pd.to_numeric(frame[axis.column], errors="coerce")) for axis in numbers]
    return frame[np.logical_and.reduce(known)] if len(frame) else frame
