"""Writes outputs/report.html from a report."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd
from markupsafe import Markup

from mtlbench.errors import OldCellError
from mtlbench.report.figures import SUFFIXES, figures, study_figures
from mtlbench.report.page.content import COMMAND, Contents, page
from mtlbench.report.page.page import MOST_BYTES, Block, render
from mtlbench.report.page.pictures import ROOM, panel_blocks
from mtlbench.report.page.provenance import provenance
from mtlbench.report.page.sentences import counted
from mtlbench.report.panels import panels
from mtlbench.report.pivots import pivots
from mtlbench.report.sharing import sharing_frame
from mtlbench.report.tables import write_tables
from mtlbench.report.written import Written
from mtlbench.storage.store import Cell
from mtlbench.studies.findings import findings
from mtlbench.studies.leaderboard import leaderboard
from mtlbench.studies.smoothing import smoothing

if TYPE_CHECKING:
    from mtlbench.report import Report

MOST_ROWS = 20_000
"""Of a longer table the page is made of the first rows only, so that memory stays bounded."""

MOST_IDENTITIES = 5000
"""Of a larger store only the cells with saved images are asked for panels."""


def write_page(report: "Report", scores: str, made: Written) -> None:
    """Write the page of a report that has cells, leaderboard.csv and sharing.csv.

    Args:
        report: the results.
        scores: the score set that is shown.
        made: takes down what is written.
    """
    board = leaderboard(report.evidence).tables[0].frame
    shared = sharing_frame(replace(report.cells, clean=True))
    write_tables({"leaderboard": board, "sharing": shared}, [], report.outputs.tables, write=made.write)
    tables = _shown(report)
    contents = Contents(
        scores=scores,
        number=len(report.checks),
        tables=tables,
        pivots=pivots(tables, scores, paths=report.shared_paths),
        board=board,
        shared=shared,
        findings=findings(report.evidence),
        alarms=report.alarms,
        provenance=provenance(report.cells),
        left_out=_left_out(report, tables),
        figures=_figures(report, tables, scores, made),
    )
    text = render(page(contents))
    if found := _panels(report, MOST_BYTES - ROOM - len(text.encode())):
        contents.panels.extend(found)
        text = render(page(contents))
    made.write(report.outputs.page, text)
    made.keep()


def _shown(report: "Report") -> dict[str, pd.DataFrame]:
    """The result tables, of long ones the first rows."""
    tables = report.tables
    return {name: tables[name] if tables.size(name) <= MOST_ROWS else next(tables.pieces(name)) for name in tables}


def _left_out(report: "Report", tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """What is in the store but in no table. The reasons may hold paths, so only the terminal tells them."""
    old = sum(isinstance(error, OldCellError) for error in report.refused)
    damaged = len(report.refused) - old
    found = {
        f"{counted(old, 'stored result')} of another result version": old,
        f"{counted(damaged, 'damaged result')}": damaged,
        f"{counted(len(report.failures), 'result')} that failed when last tried": len(report.failures),
    }
    said = [f"No table has {what}; `mtlbench report` says why." for what, number in found.items() if number]
    if any(len(frame) < report.tables.size(name) for name, frame in tables.items()):
        said.append(
            f"Sentences, tables and plots are of the first of {len(report.checks)} results, those of the arp table of "
            f"{tables['arp']['cell'].nunique()}; the leaderboard and the CSV files have all."
        )
    return said


def _figures(report: "Report", tables: Mapping[str, pd.DataFrame], scores: str, made: Written) -> list[Block]:
    """The general figures, and certificates where there are some; files are drawn where they are not there yet."""
    folder = report.outputs.plots
    shown = [(COMMAND, figure) for figure in figures(tables, scores)]
    if report.certified:
        certified = study_figures(smoothing(report.evidence).plots, scores)
        shown += [(f"{COMMAND} study=smoothing", figure) for figure in certified]
    made.there(folder / f"{figure.name}{suffix}" for _, figure in shown for suffix in SUFFIXES)
    return [
        Block(
            html=Markup(figure.html(figure.draw(folder))),
            command=command,
            file=f"{folder.name}/{figure.name}.svg",
        )
        for command, figure in shown
    ]


def _panels(report: "Report", room: int) -> list[Block]:
    """The panels that fit into so many bytes, with what must be said of them."""
    saved = set().union(*report.outputs.images.sets().values())
    every = len(report.checks) <= MOST_IDENTITIES
    cells: Iterable[Cell] = report.cells if saved else ()
    wanted = {cell.key: cell.identity for cell in cells if every or cell.key in saved}
    return panel_blocks(panels(report.outputs.images, wanted), room)
