"""The files of tables: tidy ones as CSV (their columns: `scores.tables`), pivots as Markdown, LaTeX and HTML."""

import errno
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from mtlbench.report.csv_text import csv_text
from mtlbench.report.html import html
from mtlbench.report.latex import latex
from mtlbench.report.markdown import markdown
from mtlbench.report.pivot import Pivot
from mtlbench.storage.files import write_atomically

PRINTS = ("md", "tex", "html")
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


Write = Callable[[Path, str | Iterable[bytes]], None]
"""Writes a file."""


def write_tables(
    frames: Mapping[str, pd.DataFrame],
    pivots: Iterable[Pivot],
    folder: Path,
    caption: bool = True,
    write: Write = write_atomically,
) -> None:
    """Write ``<name>.csv`` for each frame (full precision), and ``.md``, ``.tex`` and ``.html`` for each pivot.

    Args:
        frames: tidy: a row for each number, value and interval in columns of their own.
        pivots: the same as papers print it.
        folder: of the files.
        caption: whether a LaTeX file is a table with caption and label, or the tabular alone.
        write: called with each path and content.
    """
    for name, frame in frames.items():
        write(folder / f"{name}.csv", csv_text(frame))
    for pivot in pivots:
        for suffix, text in zip(PRINTS, (markdown(pivot), latex(pivot, caption), html(pivot)), strict=True):
            write(folder / f"{pivot.name}.{suffix}", text)


def write_pieces(name: str, pieces: Iterable[pd.DataFrame], folder: Path, write: Write = write_atomically) -> None:
    """Write the ``<name>.csv`` of a table that is too long for the memory."""
    texts = (csv_text(piece, header=number == 0) for number, piece in enumerate(pieces))
    write(folder / f"{name}.csv", (text.encode() for text in texts))


def remove_prints(names: Iterable[str], folder: Path) -> None:
    """Remove the prints of tables that are too long to be printed now."""
    for name in names:
        for suffix in PRINTS:
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)
