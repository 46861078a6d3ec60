"""What a person or a cron log sees: progress, tables, messages."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from mtlbench.progress import Progress

SECONDS_BETWEEN_LINES = 10.0
WIDTH_WITHOUT_TERMINAL = 140


def console(stderr: bool = False) -> Console:
    """A console on stdout or stderr, wide where it is not a terminal so that no table is folded in a log."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else WIDTH_WITHOUT_TERMINAL, highlight=False)


@contextmanager
def screen(title: str) -> Iterator[Progress]:
    """A progress display on stderr: a live bar on a terminal, a plain line every ten seconds elsewhere.

    Nothing is shown before the first report of progress, so that work already done stays silent.
    """
    with _bar(title) if sys.stderr.isatty() else _lines(title) as progress:
        yield progress


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
        console=console(stderr=True),
    )
    work = None

    def progress(done: int, total: int, note: str) -> None:
        nonlocal work
        if work is None:
            bar.start()
            work = bar.add_task(title, total=total, note=note)
        bar.update(work, completed=done, total=total, note=note)

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
            start = now, done  # a resumed training starts at its last state, not at 0
        if done < total and now - spoken < SECONDS_BETWEEN_LINES:
            return
        spoken = now
        left = (total - done) * (now - start[0]) / max(done - start[1], 1)
        clock = time.strftime("%H:%M:%S")
        words = f"{clock} {title}: {done}/{total} ({100 * done // total} %), {left:.0f} s left"
        print(f"{words}  {note}".rstrip(), file=sys.stderr, flush=True)

    yield progress


def show_summary(frames: dict[str, pd.DataFrame], scores: str) -> None:
    """Print the ARP and the transferability table of one score set."""
    out = console()
    out.print(arp_table(frames["arp"], scores))
    if len(frames["transferability"]):
        out.print(transferability_table(frames["transferability"], scores))


def arp_table(frame: pd.DataFrame, scores: str) -> Table:
    """Rows model x training x sharing x attack x step, columns eps; ARP in percent with half its 95 % interval."""
    frame = frame[frame["scores"] == scores].copy()
    frame["attack"] = frame["attack"].where(frame["target"] == "all", frame["attack"] + ":" + frame["target"])
    frame["text"] = [_value(row.arp_percent, row.ci_low, row.ci_high, row.status) for row in frame.itertuples()]
    rows = ["dataset", "model", "training", "seed", "sharing", "attack", "step", "steps"]
    return _by_eps(frame, rows, f"ARP, percent of the clean metrics lost ({scores} scores; ± half the 95 % interval)")


def transferability_table(frame: pd.DataFrame, scores: str) -> Table:
    """Rows sharing x source, columns eps: the transferability ratio of each attacked task."""
    frame = frame[(frame["scores"] == scores) & (frame["destination"] == "mean")].copy()
    frame["text"] = [_value(row.ratio, None, None, row.status, digits=2) for row in frame.itertuples()]
    rows = ["dataset", "model", "training", "seed", "sharing", "source", "step", "steps"]
    return _by_eps(frame, rows, "Transferability ratio: damage to the other tasks / damage to the attacked task")


def _by_eps(frame: pd.DataFrame, rows: Sequence[str], title: str) -> Table:
    constant = [name for name in rows if frame[name].nunique() <= 1]
    shown = [name for name in rows if name not in constant] or list(rows[-3:])
    caption = (
        ", ".join(f"{name} {frame[name].iloc[0]}" for name in constant if name not in shown) if len(frame) else ""
    )
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    for name in shown:
        table.add_column(name)
    epsilons = sorted(frame["eps"].unique())
    for eps in epsilons:
        table.add_column(f"eps {eps:g}", justify="right")
    frame = frame.sort_values(["shared_blocks"], kind="stable")
    for names, group in frame.groupby(shown, sort=False):
        texts = {row.eps: row.text for row in group.itertuples()}
        table.add_row(*map(str, names), *(texts.get(eps, "") for eps in epsilons))
    return table


def _value(value: float, low: float | None, high: float | None, status: str, digits: int = 1) -> str:
    if pd.isna(value):
        return "undefined"
    half = "" if low is None or high is None or pd.isna(low) else f" ±{(high - low) / 2:.{digits}f}"
    return f"{value:.{digits}f}{half}" + ("" if status == "ok" else " !")
