"""What is in a printed table: rows, columns, values with intervals, which are best. Renderers make it text."""

from dataclasses import dataclass
from math import isnan
from typing import Literal

from mtlbench.scores.wide import OK

Interval = Literal["half", "bounds"]
INTERVALS: tuple[Interval, ...] = ("half", "bounds")
UNDEFINED = "undefined"
MOST_ROWS = 1000
"""More are in the tidy tables only."""

MOST_REMARKS = 20

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
    def bounds(self) -> bool:
        """Whether the interval is given by its bounds."""
        return "," in self.interval

    @property
    def plain(self) -> str:
        """Value, interval, mark of a doubtful value, and note."""
        interval = f" [{self.interval}]" if self.bounds else f" ±{self.interval}" if self.interval else ""
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
        """The title, what all results share, and what bold and underlined numbers are."""
        marked = any(entry and entry.place for row in self.entries for entry in row)
        parts = (self.title, self.shared, "best bold, second underlined" if marked else "")
        return "; ".join(filter(None, parts))

    @property
    def notes(self) -> tuple[str, ...]:
        """The remarks, if they are many only the first ones."""
        if len(self.remarks) <= MOST_REMARKS:
            return self.remarks
        return (*self.remarks[:MOST_REMARKS], f"and {len(self.remarks) - MOST_REMARKS} more in the tidy table")


def label(value: object) -> str:
    """A value of an identifying column, for people; empty if there is none."""
    if isinstance(value, float):
        return "" if isnan(value) else f"{value:g}"
    return "" if value is None else printable(str(value))


def printable(text: str) -> str:
    r"""The text with control characters as ``\x1b``, so that no name steers a terminal or breaks a line."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
