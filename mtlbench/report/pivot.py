"""What is in a printed table: rows, columns, values with intervals, which are best. Renderers make it text."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Literal

import pandas as pd

from mtlbench.scores.wide import OK

Interval = Literal["half", "bounds"]
INTERVALS: tuple[Interval, ...] = ("half", "bounds")
UNDEFINED = "undefined"
BEST, SECOND = 1, 2
Labels = tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One number of a table.

    Attributes:
        value: NaN if it is undefined.
        low: of its 95 % interval; NaN without one.
        high: of the same.
        status: ``ok``, or why the value is undefined or doubtful.
        text: the value rounded, or "undefined".
        interval: rounded, ``3.2`` (half of it) or ``48.1, 54.5``; empty without one.
        place: `BEST` or `SECOND` among the results that it is comparable with, else 0; equal texts have equal places.
        note: what else is said of this number, such as the weights of the best weighting.
    """

    value: float
    low: float
    high: float
    status: str
    text: str
    interval: str
    place: int = 0
    note: str = ""

    @property
    def doubtful(self) -> bool:
        """Whether the value is defined, but its status is not ok."""
        return self.status != OK and not isnan(self.value)

    @property
    def plain(self) -> str:
        """Value, interval, mark of a doubtful value, and note."""
        interval = f" [{self.interval}]" if "," in self.interval else f" ±{self.interval}" if self.interval else ""
        return f"{self.text}{interval}{' !' if self.doubtful else ''}{f' {self.note}' if self.note else ''}"


@dataclass(frozen=True)
class Pivot:
    """A table as papers print it.

    Attributes:
        name: of its files.
        title: what it shows.
        constants: name and value of each identifying column that all results share.
        row_names: headers of the columns that name a row.
        rows: the labels of each row, one for each of `row_names`.
        column_names: what the columns are of, such as ``("task", "eps")``.
        columns: the labels of each column, one for each of `column_names`.
        entries: [row][column]; None where there is no result.
        remarks: reasons for undefined or doubtful values, without duplicates.
    """

    name: str
    title: str
    constants: tuple[tuple[str, str], ...]
    row_names: Labels
    rows: tuple[Labels, ...]
    column_names: Labels
    columns: tuple[Labels, ...]
    entries: tuple[tuple[Entry | None, ...], ...]
    remarks: tuple[str, ...]

    @property
    def shared(self) -> str:
        """The constants as text: ``dataset rooms, model tiny, eps 8``."""
        return ", ".join(f"{name} {value}" for name, value in self.constants)

    @property
    def caption(self) -> str:
        """The title, and what all results share."""
        return self.title + (f" ({self.shared})" if self.constants else "")


@dataclass(frozen=True)
class Value:
    """Which columns of a tidy frame hold the value and what belongs to it.

    Attributes:
        name: of the value.
        low: of its interval's lower bound.
        high: of its upper bound.
        status: of the column that says why the value is undefined or doubtful.
        digits: behind the point.
        note: of the column with notes; None without.
    """

    name: str
    low: str = "ci_low"
    high: str = "ci_high"
    status: str = "status"
    digits: int = 1
    note: str | None = None


def pivot(
    frame: pd.DataFrame,
    value: Value,
    rows: Sequence[str] = (),
    columns: Sequence[str] = ("eps",),
    further: Sequence[str] = (),
    *,
    compared: Collection[str] = (),
    order: Mapping[str, Mapping[object, float]] | None = None,
    interval: Interval = "half",
    name: str = "",
    title: str = "",
) -> Pivot:
    """The pivot of a tidy frame. Nothing is averaged: what tells results apart is a row or a column.

    Args:
        frame: one result a row.
        value: its columns of numbers.
        rows: columns that name a row, in this order.
        columns: columns that name a column of the table.
        further: columns that name a row, too, where they vary, and are in the caption otherwise. The first one stands
            for the rows if there would be none.
        compared: those of the columns in which results differ among which best and second are marked; results that
            differ in another one are not comparable. Nothing is marked if it is empty.
        order: column -> value -> its place; values without one are in the order of the frame.
        interval: ``half`` for ± half of the interval, ``bounds`` for both of its bounds.
        name: of its files.
        title: what it shows.
    """
    rest = [column for column in dict.fromkeys(further) if column not in (*rows, *columns)]
    varying = [column for column in rest if frame[column].nunique(dropna=False) > 1]
    shown = (*rows, *varying) or tuple(rest[:1])
    constant = [column for column in rest if column not in shown and len(frame)]
    if frame.duplicated([*shown, *columns]).any():  # results that differ in nothing that is told
        shown = (*shown, "cell")
    entries = _entries(frame, value, interval)
    if compared:
        identity = [column for column in (*shown, *columns) if column not in (*compared, "cell")]
        entries = _placed(frame, entries, identity)
    down, across = (_labels(frame, names, order or {}) for names in (shown, columns))
    cells = dict(zip(zip(down.keys, across.keys, strict=True), entries, strict=True))
    return Pivot(
        name,
        title,
        tuple((column, told) for column in constant if (told := label(frame[column].iloc[0]))),
        shown,
        tuple(down.texts.values()),
        tuple(columns),
        tuple(_named(columns, texts) for texts in across.texts.values()),
        tuple(tuple(cells.get((row, column)) for column in across.texts) for row in down.texts),
        tuple(sorted({entry.status for entry in entries} - {OK})),
    )


@dataclass(frozen=True)
class _Axis:
    """Rows or columns: the key of every result's, and the labels of each key, in order."""

    keys: list[tuple[int, ...]]
    texts: dict[tuple[int, ...], Labels]


def _labels(frame: pd.DataFrame, names: Sequence[str], order: Mapping[str, Mapping[object, float]]) -> _Axis:
    """Keys sort as the values do: numbers by size, others by `order`, else as they come."""
    ranks = [_ranks(frame[name], order.get(name)) for name in names]
    keys: list[tuple[int, ...]] = list(zip(*ranks, strict=True)) if names else [()] * len(frame)
    texts = zip(*(map(label, frame[name]) for name in names), strict=True) if names else [()] * len(frame)
    found = dict(zip(keys, texts, strict=True))
    return _Axis(keys, {key: found[key] for key in sorted(found)})


def _ranks(column: pd.Series, order: Mapping[object, float] | None) -> list[int]:
    values = list(column.drop_duplicates())
    if order is not None:
        values.sort(key=lambda value: order.get(value, float("inf")))
    elif pd.api.types.is_numeric_dtype(column):
        values.sort(key=lambda value: (pd.isna(value), value))
    places = {value: place for place, value in enumerate(values) if not pd.isna(value)}
    return [places.get(value, len(values)) for value in column]


def label(value: object) -> str:
    """A value of an identifying column, for people; empty if there is none."""
    if isinstance(value, float):
        return "" if isnan(value) else f"{value:g}"
    return "" if value is None else str(value)


def _named(names: Sequence[str], texts: Labels) -> Labels:
    """Labels of a column; a number is preceded by what it is of, as in ``eps 8``."""
    return tuple(f"{n} {t}" if t[:1].isdigit() else t for n, t in zip(names, texts, strict=True))


def _entries(frame: pd.DataFrame, value: Value, interval: Interval) -> list[Entry]:
    empty = [nan] * len(frame)
    lows, highs = (list(frame[name]) if name in frame else empty for name in (value.low, value.high))
    notes = [""] * len(frame) if value.note is None else list(frame[value.note])
    return [
        _entry(float(number), float(low), float(high), str(status), note, value.digits, interval)
        for number, low, high, status, note in zip(
            frame[value.name], lows, highs, frame[value.status], notes, strict=True
        )
    ]


def _entry(value: float, low: float, high: float, status: str, note: str, digits: int, interval: Interval) -> Entry:
    if isnan(value):
        return Entry(value, low, high, status, UNDEFINED, "", note=note)
    bounds = f"{(high - low) / 2:.{digits}f}" if interval == "half" else f"{low:.{digits}f}, {high:.{digits}f}"
    return Entry(value, low, high, status, f"{value:.{digits}f}", "" if isnan(high - low) else bounds, note=note)


def _placed(frame: pd.DataFrame, entries: Sequence[Entry], identity: Sequence[str]) -> list[Entry]:
    """The entries with the places of the largest among those that agree in the columns `identity`."""
    groups: dict[object, list[int]] = {}
    keys = zip(*(map(label, frame[name]) for name in identity), strict=True) if identity else [()] * len(frame)
    for number, key in enumerate(keys):
        if not isnan(entries[number].value):
            groups.setdefault(key, []).append(number)
    placed = list(entries)
    for members in groups.values():
        ranked = sorted({float(entries[number].text) for number in members}, reverse=True)
        # Of one there is no best one, and the second of two is the last one.
        for number in members if len(members) > 1 else ():
            place = ranked.index(float(entries[number].text)) + 1
            if place == BEST or (place == SECOND and len(members) > 2):
                placed[number] = _at(placed[number], place)
    return placed


def _at(entry: Entry, place: int) -> Entry:
    return Entry(**(vars(entry) | {"place": place}))
