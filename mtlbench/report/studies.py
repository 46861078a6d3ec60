"""Tables of studies as pivots: constant columns go into the caption, intervals follow their values."""

from dataclasses import replace
from itertools import takewhile
from math import isnan, nan

import pandas as pd

from mtlbench.report.bounds import bounds
from mtlbench.report.pivot import MOST_ROWS, Entry, Labels, Pivot, label, printable
from mtlbench.scores.wide import OK
from mtlbench.studies import Table

KEYS = frozenset(
    (
        *(
            "dataset",
            "model",
            "training",
            "sharing",
            "shared_path",
            "tree",
            "attack",
            "step",
            "steps",
            "target",
            "eps",
        ),
        *("seed", "seeds", "n_images", "norm", "precision", "model_version"),
        *("sigma", "draws", "unit", "radius"),
        *("source", "destination", "objective", "task", "alpha", "method", "seeds_needed", "over"),
    )
)
"""Columns that are omitted if they are constant."""
ALWAYS_OUT = ("scores", "shared_blocks", "status")
WHERE_KNOWN = "shared_path"
"""Omitted if no row has it, as in results from before it was measured."""


def study_pivot(table: Table, scores: str) -> Pivot:
    """The rows of one score set; a column for every eps if rows have one value each, else a column for every value."""
    frame = table.frame if table.prints is None else table.prints
    frame = frame[frame["scores"] == scores] if "scores" in frame else frame
    if WHERE_KNOWN in frame and frame[WHERE_KNOWN].isna().all():
        frame = frame.drop(columns=WHERE_KNOWN)
    constant = [name for name in frame if name in KEYS and frame[name].nunique(dropna=False) == 1 and len(frame) > 1]
    remarks = sorted({printable(str(status)) for status in frame["status"]} - {OK}) if "status" in frame else []
    if len(frame) > MOST_ROWS:
        remarks.insert(0, f"the first {MOST_ROWS} of {len(frame)} results; {table.name}.csv has all of them")
        frame = frame.head(MOST_ROWS)
    told = [name for name in map(str, frame) if name not in (*constant, *ALWAYS_OUT)]
    names = list(takewhile(KEYS.__contains__, told))  # other keys stand behind the values
    values = _values(frame[told[len(names) :]])
    across = len(values) == 1 and "eps" in names
    rows, columns, entries = (
        _side_by_side(frame, names, *values.values()) if across else _as_they_are(frame, names, values)
    )
    return Pivot(
        table.name,
        table.title,
        tuple((name, text) for name in map(str, constant) if (text := _label(frame[name].iloc[0]))),
        tuple(name for name in names if not (across and name == "eps")),
        rows,
        ("eps",) if across else ("value",),
        columns,
        entries,
        tuple(remarks),
    )


_Body = tuple[tuple[Labels, ...], tuple[Labels, ...], tuple[tuple[Entry | None, ...], ...]]
"""Rows, columns and entries of a pivot."""


def _as_they_are(frame: pd.DataFrame, names: list[str], values: dict[str, list[Entry]]) -> _Body:
    rows = tuple(zip(*(map(_label, frame[name]) for name in names), strict=True)) if names else ((),) * len(frame)
    return rows, tuple((name,) for name in values), tuple(zip(*values.values(), strict=True))


def _side_by_side(frame: pd.DataFrame, names: list[str], value: list[Entry]) -> _Body:
    names = [name for name in names if name != "eps"]
    epsilons = list(dict.fromkeys(map(_label, frame["eps"])))
    keys = zip(*(map(_label, frame[name]) for name in names), strict=True) if names else [()] * len(frame)
    rows: dict[Labels, dict[str, Entry]] = {}
    for key, eps, entry in zip(keys, map(_label, frame["eps"]), value, strict=True):
        rows.setdefault(key, {})[eps] = entry
    columns = tuple((f"eps {eps}",) for eps in epsilons)
    return tuple(rows), columns, tuple(tuple(row.get(eps) for eps in epsilons) for row in rows.values())


def _values(frame: pd.DataFrame) -> dict[str, list[Entry]]:
    """Column -> entries, with their intervals."""
    names = list(map(str, frame))
    found = bounds(names)
    inside = {name for pair in found.values() for name in pair}
    entries = {name: [_entry(value) for value in frame[name]] for name in names if name not in inside}
    for name, (low, high) in found.items():
        rows = zip(entries[name], frame[low], frame[high], strict=True)
        entries[name] = [_with(entry, *both) for entry, *both in rows]
    return entries


def _entry(value: object) -> Entry:
    number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else nan
    return Entry(number, nan, nan, OK, _label(value), "")


def _with(entry: Entry, low: float, high: float) -> Entry:
    return entry if pd.isna(low) else replace(entry, low=low, high=high, interval=f"{_label(low)}, {_label(high)}")


def _label(value: object) -> str:
    """A value with three digits, or one behind the point."""
    if not isinstance(value, float):
        return label(value)
    if isnan(value):
        return "-"
    if abs(value) < 1e6 and value == round(value):  # not of an infinite PSNR
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
