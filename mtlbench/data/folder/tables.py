"""Lists and tables as text: .txt (columns separated by blanks), .csv, .tsv and .json, read as rows of text."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mtlbench.data.folder.places import unknown_column
from mtlbench.errors import DataError
from mtlbench.storage.bounded import read_bytes, read_json

MAX_TEXT = 500_000_000
"""Bytes."""


@dataclass(frozen=True)
class Rows:
    """Rows of one width.

    Attributes:
        file: the file that they come from.
        names: of the columns, or empty.
        rows: at least one.
    """

    file: Path
    names: tuple[str, ...]
    rows: Sequence[Sequence[str]]

    def column(self, which: int | str) -> int:
        """The position of a column.

        Raises:
            DataError: there is no such name or position.
        """
        width = len(self.rows[0])
        if isinstance(which, int) and which < width:
            return which
        if isinstance(which, str) and which in self.names:
            # The column of ids may have no name: then the names start at the second column.
            return self.names.index(which) + width - len(self.names)
        raise DataError(f"{self.file}: {unknown_column(which, self.names, width)}")


def read_lines(path: Path) -> list[str]:
    """The non-empty lines, without blanks at their ends."""
    return [line.strip() for line in _text(path).splitlines() if line.strip()]


def read_table(path: Path, header: int | None = None) -> Rows:
    """A table.

    Args:
        path: .csv (commas), .tsv (tabulators), or anything else (blanks).
        header: the line with the column names, from 1; earlier lines are skipped. 0 for none; None for the default:
            the first line of a .csv or .tsv, none in other files.

    Raises:
        DataError: unreadable, or rows of unequal width; the message names the line.
    """
    lines = _text(path).splitlines()
    ending = path.suffix.lower()
    if ending in (".csv", ".tsv"):
        header = 1 if header is None else header
        try:
            split = list(csv.reader(lines, delimiter="\t" if ending == ".tsv" else ",", strict=True))
        except csv.Error as error:
            raise DataError(f"{path}: not a table of this kind ({error})") from error
    else:
        split = [line.split() for line in lines]
    names: tuple[str, ...] = ()
    if header:
        if header > len(split):
            raise DataError(f"{path}: {len(split)} lines; header: {header} names one that is not there")
        names = tuple(name.strip() for name in split[header - 1])
    numbered = [(number, row) for number, row in enumerate(split, 1) if row and number > (header or 0)]
    if not numbered:
        raise DataError(f"{path}: holds no rows")
    width = len(numbered[0][1])
    for number, row in numbered:
        if len(row) != width:
            raise DataError(f"{path}: line {number} has {len(row)} columns, the first row has {width}")
    if names and len(names) not in (width, width - 1):
        raise DataError(f"{path}: line {header} names {len(names)} columns, the rows have {width}; is it the header?")
    return Rows(path, names, [[value.strip() for value in row] for _, row in numbered])


def read_json_rows(path: Path, key: str) -> Rows:
    """A JSON list of strings, of lists of strings, or of objects; `key` is its key if the file holds an object.

    Raises:
        DataError: it has another structure.
    """
    value = read_json(path)
    if isinstance(value, dict):
        if key not in value:
            raise DataError(f"{path}: no {key!r}; it has {', '.join(map(repr, list(value)[:8])) or 'nothing'}")
        value = value[key]
    if not isinstance(value, list) or not value:
        raise DataError(f"{path}: {key!r} is {str(value)[:60]}; expected a list of images")
    names = tuple(value[0]) if isinstance(value[0], dict) else ()
    rows = [_row(entry, names) for entry in value]
    for number, (entry, row) in enumerate(zip(value, rows, strict=True)):
        alike = row and isinstance(entry, type(value[0])) and len(row) == len(rows[0] or ())
        if not alike or not all(isinstance(part, str) for part in row or ()):
            raise DataError(f"{path}: entry {number} of {key!r} is {str(entry)[:80]}; expected texts, as in entry 0")
    return Rows(path, names, [row for row in rows if row])


def _row(entry: object, names: Sequence[str]) -> list[str] | None:
    """The strings of an entry; None if it has another structure."""
    if names:
        return [entry[name] for name in names] if isinstance(entry, dict) and set(entry) == set(names) else None
    if isinstance(entry, str):
        return [entry]
    return entry if isinstance(entry, list) else None


def _text(path: Path) -> str:
    try:
        text = read_bytes(path, MAX_TEXT).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not text in UTF-8 ({error.reason} at byte {error.start})") from error
    if "\0" in text:
        raise DataError(f"{path}: holds NUL bytes; expected text")
    return text
