"""From a plot's description to an Altair chart."""

from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import altair as alt
import pandas as pd

from mtlbench.report.figures import look
from mtlbench.report.figures.layout import OF_MODEL, REPEATED, Layout, arrange, varying
from mtlbench.report.figures.panels import PANELS, Panel
from mtlbench.report.figures.values import Values, drawable, values
from mtlbench.report.figures.words import number, title
from mtlbench.studies import Axis, Matrix, Plot

LETTER = 7.5
"""Mean width of a letter of the title, pixels."""


@dataclass(frozen=True)
class Chart:
    """An Altair chart, and what it shows in words."""

    chart: Any
    description: str


def chart(plot: Plot | Matrix, scores: str) -> Chart | None:
    """Draw one score set of a plot; None if there is nothing to draw."""
    if isinstance(plot, Matrix):
        frame = drawable(plot.frame, scores, [plot.value])
        layout = Layout((), varying(frame, [*OF_MODEL, *REPEATED, *plot.panel]))
        axes, kind = {"x": plot.column, "y": plot.row, "value": plot.value}, "matrix"
    else:
        frame = drawable(plot.frame, scores, [plot.y] if plot.kind == "dot" else [plot.x, plot.y])
        axes, series, kind = *_axes(plot, frame), plot.kind
        layout = arrange(frame, series, plot.panel, [axis.column for axis in axes.values()])
    if frame.empty:
        return None
    found = values(frame, layout, axes, front=plot.front if isinstance(plot, Plot) else "")
    panel = PANELS[kind](found, axes)
    return Chart(_together(plot.title, panel, found), _description(plot.title, found, axes))


def _axes(plot: Plot, frame: pd.DataFrame) -> tuple[dict[str, Axis], str]:
    """What each direction shows, and the column of the series; names that are dotted go down, whichever are more."""
    if plot.kind != "dot":
        return {"x": plot.x, "y": plot.y}, plot.series
    names, series = plot.x, plot.series
    if frame[series].nunique() > frame[names.column].nunique():
        names, series = Axis(series, series.replace("_", " ")), names.column
    return {"y": names, "x": plot.y}, series


def _together(name: str, panel: Panel, found: Values) -> Any:
    """All panels of a chart under its title."""
    data = alt.Data(values=found.rows)
    width = panel.width * found.columns
    lines = wrap(name, max(30, int((width + 60) / LETTER)))
    made: Any = alt.layer(*panel.layers, data=data).properties(width=panel.width, height=panel.height)
    if len(found.panels) > 1:
        facet = alt.Facet("panel:N", title=None, sort=found.panels)
        one = alt.layer(*panel.layers).properties(width=panel.width, height=panel.height)
        made = one.facet(facet, columns=found.columns, data=data).resolve_axis(x="independent")
        made = made.resolve_scale(y="independent") if panel.own_scale else made
    return made.properties(title=lines).configure(**look.config())


def _description(name: str, found: Values, axes: dict[str, Axis]) -> str:
    """What a chart shows, for those who do not see it."""
    channel = next(channel for channel in ("value", "y", "x") if channel in found.rows[0] and channel in axes)
    channel = channel if isinstance(found.rows[0][channel], float) else "x"
    shown = axes[channel]
    others = [title(axis) for key, axis in axes.items() if key != channel]
    numbers = [row[channel] for row in found.rows]
    unit = f" {shown.unit}" if shown.unit else ""
    parts = [f"{name}. {shown.name} by {' and '.join(others)}: {number(min(numbers))} to {number(max(numbers))}{unit}"]
    if len(found.colours) > 1:
        parts.append(f"Series: {'; '.join(found.colours)}")
    if len(found.panels) > 1:
        parts.append(f"Panels: {'; '.join(found.panels)}")
    if any(f"{channel}_low" in row for row in found.rows):
        parts.append("Bands and bars are 95 % intervals")
    if found.left_out:
        parts.append(f"{found.left_out} more panels are not drawn; the table has all rows")
    return ". ".join(parts) + "."
