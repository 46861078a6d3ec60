"""What a panel of each kind of plot shows, as layers of Altair without data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from mtlbench.report.figures import look
from mtlbench.report.figures.values import Values
from mtlbench.report.figures.words import title
from mtlbench.studies import Axis

FEW_TICKS = 8
"""So many numbers on an axis are its ticks; more get round ones."""

LINE_HEIGHT, ROW_GAP, DOT_GAP = 20, 8, 11
"""Pixels: of a row with one dot; between rows; between dots of a row."""

LETTER, SYMBOL = 6.0, 45
"""Pixels: of a letter of the legend; of a symbol with the space around it."""

Axes = dict[str, Axis]


@dataclass(frozen=True)
class Panel:
    """The layers of a panel, from the back to the front; its size in pixels; whether each scales its y on its own."""

    layers: Sequence[alt.Chart]
    width: int
    height: int
    own_scale: bool = False


def lines(found: Values, axes: Axes) -> Panel:
    """Lines over numbers, with bands."""
    ticks = sorted({row["x"] for row in found.rows})
    log = axes["x"].log
    scale = alt.Scale(type="log", nice=False, padding=10) if log else alt.Scale(zero=False, nice=False, padding=10)
    axis = alt.Axis(tickCount=5, format="~s") if log or len(ticks) > FEW_TICKS else alt.Axis(values=ticks)
    x = alt.X("x:Q", title=title(axes["x"]), scale=scale, axis=axis)
    y = _numbers("y", axes["y"], found)
    base = alt.Chart().encode(x=x, y=y, detail=["line:N", "colour:N"], color=_colour(found))
    ends = {"y": alt.Y("y_low:Q", title=title(axes["y"])), "y2": "y_high:Q"}
    band = base.transform_filter("isValid(datum.y_low)").mark_area(opacity=0.15, aria=False).encode(**ends)
    line = base.mark_line(aria=False, strokeWidth=1.8).encode(strokeDash=_dash(found))
    return Panel([band, line, _points(base, found)], *look.PANEL)


def dots(found: Values, axes: Axes) -> Panel:
    """Dots beside names, with intervals: the name is y, the number x."""
    names = list(dict.fromkeys(row["y"] for row in found.rows))
    several = len(found.colours)
    row = alt.Y("y:N", title=None, sort=names, axis=alt.Axis(grid=True, ticks=False, domain=False))
    base = alt.Chart().encode(x=_numbers("x", axes["x"], found), y=row, color=_colour(found))
    if several > 1:
        base = base.encode(yOffset=alt.YOffset("colour:N", sort=found.colours))
    ends = {"x": alt.X("x_low:Q", title=title(axes["x"])), "x2": "x_high:Q"}
    rule = base.transform_filter("isValid(datum.x_low)").mark_rule(aria=False, strokeWidth=1.5).encode(**ends)
    height = len(names) * max(LINE_HEIGHT, DOT_GAP * several + ROW_GAP)
    return Panel([rule, _points(base, found)], look.PANEL[0], height)


def scatter(found: Values, axes: Axes) -> Panel:
    """Points, and a line through the front: those that no other dominates."""
    x, y = _numbers("x", axes["x"], found), _numbers("y", axes["y"], found)
    base = alt.Chart().encode(x=x, y=y)
    order = {"order": alt.Order("x:Q"), "detail": "line:N"}
    front = base.transform_filter("datum.front").mark_line(
        aria=False, color=look.INK, opacity=0.4, strokeDash=[3, 3], interpolate="step-after"
    )
    base = base.encode(color=_colour(found))
    known = base.transform_filter("isValid(datum.y_low)")
    ends = {"y": alt.Y("y_low:Q", title=title(axes["y"])), "y2": "y_high:Q"}
    rule = known.mark_rule(aria=False, opacity=0.5).encode(**ends)
    return Panel([front.encode(**order), rule, _points(base, found)], *look.PANEL, own_scale=True)


def matrix(found: Values, axes: Axes) -> Panel:
    """A heat map with numbers; its rows and columns are names."""
    rows = list(dict.fromkeys(row["y"] for row in found.rows))
    columns = list(dict.fromkeys(row["x"] for row in found.rows))
    names = [*(name for name in columns if name in rows), *(name for name in columns if name not in rows)]
    rows = [*(name for name in names if name in rows), *(name for name in rows if name not in names)]
    across = alt.Axis(orient="top", labelAngle=-40, domain=False, ticks=False, titlePadding=4)
    x = alt.X("x:N", title=title(axes["x"]), sort=names, scale=alt.Scale(domain=names), axis=across)
    down = alt.Axis(domain=False, ticks=False)
    y = alt.Y("y:N", title=title(axes["y"]), sort=rows, scale=alt.Scale(domain=rows), axis=down)
    base = alt.Chart().encode(x=x, y=y)
    heat = alt.Scale(domain=[0, 1], range=list(look.HEAT), interpolate="rgb", clamp=True)
    cells = base.mark_rect(stroke=look.INK, strokeOpacity=0.3).encode(
        color=alt.Color("value:Q", scale=heat, legend=None), description="description:N"
    )
    ink = alt.when(f"datum.value > {look.DARK_ENOUGH}").then(alt.value(look.LIGHT)).otherwise(alt.value(look.DARK))
    texts = base.mark_text(fontSize=12, aria=False).encode(text="text:N", color=ink)
    return Panel([cells, texts], look.CELL * len(names), look.CELL * len(rows))


PANELS: dict[str, Callable[[Values, Axes], Panel]] = {"line": lines, "dot": dots, "scatter": scatter, "matrix": matrix}


def _numbers(channel: str, axis: Axis, found: Values) -> Any:
    """A numeric axis; it begins at 0 if the smallest value is below half of the largest."""
    every = [row[name] for row in found.rows for name in (channel, f"{channel}_low", f"{channel}_high") if name in row]
    zero = min(every) < max(every) / 2
    made = {"x": alt.X, "y": alt.Y}[channel]
    scale = alt.Scale(zero=zero, padding=6 if not zero else 0)
    return made(f"{channel}:Q", title=title(axis), scale=scale, axis=alt.Axis(tickCount=5))


def _points(base: alt.Chart, found: Values) -> alt.Chart:
    marks = base.mark_point(filled=True, size=60, opacity=1)
    return marks.encode(shape=_shape(found), description="description:N")


def _colour(found: Values) -> Any:
    return _by_series(alt.Color, found, look.COLOURS)


def _shape(found: Values) -> Any:
    return _by_series(alt.Shape, found, look.SHAPES)


def _dash(found: Values) -> Any:
    return _by_series(alt.StrokeDash, found, [list(dash) for dash in look.DASHES])


def _by_series(channel: Any, found: Values, looks: Sequence[Any]) -> Any:
    """One look for each series; a single series needs no legend."""
    names = found.colours
    fitting = max(1, int(found.columns * look.PANEL[0] / (LETTER * max(map(len, names)) + SYMBOL)))
    legend = alt.Legend(title=None, orient="bottom", columns=fitting) if len(names) > 1 else None
    return channel("colour:N", scale=alt.Scale(domain=names, range=list(looks[: len(names)])), legend=legend)
