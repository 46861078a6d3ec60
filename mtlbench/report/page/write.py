"""Writes outputs/report.html from a report."""

from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from mtlbench.errors import OldCellError
from mtlbench.report.evidence import each_cell
from mtlbench.report.figures import figures
from mtlbench.report.page.content import COMMAND, Contents, page
from mtlbench.report.page.page import MOST_BYTES, Block, render
from mtlbench.report.page.provenance import provenance
from mtlbench.report.page.sentences import counted
from mtlbench.report.panels import panels
from mtlbench.report.pivots import pivots
from mtlbench.report.tables import write_tables
from mtlbench.storage.files import write_atomically
from mtlbench.studies.findings import findings
from mtlbench.studies.leaderboard import leaderboard

if TYPE_CHECKING:
    from mtlbench.report import Report

PAGE = "report.html"
MOST_IDENTITIES = 5000
"""Of a larger store only the cells with saved images are asked for panels."""
ROOM = 200_000
"""Bytes left free below the limit of a page for what stands around the panels."""


def write_page(report: "Report", scores: str) -> Path:
    """Write the page of a report that has cells; returns its path.

    Args:
        report: the results.
        scores: the score set that is shown.
    """
    evidence = report.evidence
    board = leaderboard(evidence).tables[0].frame
    write_tables({"leaderboard": board}, report.outputs.tables)
    contents = Contents(
        scores=scores,
        number=len(report.checks),
        tables=report.tables,
        pivots=pivots(report.tables, scores),
        board=board,
        findings=findings(evidence),
        alarms=report.alarms,
        provenance=provenance(each_cell(report.gathered.index.db)),
        left_out=_left_out(report),
        figures=_figures(report, scores),
    )
    room = MOST_BYTES - ROOM - len(render(page(contents)).encode())
    contents.panels.extend(_panels(report, room))
    path = report.outputs.path / PAGE
    write_atomically(path, render(page(contents)))
    return path


def _left_out(report: "Report") -> list[str]:
    """What is in the store but in no table. The reasons may hold paths, so only the terminal tells them."""
    old = sum(isinstance(error, OldCellError) for error in report.refused)
    damaged = len(report.refused) - old
    found = {
        f"{counted(old, 'stored result')} of another result version": old,
        f"{counted(damaged, 'damaged result')}": damaged,
        f"{counted(len(report.failures), 'result')} that failed when last tried": len(report.failures),
    }
    return [f"No table has {what}; `mtlbench report` says why." for what, number in found.items() if number]


def _figures(report: "Report", scores: str) -> list[Block]:
    """The general figures; their files are drawn where they are not there yet."""
    folder = report.outputs.plots
    return [
        Block(
            html=Markup(figure.html(figure.draw(folder))),
            command=COMMAND,
            file=f"{folder.name}/{figure.name}.svg",
        )
        for figure in figures(report.tables, scores)
    ]


def _panels(report: "Report", room: int) -> list[Block]:
    """The panels that fit into so many bytes, with what must be said of them."""
    saved = set().union(*report.outputs.images.sets().values())
    every = len(report.checks) <= MOST_IDENTITIES
    cells = each_cell(report.gathered.index.db) if saved else ()
    gallery = panels(report.outputs, {cell.key: cell.identity for cell in cells if every or cell.key in saved})
    shown, cut = gallery.within(room)
    if not shown and not gallery.notes:
        return []
    said = [text for text in (gallery.choice if shown else "", *gallery.notes, cut) if text]
    return [Block(paragraphs=tuple(said)), *(Block(html=Markup(panel.html)) for panel in shown)]
