"""Terminal and log output: progress, tables, messages."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import isnan, nan
from typing import Any

import pandas as pd
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Column, Table
from rich.text import Text

from mtlbench.process.progress import Progress
from mtlbench.scores.wide import IDENTITY, SEARCH, WEIGHTING

SECONDS_BETWEEN_LINES = 10.0
WIDTH_WITHOUT_TERMINAL = 1000
MOST_REMARKS = 5
NAMES = ("dataset", "model", "training", "seed", "sharing")


def console(stderr: bool = False) -> Console:
    """A console on stdout or stderr, wide if it is no terminal, so that tables are not folded in a log.

    Brackets are printed literally unless `print` gets ``markup=True``: names of files and cells may contain them.
    """
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else WIDTH_WITHOUT_TERMINAL
    return _Console(file=stream, width=width, highlight=False, markup=False)


class _Console(Console):
    """Replaces characters that the stream's encoding lacks before a table's layout, so that columns stay aligned."""

    def render_str(self, text: str, **options: Any) -> Text:
        treated = getattr(self.file, "errors", None) or "backslashreplace"
        shown = text.encode(self.encoding, treated).decode(self.encoding, "surrogateescape")
        return super().render_str(shown, **options)


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
            left = (total - done) * (now - start[0]) / max(done - start[1], 1)
            words += f"/{total} ({100 * done // total} %), {left:.0f} s left"
        print(f"{words}  {note}".rstrip(), file=sys.stderr, flush=True)

    yield progress


def show_summary(frames: dict[str, pd.DataFrame], scores: str) -> None:
    """Print the ARP and the transferability table of one score set, where anything was attacked."""
    if len(frames["arp"]):
        _show(arp_grid(frames["arp"], scores))
    if len(frames["transferability"]):
        _show(transferability_grid(frames["transferability"], scores))
        if frames["transferability"]["normalised_ratio"].notna().any():  # with an attack on one task alone it never is
            _show(normalised_grid(frames["transferability"], scores))


@dataclass(frozen=True)
class Grid:
    """A table for the terminal, one column per epsilon.

    Attributes:
        title: what it shows.
        constants: names and values of the identifying columns that all rows share.
        names: headers of the columns that distinguish the rows.
        epsilons: in grey levels of 255, ascending.
        rows: names of a row -> eps -> text.
        remarks: reasons for undefined or doubtful values, without duplicates.
    """

    title: str
    constants: str
    names: tuple[str, ...]
    epsilons: tuple[float, ...]
    rows: dict[tuple[str, ...], dict[float, str]]
    remarks: tuple[str, ...]


def arp_grid(frame: pd.DataFrame, scores: str) -> Grid:
    """Rows model x training x sharing x attack x step, columns eps; ARP in percent with half its 95 % interval."""
    frame = _best_weightings(frame[frame["scores"] == scores])
    frame["attack"] = frame["attack"].where(frame["target"] == "all", frame["attack"] + ":" + frame["target"])
    half = (frame["ci_high"] - frame["ci_low"]) / 2
    frame["text"] = list(map(_text, frame["arp_percent"], frame["status"], half)) + frame["weights"]
    names = (
        "dataset",
        "model",
        "training",
        "seed",
        "sharing",
        "attack",
        "step",
        "steps",
        *_further(frame, "arp_percent"),
    )
    return _grid(
        frame, names, f"ARP: percent of the clean metrics lost ({scores} scores; ± half the 95 % interval over images)"
    )


def _further(frame: pd.DataFrame, first_value: str) -> list[str]:
    """The columns between `IDENTITY` and `first_value`, which distinguish otherwise equal rows."""
    columns = list(map(str, frame))
    return columns[len(IDENTITY) : columns.index(first_value)]


def _best_weightings(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with only the weighting of weighted_total that has the highest ARP of the run."""
    tried = frame["attack"] == WEIGHTING
    same = [name for name in IDENTITY if name != "target"]
    best = frame[tried].sort_values("arp_percent", ascending=False, kind="stable").drop_duplicates(same)
    best = best.assign(weights=" " + best["target"], attack=SEARCH, target="best weighting")
    return pd.concat([frame[~tried].assign(weights=""), best]).sort_values(list(IDENTITY), kind="stable")


def transferability_grid(frame: pd.DataFrame, scores: str) -> Grid:
    """Rows sharing x source, columns eps: the transferability ratio of each attacked task."""
    frame = frame[(frame["scores"] == scores) & (frame["destination"] == "mean")].copy()
    # The gain is not shown here, so neither is the reason why it is undefined.
    frame["status"] = frame["status"].where(~frame["status"].str.startswith("gain "), "ok")
    frame["text"] = list(map(partial(_text, digits=2), frame["ratio"], frame["status"]))
    names = (*NAMES, "source", "step", "steps", *_further(frame, "source"))
    return _grid(frame, names, "Transferability ratio: damage to the other tasks / damage to the attacked task")


def normalised_grid(frame: pd.DataFrame, scores: str) -> Grid:
    """Rows sharing x source, columns eps: the normalised ratio of each attacked task with half its 95 % interval."""
    frame = frame[(frame["scores"] == scores) & (frame["destination"] == "mean")].copy()
    frame["status"] = frame["normalised_status"]
    half = (frame["normalised_high"] - frame["normalised_low"]) / 2
    frame["text"] = list(map(partial(_text, digits=2), frame["normalised_ratio"], frame["status"], half))
    names = (*NAMES, "source", "step", "steps", *_further(frame, "source"))
    return _grid(frame, names, "Normalised transfer: damage to the other tasks / damage that attacks on them do")


def _grid(frame: pd.DataFrame, names: Sequence[str], title: str) -> Grid:
    constant = [name for name in names if frame[name].nunique() <= 1]
    shown = tuple(name for name in names if name not in constant) or tuple(names[-3:])
    frame = frame.sort_values("shared_blocks", kind="stable")
    rows: dict[tuple[str, ...], dict[float, str]] = {}
    for *row, eps, text in zip(*(frame[name] for name in (*shown, "eps", "text")), strict=True):
        texts = rows.setdefault(tuple(map(str, row)), {})
        texts[eps] = f"{texts[eps]} / {text}" if eps in texts else text
    return Grid(
        title,
        ", ".join(f"{name} {frame[name].iloc[0]}" for name in constant if _stays(frame, name) and name not in shown),
        shown,
        tuple(sorted(set(frame["eps"]))),
        rows,
        tuple(sorted(set(frame["status"]) - {"ok"})),
    )


def _stays(frame: pd.DataFrame, name: str) -> bool:
    """Whether a constant column has a value to show."""
    return len(frame) > 0 and frame[name].iloc[0] != ""


def _show(grid: Grid) -> None:
    out = console()
    out.print(f"\n{grid.title}")
    for epsilons in _blocks(grid, out.width):
        table = Table(box=SIMPLE, pad_edge=False)
        for name in grid.names:
            table.add_column(name, overflow="fold")
        for eps in epsilons:
            table.add_column(f"eps {eps:g}", justify="right")
        for names, texts in grid.rows.items():
            table.add_row(*names, *(texts.get(eps, "") for eps in epsilons))
        out.print(table)
    out.print(grid.constants, markup=False)
    show_remarks(out, grid.remarks)


def show_remarks(out: Console, remarks: Sequence[str]) -> None:
    """Print a few of the reasons for undefined or doubtful values."""
    for line in remarks[:MOST_REMARKS]:
        out.print(line, markup=False)
    if len(remarks) > MOST_REMARKS:
        out.print(f"{len(remarks) - MOST_REMARKS} more reasons in the column `status` of the tables")


def _blocks(grid: Grid, width: int) -> list[tuple[float, ...]]:
    """The epsilons in blocks of columns that fit into `width` characters."""
    gap = 3
    left = 2 + sum(max(len(row[i]) for row in (grid.names, *grid.rows)) + gap for i in range(len(grid.names)))
    widest = max((len(text) for texts in grid.rows.values() for text in texts.values()), default=0)
    fitting = max(1, (width - left) // (max(widest, len("eps 255")) + gap))
    return [grid.epsilons[start : start + fitting] for start in range(0, len(grid.epsilons), fitting)]


def _text(value: float, status: str, half: float = nan, digits: int = 1) -> str:
    if isnan(value):
        return "undefined"
    interval = "" if isnan(half) else f" ±{half:.{digits}f}"
    return f"{value:.{digits}f}{interval}{'' if status == 'ok' else ' !'}"
