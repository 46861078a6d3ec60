"""Colours, shapes, dashes and sizes: readable on white and on black, by the colour-blind, and without colour."""

from collections.abc import Iterable
from typing import Any

INK = "#000000"
"""Of text and lines; in an SVG it becomes the colour of the text around it, see `drawing`."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", INK, "#7f7f7f")
"""Of Okabe and Ito those with a contrast of at least 3:1 on white and on #141414, and grey."""

SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
DASHES = ((1, 0), (6, 3), (2, 2), (9, 3, 2, 3), (4, 1), (1, 4))
MOST_SERIES = len(COLOURS)
"""More series than that get panels of their own."""

MOST_PANELS = 24
MOST_MARKS = 2000
"""Further panels and marks are not drawn: nobody reads them, and a page must open."""

WIDTH, BETWEEN = 840, 50
"""Pixels: of all panels that stand side by side; of an axis between two of them."""

PANEL = (230, 170)
"""Width and height of a panel, pixels."""

CELL = 46
"""Side of a cell of a matrix, pixels."""

HEAT = ("#eff3fa", "#08306b")
"""From 0 to 1: light to dark, so that grey keeps the order."""

DARK_ENOUGH = 0.635
"""From this value on a cell is so dark that white can be read on it better than black."""

DARK, LIGHT = "#010101", "#ffffff"
"""Numbers on the cells of a matrix; `DARK` is not `INK`, since the cell stays as it is in dark mode."""

FONT = "Arial, Liberation Sans, Helvetica, sans-serif"
"""What text is measured with, or of the same widths. A browser may have none but one that is wider:"""

WIDER, LONG = 1.4, 40
"""Pixels for each letter, up to so many letters, for which names at the left edge leave space."""


def space_for(names: Iterable[str]) -> float:
    """Pixels that names may need more than they were measured."""
    return WIDER * min(LONG, max(map(len, names), default=0))


def config(legend_columns: int) -> dict[str, Any]:
    """Of Vega-Lite, for every chart."""
    text = {"labelColor": INK, "titleColor": INK, "labelFontSize": 11, "titleFontSize": 12}
    return {
        "font": FONT,
        "view": {"stroke": None},
        "axis": text
        | {"titleFontWeight": "normal", "gridColor": INK, "gridOpacity": 0.12}
        | {"domainColor": INK, "domainOpacity": 0.5, "tickColor": INK, "tickOpacity": 0.5}
        | {"labelLimit": 260, "labelFlush": False, "titlePadding": 8},
        "legend": text
        | {"orient": "bottom", "columns": legend_columns}
        | {"labelLimit": 400, "symbolOpacity": 1, "symbolStrokeWidth": 0, "symbolSize": 60}
        | {"columnPadding": 28, "offset": 12},
        "header": {"labelColor": INK, "labelFontSize": 12, "labelFontWeight": "bold"},
        "title": {"color": INK, "anchor": "start", "fontSize": 14, "offset": 14},
    }
