"""Terminal output of `mtlbench data`."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.table import Table

from mtlbench.report.terminal import console
from mtlbench.tasks import SEGMENTATION

if TYPE_CHECKING:  # they import torch, which the report must not
    from mtlbench.data.describe import Description
    from mtlbench.data.verify import Verification

BAR = 30


def show_verification(name: str, split: str, found: "Verification") -> None:
    """Print a summary, every bad file and every oddity."""
    out = console()
    table = Table(title=f"{name}, {split}", title_justify="left")
    for column in (
        "images",
        "files decoded",
        "bad files",
        *(f"{task} masked" for task in found.invalid_share),
    ):
        table.add_column(column, justify="right")
    shares = [f"{100 * share:.1f} %" for share in found.invalid_share.values()]
    table.add_row(str(found.images), str(found.files), str(len(found.problems)), *shares)
    out.print(table)
    for problem in found.problems:
        named = problem.problem if problem.file is None else f"{problem.file}: {problem.problem}"
        out.print(f"bad: {named}", markup=False, soft_wrap=True)
    for note in found.notes:
        out.print(
            f"note: {note.note}" if note.file is None else f"note: {note.file}: {note.note}",
            markup=False,
            soft_wrap=True,
        )


def show_description(found: "Description", left_out: str = "") -> None:
    """Print counts, frequencies of classes and attributes, depth bars, and a line about omitted files."""
    out = console()
    out.print(f"[bold]{found.name}, {found.split}[/bold]: {found.images} {_inputs(found)}", markup=True)
    if left_out:
        out.print(left_out, soft_wrap=True)
    for task, share in found.valid_share.items() if found.form != "text" else ():  # there it only tells the padding
        out.print(f"  {task}: {100 * share:.1f} % of the {'images' if task in found.whole else 'pixels'} are valid")
    for task, shares in found.class_share.items():
        _bars("class" if task == SEGMENTATION else task, list(shares), list(shares.values()))
    for task, depths in found.depths.items():
        total = sum(depths.counts)
        edges = [f"{low:.2f} to {high:.2f}" for low, high in zip(depths.edges, depths.edges[1:], strict=False)]
        _bars(task, edges, [count / max(total, 1) for count in depths.counts] if total else [])


def _inputs(found: "Description") -> str:
    """What the inputs of a dataset are, in words."""
    if found.form == "text":
        return f"sentences of up to {found.shape[0]} words"
    if found.form == "vector":
        return f"vectors of {found.shape[0]} values"
    height, width = found.shape[-2:]
    return f"images of {height}x{width} pixels"


def show_baseline(name: str, rows: Iterable[tuple[str, str, str, float]]) -> None:
    """Print metrics of the best constant prediction: rows of task, metric, unit, value."""
    table = Table()
    for column in ("task", "metric", "unit", "best constant"):
        table.add_column(column, justify="right" if column == "best constant" else "left")
    for task, metric, unit, value in rows:
        table.add_row(task, metric, unit, f"{value:.4g}")
    console().print(f"{name}, test: the best constant prediction (standard scores)")
    console().print(table)


def _bars(title: str, labels: list[str], shares: list[float]) -> None:
    if not shares:
        return
    table = Table(box=None, padding=(0, 1))
    table.add_column(title, justify="right")
    table.add_column("%", justify="right")
    table.add_column("")
    largest = max(*shares, 1e-9)
    for label, share in zip(labels, shares, strict=True):
        table.add_row(label, f"{100 * share:.1f}", "█" * round(BAR * share / largest))
    console().print(table)
