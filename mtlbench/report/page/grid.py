"""A tidy frame as the page shows it: few columns, values with their intervals, a bounded number of rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

import pandas as pd

from mtlbench.report.bounds import bounds
from mtlbench.scores.frame import HASH_DIGITS

MOST_ROWS = 1000
"""A page of more opens slowly: 5,000 rows took 2.2 s, 1,000 0.7 s."""

UNSHOWN = ("scores", "shared_blocks")
"""Columns that the page does without: it shows one score set, and the sharing by name."""


@dataclass(frozen=True)
class Value:
    """One field of a table.

    Attributes:
        text: what is shown.
        key: what it is sorted by, where that is a number; empty otherwise.
    """

    text: str
    key: str = ""


@dataclass(frozen=True)
class Grid:
    """A table of the page.

    Attributes:
        id: of the element, unique in the page.
        caption: what it shows.
        constants: column -> its value, of columns that are the same in all rows.
        columns: headers; true where the column holds numbers.
        rows: of fields.
        all_rows: how many the frame has.
        file: the CSV file with all rows and columns, relative to the page; empty without.
        command: what prints the same numbers.
    """

    id: str
    caption: str
    constants: dict[str, str]
    columns: list[tuple[str, bool]]
    rows: list[list[Value]]
    all_rows: int
    file: str = ""
    command: str = ""


def grid(
    frame: pd.DataFrame, id_: str, caption: str, file: str = "", command: str = "", keep: Sequence[str] = ()
) -> Grid:
    """The table of a frame.

    Args:
        frame: tidy, with intervals as `bounds` finds them.
        id_: of the element.
        caption: what it shows.
        file: see `Grid`.
        command: see `Grid`.
        keep: columns that stay columns even if they are constant.
    """
    part = frame.head(MOST_ROWS)
    names = [str(name) for name in frame if name not in UNSHOWN]
    intervals = bounds(names)
    inside = {name for pair in intervals.values() for name in pair}
    values = [name for name in names if name not in inside]
    constant = [
        name
        for name in values
        if name not in keep and name not in intervals and len(frame) > 1 and frame[name].nunique(dropna=False) == 1
    ]
    shown = [name for name in values if name not in constant]
    columns = [_fields(part, name, intervals.get(name)) for name in shown]
    return Grid(
        id_,
        caption,
        {header(name): told for name in constant if (told := text(frame[name].iloc[0]))},
        [(header(name), pd.api.types.is_numeric_dtype(frame[name])) for name in shown],
        [list(row) for row in zip(*columns, strict=True)],
        len(frame),
        file,
        command,
    )


def _fields(frame: pd.DataFrame, name: str, interval: tuple[str, str] | None) -> list[Value]:
    if interval is None:
        short = "cell" in name.split("_")
        return [Value(text(v)[:HASH_DIGITS] if short else text(v), _key(v)) for v in frame[name]]
    low, high = interval
    return [
        Value(text(v) + ("" if pd.isna(a) or pd.isna(b) else f" [{text(a)}, {text(b)}]"), _key(v))
        for v, a, b in zip(frame[name], frame[low], frame[high], strict=True)
    ]


def _key(value: object) -> str:
    """What a number is sorted by; an undefined one comes last."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return ""
    return "" if isinstance(value, float) and isnan(value) else repr(float(value))


def text(value: object) -> str:
    """A value for people: three or four digits that count."""
    if isinstance(value, float):
        if isnan(value):
            return "undefined"
        if value == round(value) and abs(value) < 1e6:
            return f"{value:.0f}"
        return f"{value:.1f}" if 10 <= abs(value) < 1e6 else f"{value:.3g}"
    return "" if value is None else str(value)


def header(name: str) -> str:
    """The name of a column, with spaces so that it may be broken."""
    return name.replace("_", " ").replace(" percent", ", %")
