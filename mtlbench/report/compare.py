"""`mtlbench report compare=[a,b]`: what differs between outputs folders, printed, as CSV and as a page."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mtlbench.errors import DamagedCellError, DataError, OldCellError, UsageError
from mtlbench.report.page import Block, Page, Section, render
from mtlbench.report.page.grid import grid
from mtlbench.report.page.sentences import counted
from mtlbench.report.studies import study_pivot
from mtlbench.report.tables import may_fail, write_tables
from mtlbench.report.terminal import console
from mtlbench.report.text import show
from mtlbench.storage.files import write_atomically
from mtlbench.storage.outputs import Outputs
from mtlbench.studies import Table
from mtlbench.studies.compare import Changes, compare, side

PAGE = "compare.html"


def show_changes(
    folders: Sequence[str], outputs: Outputs, scores: str, paper_batch: int, unwritten: list[OSError]
) -> list[DamagedCellError | OldCellError]:
    """Print what differs between the first folder and the others; write it as tables and as a page.

    Args:
        folders: outputs folders.
        outputs: where the tables and the page are written.
        scores: the score set that is printed and on the page; the files have all.
        paper_batch: images per batch of the paper's batch means.
        unwritten: see `may_fail`.

    Returns:
        Errors of cells that were left out.

    Raises:
        DataError: a folder has no results.
    """
    refused: list[DamagedCellError | OldCellError] = []
    sides = []
    for folder, name in zip(folders, labels(folders), strict=True):
        store = Outputs(Path(folder)).store
        if not store.keys():
            raise DataError(f"compare={folder}: no results there; expected an outputs folder of mtlbench")
        sides.append(side(name, store, refused.append, paper_batch))
    changes = compare(sides)
    tables = _tables(changes, [one.name for one in sides])
    for table in tables:
        if len(table.frame) and table.name != "compare_only":  # as many as a folder has results
            alike = [name for name in table.frame if name == "norm" and table.frame[name].nunique() == 1]
            shown = table.frame.drop(columns=["cell", "other_cell", "p_value", *alike], errors="ignore")
            show(console(), study_pivot(Table(table.name, table.title, shown), scores))
    for sentence in summary(changes, [one.name for one in sides], scores):
        console().print(sentence, markup=False)
    with may_fail(unwritten):
        frames = {table.name: table.frame for table in tables}
        write_tables(frames, [study_pivot(table, scores) for table in tables], outputs.tables)
        path = outputs.path / PAGE
        write_atomically(path, render(page(changes, [one.name for one in sides], scores)))
        console().print(f"\n{path}: all of this as a page; tables/compare*.csv beside it", soft_wrap=True)
    return refused


def labels(folders: Sequence[str]) -> list[str]:
    """A name for each folder, without the path to it: the last part, with a number where two are the same."""
    last = [Path(folder).resolve().name or "outputs" for folder in folders]
    return [f"{name} ({1 + last[:i].count(name)})" if last.count(name) > 1 else name for i, name in enumerate(last)]


def check(folders: object) -> list[str]:
    """The folders of the option.

    Raises:
        UsageError: it is not a list of two or more different folders.
    """
    if not isinstance(folders, list) or len(folders) < 2 or not all(isinstance(one, str) and one for one in folders):
        raise UsageError(f"compare={folders}: expected two or more outputs folders, as in compare=[before,after]")
    if len({Path(one).resolve() for one in folders}) < len(folders):
        raise UsageError(f"compare={folders}: names a folder twice")
    return [str(one) for one in folders]


def summary(changes: Changes, names: Sequence[str], scores: str) -> list[str]:
    """What changed, in sentences made from the numbers."""
    first = names[0]
    found = [
        f"{counted(changes.equal, 'pair')} of numbers {'is' if changes.equal == 1 else 'are'} equal to the last digit."
    ]
    for what, frame in (("ARPs", changes.arp), ("clean metrics", changes.clean)):
        rows = frame[frame["scores"] == scores]
        for name, part in rows.groupby("folder", sort=False):
            up, down = ((part["difference_low"] > 0).sum(), (part["difference_high"] < 0).sum())
            found.append(
                f"{len(part)} {what} of {name} differ from those of {first}: {up} are higher and {down} lower with a "
                f"95 % interval that leaves out 0, {len(part) - up - down} are not told apart."
            )
    only = changes.only[changes.only["scores"] == scores]
    found += [
        f"{counted(len(part), 'result')} only in {name}; compare_only.csv names them."
        for name, part in only.groupby("folder", sort=False)
    ]
    return found


def _tables(changes: Changes, names: Sequence[str]) -> list[Table]:
    first = names[0]
    return [
        Table("compare_settings", "Settings that differ", changes.settings),
        Table("compare", f"ARP in percent: value is of {first}, other of the folder named", changes.arp),
        Table("compare_clean", f"Clean metrics: value is of {first}, other of the folder named", changes.clean),
        Table("compare_only", "Results that only one of the folders has", changes.only),
    ]


def page(changes: Changes, names: Sequence[str], scores: str) -> Page:
    """The page of a comparison."""
    command = "mtlbench report compare=[...]"
    tables = _tables(changes, names)
    blocks = [
        Block(grid=grid(_of(table.frame, scores), table.name, table.title, f"tables/{table.name}.csv", command))
        for table in tables
        if len(_of(table.frame, scores))
    ]
    about = (
        "Differences are those of the folder named less those of the first one. Results of the same images are "
        "paired; intervals are over the images only."
    )
    return Page(
        f"What changed: {' against '.join(names)}",
        (
            Section("summary", "What changed", (Block(sentences=tuple(summary(changes, names, scores))),)),
            Section("differences", "What differs", (Block(paragraphs=(about,)), *blocks)),
        ),
    )


def _of(frame: pd.DataFrame, scores: str) -> pd.DataFrame:
    return frame[frame["scores"] == scores] if "scores" in frame else frame
