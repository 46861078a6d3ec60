"""From a tidy frame to a pivot. Nothing is averaged: what tells results apart is a row or a column."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan, nan
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlbench.report.pivot import (
    BEST,
    MOST_ROWS,
    SECOND,
    UNDEFINED,
    Entry,
    Interval,
    Labels,
    Pivot,
    label,
    printable,
)
from mtlbench.scores.wide import OK

Codes = NDArray[np.int64]
Order = Mapping[str, Mapping[Any, float]]
UNKNOWN = 1e9
"""The place of a value without one."""


@dataclass(frozen=True)
class Value:
    """Which columns of a tidy frame hold the value and what belongs to it.

    Attributes:
        name: of the value.
        low: of its interval's lower bound; there need not be one.
        high: of its upper bound.
        status: of the column that says why the value is undefined or doubtful; there need not be one.
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
    at_least: str = "attack",
    *,
    compared: Collection[str] = (),
    order: Order | None = None,
    interval: Interval = "half",
    name: str = "",
    title: str = "",
    source: str = "",
) -> Pivot:
    """The pivot of a tidy frame; of more than `MOST_ROWS` rows the first ones, with a remark.

    Args:
        frame: one result a row.
        value: its columns of numbers.
        rows: columns that name a row, in this order.
        columns: columns that name a column of the table.
        further: columns that name a row, too, where they vary, and are in the caption otherwise.
        at_least: names the rows if nothing else does.
        compared: those of the columns in which results differ among which best and second are marked; results that
            differ in another one are not comparable. Nothing is marked if it is empty.
        order: column -> value -> its place; values without one come at `UNKNOWN`, as the frame has them.
        interval: ``half`` for ± half of the interval, ``bounds`` for both of its bounds.
        name: of its files.
        title: what it shows.
        source: of the numbers, such as ``arp.csv``.
    """
    shown, constant = _split(frame, rows, columns, further, at_least)
    down, across = (_codes(frame, names, order or {}) for names in (shown, columns))
    total = int(down.max(initial=-1)) + 1
    kept = down < MOST_ROWS
    alike = [column for column in (*shown, *columns) if column not in (*compared, "cell")]
    groups = _codes(frame, alike, {}) if compared else None
    needed = kept if groups is None else np.isin(groups, groups[kept])
    frame, down, across = frame[needed], down[needed], across[needed]
    entries = _entries(frame, value, interval)
    if groups is not None:
        entries = _placed(entries, groups[needed])
    row_labels = {code: labels for code, labels in _labels(frame[shown], down).items() if code < MOST_ROWS}
    column_labels = _labels(frame[list(columns)], across)
    cells = dict(zip(zip(down.tolist(), across.tolist(), strict=True), entries, strict=True))
    remarks = sorted({entry.status for entry in entries} - {OK})
    if total > MOST_ROWS:
        remarks.insert(0, f"the first {MOST_ROWS} of {total} rows; {source} has all of them")
    return Pivot(
        name,
        title,
        constant,
        tuple(shown),
        tuple(row_labels.values()),
        tuple(columns),
        tuple(_named(columns, labels) for labels in column_labels.values()),
        tuple(tuple(cells.get((row, column)) for column in column_labels) for row in row_labels),
        tuple(remarks),
    )


def _split(
    frame: pd.DataFrame, rows: Sequence[str], columns: Sequence[str], further: Sequence[str], at_least: str
) -> tuple[list[str], tuple[tuple[str, str], ...]]:
    """The columns that name a row, and name and value of those that do not vary."""
    rest = [column for column in dict.fromkeys(further) if column not in (*rows, *columns)]
    varying = [column for column in rest if frame[column].nunique(dropna=False) > 1]
    shown = [*rows, *varying] or [at_least]
    if frame.duplicated([*shown, *columns]).any():  # results that differ in nothing that is told
        shown.append("cell")
    constant = [(column, label(frame[column].iloc[0])) for column in rest if len(frame) and column not in shown]
    return shown, tuple((column, text) for column, text in constant if text)


def _codes(frame: pd.DataFrame, names: Sequence[str], order: Order) -> Codes:
    """A number for each row, equal for equal values of the columns `names`, and sorted as these are, from 0."""
    codes, size = np.zeros(len(frame), np.int64), 1
    for name in names:
        ranks, count = _ranks(frame[name], order.get(name))
        if size * count > 2**62:
            codes = np.unique(codes, return_inverse=True)[1]
            size = len(codes)
        codes, size = codes * count + ranks, size * count
    return np.unique(codes, return_inverse=True)[1] if len(codes) else codes


def _ranks(column: pd.Series, order: Mapping[Any, float] | None) -> tuple[Codes, int]:
    """Places of the values, and their number: by `order`, numbers by size, others as they come, missing ones last."""
    found, values = pd.factorize(column)
    if order is not None:
        at = np.argsort([order.get(value, UNKNOWN) for value in values], kind="stable")
    elif pd.api.types.is_numeric_dtype(column):
        at = np.argsort(values, kind="stable")
    else:
        at = np.arange(len(values))
    places = np.empty(len(values) + 1, np.int64)
    places[at], places[-1] = np.arange(len(values)), len(values)
    return places[found], len(values) + 1


def _labels(frame: pd.DataFrame, codes: Codes) -> dict[int, Labels]:
    """The labels of each code, sorted by code."""
    numbers, first = np.unique(codes, return_index=True)
    rows = frame.iloc[first].itertuples(index=False, name=None) if frame.shape[1] else [()] * len(first)
    return {int(code): tuple(map(label, row)) for code, row in zip(numbers, rows, strict=True)}


def _named(names: Sequence[str], texts: Labels) -> Labels:
    """Labels of a column; a number is preceded by what it is of, as in ``eps 8``."""
    return tuple(f"{n} {t or '-'}" if t[:1].isdigit() or not t else t for n, t in zip(names, texts, strict=True))


def _entries(frame: pd.DataFrame, value: Value, interval: Interval) -> list[Entry]:
    columns = (value.name, value.low, value.high, value.status, value.note or "")
    missing = (nan, nan, nan, OK, "")
    found = [
        frame[name] if name in frame else [other] * len(frame) for name, other in zip(columns, missing, strict=True)
    ]
    return [
        _entry(float(number), float(low), float(high), printable(str(status)), printable(note), value.digits, interval)
        for number, low, high, status, note in zip(*found, strict=True)
    ]


def _entry(value: float, low: float, high: float, status: str, note: str, digits: int, interval: Interval) -> Entry:
    if isnan(value):
        return Entry(value, low, high, status, UNDEFINED, "", note=note)
    bounds = f"{(high - low) / 2:.{digits}f}" if interval == "half" else f"{low:.{digits}f}, {high:.{digits}f}"
    return Entry(value, low, high, status, f"{value:.{digits}f}", "" if isnan(high - low) else bounds, note=note)


def _placed(entries: Sequence[Entry], groups: Codes) -> list[Entry]:
    """The entries with the places of the largest in each group; equal texts have equal places."""
    members: dict[int, list[int]] = {}
    for number, group in enumerate(groups.tolist()):
        if not isnan(entries[number].value):
            members.setdefault(group, []).append(number)
    placed = list(entries)
    for numbers in members.values():
        if len(numbers) == 1:  # of one there is no best one
            continue
        ranked = sorted({float(entries[number].text) for number in numbers}, reverse=True)
        for number in numbers:
            place = ranked.index(float(entries[number].text)) + 1
            if place == BEST or (place == SECOND and len(numbers) > 2):  # the second of two is the last one
                placed[number] = replace(placed[number], place=place)
    return placed
