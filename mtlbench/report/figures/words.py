"""Names and numbers as a reader sees them."""

from collections.abc import Mapping

import pandas as pd

from mtlbench.studies import Axis

MOST_WHOLE = 1e6
"""Larger numbers are written with an exponent."""


def plain(value: object) -> str:
    """A name as text that XML may hold: control characters and halves of characters become spaces."""
    text = str(value).encode("utf-8", "replace").decode("utf-8")
    return "".join(character if character.isprintable() else " " for character in text)


def number(value: float) -> str:
    """A rounded number: 123, 45.6, 0.78, 8."""
    size = abs(value)
    if size < MOST_WHOLE and value == round(value):  # infinity has no whole number
        return f"{value:.0f}"
    if size >= MOST_WHOLE:
        return f"{value:.2e}"
    decimals = 0 if size >= 100 else 1 if size >= 10 else 2
    return f"{value:.{decimals}f}" if size >= 0.1 else f"{value:.2g}"


def two_decimals(value: float) -> str:
    """A number for the cell of a matrix."""
    return f"{value:.2f}" if abs(value) < 10 else number(value)


def named(column: str, value: object) -> str:
    """A value of an identifying column: names speak for themselves, numbers need the name of their column."""
    if column == "n_images":
        return f"{value} images"
    if isinstance(value, float) and pd.notna(value):
        return f"{column.replace('_', ' ')} {value:g}"
    if isinstance(value, int) or column in ("seed", "seeds"):
        return f"{column.replace('_', ' ')} {value}"
    return plain(value)


def quantity(axis: Axis, row: Mapping[str, object]) -> str:
    """Name, value, unit and interval: ``ARP 51.3 % (48.1 to 54.5)``; of a name only itself."""
    value = row[axis.column]
    if not isinstance(value, (int, float)):
        return plain(value)
    unit = f" {axis.unit}" if axis.unit == "%" else ""
    ends = [row.get(name) for name in (axis.low, axis.high) if name]
    known = [number(end) for end in ends if isinstance(end, float) and pd.notna(end)]
    interval = f" ({known[0]} to {known[1]})" if len(known) == 2 else ""
    return f"{axis.name} {number(float(value))}{unit}{interval}"


def title(axis: Axis) -> str:
    """Of an axis: name and unit."""
    return f"{axis.name}, {axis.unit}" if axis.unit else axis.name
