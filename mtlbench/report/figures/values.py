"""The rows of a frame as plain values for a chart: where a mark is, what it looks like, what it says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mtlbench.report.figures.layout import REPEATED, Layout, panel_columns, varying
from mtlbench.report.figures.look import MOST_PANELS
from mtlbench.report.figures.words import named, number, plain, quantity
from mtlbench.studies import Axis


@dataclass(frozen=True)
class Values:
    """What a chart is made of.

    Attributes:
        rows: of plain values: x, y, with their intervals, and colour, panel, line, description.
        colours: the names of the series, in order.
        panels: the names of the panels, in order.
        left_out: how many panels are too many to be drawn.
        columns: how many panels stand side by side.
    """

    rows: list[dict[str, Any]]
    colours: list[str]
    panels: list[str]
    left_out: int
    columns: int


def drawable(frame: pd.DataFrame, scores: str, numbers: Sequence[Axis]) -> pd.DataFrame:
    """The rows of one score set whose numbers are finite."""
    frame = frame[frame["scores"] == scores] if "scores" in frame else frame
    known = [np.isfinite(pd.to_numeric(frame[axis.column], errors="coerce")) for axis in numbers]
    return frame[np.logical_and.reduce(known)] if len(frame) else frame


def values(frame: pd.DataFrame, layout: Layout, axes: dict[str, Axis], front: str = "") -> Values:
    """The values of a chart.

    Args:
        frame: drawable rows.
        layout: of colours and panels.
        axes: channel -> what it shows, in the order in which a mark tells it.
        front: column that says what no other row dominates; empty for none.
    """
    apart = varying(frame, REPEATED)
    rows: list[dict[str, Any]] = []
    for found in frame.to_dict("records"):
        row = {str(name): value for name, value in found.items()}
        names = [named(name, row[name]) for name in (*layout.colour, *layout.panels, *apart)]
        shown = [quantity(axis, row) for axis in axes.values()]
        rows.append(
            {
                "colour": ", ".join(named(name, row[name]) for name in layout.colour),
                "panel": ", ".join(named(name, row[name]) for name in layout.panels),
                "line": ", ".join(named(name, row[name]) for name in apart),
                "description": ", ".join(names) + (": " if names else "") + ", ".join(shown),
                **({"front": bool(row[front])} if front else {}),
                **{key: value for channel, axis in axes.items() for key, value in _place(channel, axis, row).items()},
            }
        )
    panels = list(dict.fromkeys(row["panel"] for row in rows))
    kept = panels[:MOST_PANELS]
    rows = [row for row in rows if row["panel"] in set(kept)]
    columns = panel_columns(frame, layout.panels, len(kept))
    return Values(rows, list(dict.fromkeys(row["colour"] for row in rows)), kept, len(panels) - len(kept), columns)


def _place(channel: str, axis: Axis, row: dict[str, Any]) -> dict[str, Any]:
    """Value and interval of an axis; a half interval is none."""
    value = row[axis.column]
    if not isinstance(value, (int, float)):
        return {channel: plain(value)}
    if channel == "value":
        return {channel: float(value), "text": number(float(value))}
    found = {channel: float(value)}
    ends = [float(row[name]) if name and pd.notna(row.get(name)) else np.nan for name in (axis.low, axis.high)]
    return found | ({f"{channel}_low": ends[0], f"{channel}_high": ends[1]} if np.isfinite(ends).all() else {})
