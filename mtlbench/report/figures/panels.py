"""What a panel of each kind of plot shows, as layers of Altair without data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any

import altair as alt

from mtlbench.report.figures import look
from mtlbench.report.figures.values import Values
from mtlbench.report.figures.words import title
from mtlbench.studies import Axis

FEW_TICKS = 8
"""So many numbers on an axis are its ticks; more get round ones."""

LINE_HEIGHT, ROW_GAP, DOT_GAP = 20, 10, 11
"""Pixels: of a row with one dot; between rows; between dots of a row."""

EDGE, NAME_SPACE = 8, 40
"""Pixels between the outermost points and the edge of a panel; the same where names stand beside points."""

Axes = dict[str, Axis]


@dataclass(frozen=True)
class Panel:
    """The layers of a panel, from the back to the front.

    Attributes:
        layers: without data.
        width: pixels.
        height: pixels.
        names: at the left edge.
        own_scale: each panel scales its y on its own.
    """

    layers: Sequence[alt.Chart]
    width: int
    height: int
    names: Sequence[str] = ()
    own_scale: bool = False


def lines(found: Values, axes: Axes) -> Panel:
    """Lines over numbers, with bands."""
    log = axes["x"].log
    scale = alt.Scale(type="log" if log else "linear", zero=False, nice=False, padding=10)
    x = alt.X("x:Q", title=title(axes["x"]), scale=scale, axis=_ticks([row["x"] for row in found.rows], log))
    y = _from_zero("y", found)
    base = alt.Chart().encode(x=x, y=_numbers("y", axes["y"], y), color=_colour(found))
    base = base.encode(detail=["line:N", "colour:N"])
    base = base.transform_filter("isValid(datum.x)") if found.marks else base
    several = len({row["line"] for row in found.rows}) > 1
    band = base.transform_filter("isValid(datum.y_low)").mark_area(opacity=0.05 if several else 0.15, aria=False)
    line = base.mark_line(aria=False, strokeWidth=1 if several else 1.8).encode(strokeDash=_dash(found))
    marks = _vertical(title(axes["x"]), scale) if found.marks else []
    return Panel([band.encode(**_interval("y", axes["y"], y)), *marks, line, _points(base, found)], *look.PANEL)


def _vertical(name: str, scale: alt.Scale) -> list[alt.Chart]:
    """Lines at the rows that are marks, with their names at the top."""
    base = alt.Chart().transform_filter("isValid(datum.mark)").encode(x=alt.X("mark:Q", title=name, scale=scale))
    rule = base.mark_rule(color=look.INK, opacity=0.6, strokeDash=[4, 3])
    text = base.mark_text(aria=False, align="left", dx=3, dy=6, fontSize=10, color=look.INK)
    return [rule.encode(description="mark_name:N"), text.encode(y=alt.value(0), text="mark_name:N")]


def dots(found: Values, axes: Axes) -> Panel:
    """Dots beside names, with intervals: the name is y, the number x."""
    names = list(dict.fromkeys(row["y"] for row in found.rows))
    several = len(found.colours) > 1
    between = alt.Axis(ticks=False, domain=False, grid=True, tickBand="extent" if several else "center")
    row = alt.Y("y:N", title=None, sort=names, axis=between)
    x = _from_zero("x", found)
    base = alt.Chart().encode(x=_numbers("x", axes["x"], x), y=row, color=_colour(found))
    if several:
        base = base.encode(yOffset=alt.YOffset("colour:N", sort=found.colours))
    rule = base.transform_filter("isValid(datum.x_low)").mark_rule(aria=False, strokeWidth=1.5)
    rule = rule.encode(**_interval("x", axes["x"], x))
    height = len(names) * max(LINE_HEIGHT, DOT_GAP * len(found.colours) + ROW_GAP)
    return Panel([rule, _points(base, found)], look.PANEL[0], height, names)


def scatter(found: Values, axes: Axes) -> Panel:
    """Points, a line through the front (those that no other dominates), and names where colours do not tell them."""
    named = {row["name"] for row in found.rows} - set(found.colours)
    x = alt.Scale(zero=False, nice=False, padding=NAME_SPACE if named else EDGE)
    y = alt.Scale(zero=False, padding=EDGE)
    base = alt.Chart().encode(x=_numbers("x", axes["x"], x), y=_numbers("y", axes["y"], y))
    rule = base.transform_filter("isValid(datum.y_low)").mark_rule(aria=False, opacity=0.5)
    rule = rule.encode(color=_colour(found), **_interval("y", axes["y"], y))
    front = base.transform_filter("datum.front")
    line = front.mark_line(aria=False, color=look.INK, opacity=0.5, strokeDash=[3, 3], interpolate="step-after")
    layers = [line.encode(order="x:Q", detail="line:N"), rule, _points(base.encode(color=_colour(found)), found)]
    if named:
        # Below the front there is nothing but the ends of the intervals.
        below = front.transform_filter("datum.labelled").mark_text(
            aria=False, align="right", dx=-4, dy=12, fontSize=10, color=look.INK
        )
        layers.append(below.encode(text="name:N"))
    return Panel(layers, *look.PANEL, own_scale=True)


def matrix(found: Values, axes: Axes) -> Panel:
    """A heat map with numbers; its rows and columns are names."""
    rows = list(dict.fromkeys(row["y"] for row in found.rows))
    columns = list(dict.fromkeys(row["x"] for row in found.rows))
    names = [*(name for name in rows if name in columns), *(name for name in columns if name not in rows)]
    across = alt.Axis(orient="top", labelAngle=-40, domain=False, ticks=False, titlePadding=4)
    x = alt.X("x:N", title=title(axes["x"]), sort=names, scale=alt.Scale(domain=names), axis=across)
    down = alt.Axis(domain=False, ticks=False, titlePadding=8 + look.space_for(rows))
    y = alt.Y("y:N", title=title(axes["y"]), sort=rows, scale=alt.Scale(domain=rows), axis=down)
    base = alt.Chart().encode(x=x, y=y)
    heat = alt.Scale(domain=[0, 1], range=list(look.HEAT), interpolate="rgb", clamp=True)
    cells = base.mark_rect(stroke=look.INK, strokeOpacity=0.3).encode(
        color=alt.Color("value:Q", scale=heat, legend=None), description="description:N"
    )
    ink = alt.when(f"datum.value > {look.DARK_ENOUGH}").then(alt.value(look.LIGHT)).otherwise(alt.value(look.DARK))
    texts = base.mark_text(fontSize=12, aria=False).encode(text="value_text:N", color=ink)
    return Panel([cells, texts], look.CELL * len(names), look.CELL * len(rows), rows)


PANELS: dict[str, Callable[[Values, Axes], Panel]] = {"line": lines, "dot": dots, "scatter": scatter, "matrix": matrix}


def _numbers(channel: str, axis: Axis, scale: alt.Scale) -> Any:
    made = {"x": alt.X, "y": alt.Y}[channel]
    return made(f"{channel}:Q", title=title(axis), scale=scale, axis=alt.Axis(tickCount=5))


def _interval(channel: str, axis: Axis, scale: alt.Scale) -> dict[str, Any]:
    """Both ends of an interval, on the axis of its value."""
    made = {"x": alt.X, "y": alt.Y}[channel]
    return {channel: made(f"{channel}_low:Q", title=title(axis), scale=scale), f"{channel}2": f"{channel}_high:Q"}


def _from_zero(channel: str, found: Values) -> alt.Scale:
    """A scale that begins at 0 if the smallest value is below half of the largest."""
    every = [row[name] for row in found.rows for name in (channel, f"{channel}_low", f"{channel}_high") if name in row]
    zero = 0 <= min(every) < max(every) / 2
    return alt.Scale(zero=zero, padding=0 if zero else EDGE)


def _ticks(numbers: Sequence[float], log: bool) -> alt.Axis:
    """The numbers themselves if they are few, else round ones."""
    few = sorted(set(numbers))
    if log:
        tens = range(floor(log10(few[0])), ceil(log10(few[-1])) + 1)
        few = [n * 10.0**ten for ten in tens for n in (1, 2, 5) if few[0] <= n * 10.0**ten <= few[-1]]
    return alt.Axis(values=few, format=".4~g") if len(few) <= FEW_TICKS else alt.Axis(tickCount=5)


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
    legend = alt.Legend(title=None) if len(names) > 1 else None
    return channel("colour:N", scale=alt.Scale(domain=names, range=list(looks[: len(names)])), legend=legend)
