"""The rows of a frame as plain values for a chart: where a mark is, what it looks like, what it says."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from mtlbench.report.figures.contents import Contents
from mtlbench.report.figures.layout import REPEATED, varying
from mtlbench.report.figures.look import MOST_MARKS, MOST_PANELS
from mtlbench.report.figures.words import named, quantity, two_decimals
from mtlbench.studies import Axis


@dataclass(frozen=True)
class Values:
    """What a chart is made of.

    Attributes:
        rows: of plain values: x, y, with their intervals, and colour, panel, line, description.
        colours: the names of the series, in order.
        panels: the names of the panels, in order.
        left_out: how many values are too many to be drawn.
        marks: of vertical lines: plain values x, panel, name.
    """

    rows: list[dict[str, Any]]
    colours: list[str]
    panels: list[str]
    left_out: int
    marks: list[dict[str, Any]] = field(default_factory=list)


def values(found: Contents) -> Values:
    """The values of a chart."""
    kept = _few(found.frame, found.layout.panels)
    apart = varying(kept, REPEATED)
    rows = [_row({str(name): value for name, value in row.items()}, found, apart) for row in kept.to_dict("records")]
    _label(rows)
    colours, panels = (list(dict.fromkeys(row[name] for row in rows)) for name in ("colour", "panel"))
    return Values(rows, colours, panels, len(found.frame) - len(kept), _marks(found, kept, rows))


def _marks(found: Contents, kept: pd.DataFrame, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A vertical line for each value that a column of `found.marked` has in a panel."""
    marks = [
        {"mark": float(value), "panel": row["panel"], "mark_name": axis.name}
        for axis in found.marked
        for value, row in zip(kept[axis.column], rows, strict=True)
        if pd.notna(value)
    ]
    return [dict(items) for items in dict.fromkeys(tuple(mark.items()) for mark in marks)]


def _row(row: dict[str, Any], found: Contents, apart: Sequence[str]) -> dict[str, Any]:
    """The values of one mark; `apart` are columns in which marks of one colour differ."""
    columns = [found.axes[channel].column for channel in found.names]
    row = row | {column: named(column, row[column]) for column in columns}
    layout = found.layout
    told = dict.fromkeys((*layout.told, *layout.colour, *layout.panels, *apart))
    shown = [quantity(axis, row) for axis in found.axes.values()]
    made: dict[str, Any] = {
        "colour": _names(row, layout.colour),
        "panel": _names(row, layout.panels),
        "line": _names(row, apart),
        "name": _names(row, layout.told),
        "front": bool(found.front) and bool(row[found.front]),
        "description": ": ".join(filter(None, [_names(row, tuple(told)), ", ".join(shown)])),
    }
    for channel, axis in found.axes.items():
        made |= _place(channel, axis, row)
    return made


def _label(rows: list[dict[str, Any]]) -> None:
    """Which names of a front are written: those whose neighbour on the left is not too near; all are told by marks."""
    shown: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        shown.setdefault(row["panel"], []).append(row)
    for panel in shown.values():
        last = None
        for row in sorted((row for row in panel if row["front"]), key=lambda row: row["x"]):
            row["labelled"] = (
                last is None or _distance(row, last, panel, "y") > 0.08 or _distance(row, last, panel, "x") > 0.25
            )
            last = row if row["labelled"] else last


def _distance(row: dict[str, Any], other: dict[str, Any], panel: list[dict[str, Any]], channel: str) -> float:
    """As a share of the panel."""
    every = [row[channel] for row in panel]
    return abs(row[channel] - other[channel]) / ((max(every) - min(every)) or 1)


def _few(frame: pd.DataFrame, panels: Sequence[str]) -> pd.DataFrame:
    """The rows of the first panels, no more than a picture can show; the last column of the panels is the fastest."""
    if panels:
        codes = pd.DataFrame({name: pd.factorize(frame[name])[0] for name in panels}, frame.index)
        order = codes.sort_values(list(panels), kind="stable").index
        frame = frame.loc[order]
        frame = frame[frame.groupby(list(panels), sort=False, dropna=False).ngroup() < MOST_PANELS]
    return frame.head(MOST_MARKS)


def _names(row: dict[str, Any], columns: Sequence[str]) -> str:
    return ", ".join(filter(None, (named(name, row[name]) for name in columns)))


def _place(channel: str, axis: Axis, row: dict[str, Any]) -> dict[str, Any]:
    """Value and interval of an axis; a half interval is none."""
    value = row[axis.column]
    if isinstance(value, str):
        return {channel: value}
    found = {channel: float(value), f"{channel}_text": two_decimals(float(value))}
    ends = [float(row[name]) if name and pd.notna(row.get(name)) else np.nan for name in (axis.low, axis.high)]
    return found | ({f"{channel}_low": ends[0], f"{channel}_high": ends[1]} if np.isfinite(ends).all() else {})
