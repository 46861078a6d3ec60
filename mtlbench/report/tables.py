"""Frames as CSV, Markdown and LaTeX files. Which columns the result tables have is said in `scores.tables`."""

import errno
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from mtlbench.report.csv_text import csv_text
from mtlbench.report.tidy import Tidy
from mtlbench.storage.files import write_atomically

DIGITS = 4
MOST_ROWS = 2000
"""Of a .md or .tex; nobody prints a longer one."""

LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)
"""Special characters of LaTeX -> escaped."""

READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def may_fail(unwritten: list[OSError] | None) -> Iterator[None]:
    """Context manager that appends the error of writing to a read-only folder to `unwritten`, if that is a list.

    A full disk is still an error: a user with write access wants the files.
    """
    try:
        yield
    except OSError as error:
        if unwritten is None or error.errno not in READ_ONLY:
            raise
        unwritten.append(error)


def write_tables(frames: Mapping[str, pd.DataFrame], folder: Path) -> list[Path]:
    """Write ``<name>.csv`` (full precision), ``.md`` and ``.tex`` (rounded) for each frame; returns the paths."""
    written = []
    for name, frame in frames.items():
        texts = {
            "csv": csv_text(frame),
            "md": markdown(frame),
            "tex": latex(frame),
        }
        for suffix, text in texts.items():
            path = folder / f"{name}.{suffix}"
            write_atomically(path, text)
            written.append(path)
    return written


def write_result_tables(tables: Tidy, checks: pd.DataFrame, folder: Path) -> None:
    """Write the result tables and the checks. Of those with more than `MOST_ROWS` rows only the .csv, in pieces."""
    for name in tables:
        if tables.size(name) <= MOST_ROWS:
            write_tables({name: tables[name]}, folder)
        else:
            pieces = enumerate(tables.pieces(name))
            texts = (csv_text(piece, header=number == 0) for number, piece in pieces)
            _write_csv_only(name, texts, folder)
    if len(checks) <= MOST_ROWS:
        write_tables({"checks": checks}, folder)
    else:
        _write_csv_only("checks", [csv_text(checks)], folder)


def _write_csv_only(name: str, pieces: Iterable[str], folder: Path) -> None:
    write_atomically(folder / f"{name}.csv", (piece.encode() for piece in pieces))
    for suffix in ("md", "tex"):  # of an earlier, smaller table
        (folder / f"{name}.{suffix}").unlink(missing_ok=True)


def markdown(frame: pd.DataFrame) -> str:
    """A GitHub-flavoured Markdown table; numbers right-aligned."""
    numeric = [pd.api.types.is_numeric_dtype(frame[column]) for column in frame.columns]
    rule = ["---:" if number else "---" for number in numeric]
    rows = [map(str, frame.columns), rule, *(map(_text, row) for row in frame.itertuples(index=False))]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows) + "\n"


def latex(frame: pd.DataFrame) -> str:
    """A LaTeX tabular with booktabs rules."""
    # Own implementation, because that of pandas takes seconds for the tables of a study.
    rows = [list(map(str, frame.columns)), *(list(map(_text, row)) for row in frame.itertuples(index=False))]
    header, *body = (" & ".join(cell.translate(LATEX) for cell in row) + r" \\" for row in rows)
    top, bottom = f"\\begin{{tabular}}{{{'l' * len(frame.columns)}}}\n\\toprule", "\\bottomrule\n\\end{tabular}\n"
    return "\n".join([top, header, r"\midrule", *body, bottom])


def _text(value: object) -> str:
    if isinstance(value, float):
        return (
            ""
            if pd.isna(value)
            else f"{value:.{DIGITS}g}"
            if abs(value) < 1e-3
            else f"{value:.{DIGITS}f}".rstrip("0").rstrip(".")
        )
    return str(value)
