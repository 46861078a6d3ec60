"""Terminal and log output: progress, tables, messages."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Column
from rich.text import Text

from mtlbench.process.progress import Progress

SECONDS_BETWEEN_LINES = 10.0
WIDTH_WITHOUT_TERMINAL = 1000
MOST_REMARKS = 5


def console(stderr: bool = False) -> Console:
    """A console on stdout or stderr, wide if it is no terminal, so that tables are not folded in a log.

    Brackets are printed literally unless `print` gets ``markup=True``: names of files and cells may contain them.
    """
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else WIDTH_WITHOUT_TERMINAL
    plain = bool(os.environ.get("NO_COLOR"))  # for which rich leaves out colours only, not bold
    return _Console(file=stream, width=width, color_system=None if plain else "auto", highlight=False, markup=False)


class _Console(Console):
    """Replaces characters that the stream's encoding lacks before a table's layout, so that columns stay aligned."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(encodable(self, text), **options)


def encodable(out: Console, text: str) -> str:
    """The text with what the stream's encoding lacks replaced as the stream would."""
    if text.isascii():
        return text
    treated = getattr(out.file, "errors", None) or "backslashreplace"
    return text.encode(out.encoding, treated).decode(out.encoding, "surrogateescape")


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """A progress bar on stderr: live on a terminal, a line every ten seconds elsewhere.

    Nothing is shown before the first progress, so that work already done prints nothing.
    """
    with _bar(title) if sys.stderr.isatty() else _lines(title) as progress:
        yield progress


class _Note(ProgressColumn):
    """The note after the bar, truncated at the edge of the terminal; the other columns keep their width."""

    def render(self, task: Task) -> Text:
        return Text(f"left  {task.fields['note']}", style="dim", no_wrap=True, overflow="ellipsis")


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    whole = Column(no_wrap=True)
    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(bar_width=12, table_column=whole),
        MofNCompleteColumn(table_column=whole),
        TimeRemainingColumn(table_column=whole),
        _Note(),
        console=console(stderr=True),
    )
    work = None

    def progress(done: int, total: int, note: str) -> None:
        nonlocal work
        if work is None:
            bar.start()
            work = bar.add_task(title, total=total or None, note=note)
        bar.update(work, completed=done, total=total or None, note=note)

    try:
        yield progress
    finally:
        bar.stop()


@contextmanager
def _lines(title: str) -> Iterator[Progress]:
    spoken = time.monotonic()
    start: tuple[float, int] | None = None

    def progress(done: int, total: int, note: str) -> None:
        nonlocal spoken, start
        now = time.monotonic()
        if start is None:
            start = now, done  # a resumed training starts at its saved iteration, not at 0
        if (done < total or not total) and now - spoken < SECONDS_BETWEEN_LINES:
            return
        spoken = now
        clock = time.strftime("%H:%M:%S")
        words = f"{clock} {title}: {done}"
        if total:
            words += f"/{total} ({100 * done // total} %)"
            if done > start[1]:
                words += f", {(total - done) * (now - start[0]) / (done - start[1]):.0f} s left"
        print(f"{words}  {note}".rstrip(), file=sys.stderr, flush=True)

    yield progress


def show_remarks(out: Console, remarks: Sequence[str]) -> None:
    """Print a few of the reasons for undefined or doubtful values."""
    for line in remarks[:MOST_REMARKS]:
        out.print(line, markup=False)
    if len(remarks) > MOST_REMARKS:
        out.print(f"{len(remarks) - MOST_REMARKS} more reasons in the column `status` of the tables")
