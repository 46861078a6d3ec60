"""From a plot's description to an Altair chart."""

from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import altair as alt

from mtlbench.report.figures import look
from mtlbench.report.figures.contents import Contents, contents
from mtlbench.report.figures.layout import side_by_side
from mtlbench.report.figures.panels import PANELS, Panel
from mtlbench.report.figures.values import Values, values
from mtlbench.report.figures.words import number, plain, title
from mtlbench.studies import Matrix, Plot

LETTER, LEGEND_LETTER, LEGEND_SYMBOL = 7.5, 6.5, 45
"""Pixels: mean width of a letter of the title; of the legend; of a symbol with the space around it."""

SHORTEST = 40
"""Letters of a line of the title."""

FEW = 8
"""So many series or panels are named in the description."""


@dataclass(frozen=True)
class Chart:
    """An Altair chart, and what it shows in words."""

    chart: Any
    description: str


def chart(plot: Plot | Matrix, scores: str) -> Chart | None:
    """Draw one score set of a plot; None if there is nothing to draw."""
    found = contents(plot, scores)
    if found.frame.empty:
        return None
    shown = values(found)
    panel = PANELS[found.kind](shown, found.axes)
    most = max(1, look.WIDTH // (panel.width + look.BETWEEN))
    columns = side_by_side(found.frame, found.layout.panels, len(shown.panels), most)
    return Chart(_together(plot.title, panel, shown, columns), _description(found, shown))


def _together(name: str, panel: Panel, found: Values, columns: int) -> Any:
    """All panels of a chart under its title."""
    short = max(SHORTEST // 2, int((panel.width + look.BETWEEN) / LETTER))
    headers = {panel: "\n".join(wrap(panel, short)) for panel in found.panels}
    data = alt.Data(values=[row | {"panel": headers[row["panel"]]} for row in (*found.rows, *found.marks)])
    one = {"width": panel.width, "height": panel.height}
    made: Any = alt.layer(*panel.layers, data=data).properties(**one)
    if len(found.panels) > 1:
        header = alt.Header(labelExpr="split(datum.label, '\\n')", labelLimit=panel.width + look.BETWEEN)
        facet = alt.Facet("panel:N", title=None, sort=list(headers.values()), header=header)
        made = alt.layer(*panel.layers).properties(**one).facet(facet, columns=columns, data=data)
        made = made.resolve_axis(x="independent")
        made = made.resolve_scale(y="independent") if panel.own_scale else made
    width = columns * (panel.width + look.BETWEEN)
    lines = wrap(plain(name), max(SHORTEST, int(width / LETTER)))
    space = 5 + look.space_for(panel.names)
    heading = alt.TitleParams(lines, dx=5 - space)
    edges = {"left": space, "right": 5, "top": 5, "bottom": 5}
    fitting = max(1, int(width / (LEGEND_LETTER * max(map(len, found.colours)) + LEGEND_SYMBOL)))
    return made.properties(title=heading, padding=edges).configure(**look.config(fitting))


def _description(found: Contents, shown: Values) -> str:
    """What a chart shows, for those who do not see it."""
    channel = {"matrix": "value", "dot": "x"}.get(found.kind, "y")
    axis = found.axes[channel]
    others = " and ".join(title(other) for key, other in found.axes.items() if key != channel)
    numbers = [row[channel] for row in shown.rows]
    unit = f" {axis.unit}" if axis.unit else ""
    ends = f"{number(min(numbers))} to {number(max(numbers))}{unit}"
    parts = [f"{axis.name[0].upper()}{axis.name[1:]} by {others}: {ends}"]
    for word, names in (("series", shown.colours), ("panels", shown.panels)):
        if len(names) > 1:
            parts.append(f"{word.capitalize()}: {'; '.join(names)}" if len(names) <= FEW else f"{len(names)} {word}")
    if any(f"{channel}_low" in row for row in shown.rows) and found.kind != "matrix":
        parts.append("Bands and bars are 95 % intervals")
    if found.front:
        parts.append("The dotted line joins those that no other one beats in both")
    if shown.left_out:
        parts.append(f"{shown.left_out} more values are not drawn; the table has them")
    return ". ".join(parts) + "."
