"""What stands on outputs/report.html, from the tables of a report. Nothing is computed here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd
from markupsafe import Markup

from mtlbench.report import html
from mtlbench.report.leaderboard import for_people
from mtlbench.report.page import sentences
from mtlbench.report.page.alarms import explained
from mtlbench.report.page.definitions import ARP, OF_PIVOTS, RANK, SHARING, TRANSFER
from mtlbench.report.page.grid import MOST_ROWS, grid
from mtlbench.report.page.page import Block, Page, Section
from mtlbench.report.pivot import Pivot
from mtlbench.report.pivots import KINDS
from mtlbench.studies.findings import Findings

COMMAND = "mtlbench report"


@dataclass(frozen=True)
class Contents:
    """What the page is made of.

    Attributes:
        scores: the score set that is shown.
        number: how many results there are, clean ones included.
        tables: the tidy result tables of all score sets.
        pivots: the printed tables of one score set.
        board: the leaderboard.
        shared: how much the tasks of each network share, see `report.sharing`.
        findings: the comparisons that sentences are made of.
        alarms: cell -> text of its alarms.
        provenance: names and values.
        left_out: sentences: what is stored but in no table.
        figures: plots, as HTML that was escaped where it was made.
        panels: attacked images, likewise.
    """

    scores: str
    number: int
    tables: Mapping[str, pd.DataFrame]
    pivots: Mapping[str, Pivot]
    board: pd.DataFrame
    shared: pd.DataFrame
    findings: Findings
    alarms: Mapping[str, str]
    provenance: Sequence[tuple[str, str]]
    left_out: Sequence[str] = ()
    figures: Sequence[Block] = ()
    panels: list[Block] = field(default_factory=list)

    def of(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of the score set that is shown."""
        return frame[frame["scores"] == self.scores]


def page(contents: Contents) -> Page:
    """The page of a report; sections without content are left out."""
    sections = [
        Section("findings", "What it shows", tuple(_findings(contents))),
        Section("alarms", "Alarms", tuple(_alarms(contents))),
        Section("tables", "Tables", tuple(_pivots(contents))),
        Section("plots", "Plots", tuple(contents.figures)),
        Section("panels", "Attacked images", tuple(contents.panels)),
        Section("leaderboard", "Leaderboard", tuple(_leaderboard(contents))),
        Section("sharing", "How much the tasks share", tuple(_sharing(contents))),
        Section("results", "All results", tuple(_results(contents))),
        Section("provenance", "Where the numbers come from", (Block(pairs=tuple(contents.provenance)),)),
    ]
    return Page(_title(contents), tuple(section for section in sections if section.blocks))


def _title(contents: Contents) -> str:
    board = contents.of(contents.board)
    what = sentences.listed(sorted(set(map(str, board["dataset"])))) if len(board) else "clean metrics"
    return f"Attacks on multi-task models: {what}"


def _findings(contents: Contents) -> Iterator[Block]:
    arp, board = contents.of(contents.tables["arp"]), contents.of(contents.board)
    found = Findings(contents.of(contents.findings.baselines), contents.of(contents.findings.sharing))
    above, open_above = sentences.against_baselines(found)
    grows, open_grows = sentences.with_sharing(found)
    shows = [*sentences.at_most(list(sentences.strongest(arp))), *sentences.at_most(above), *sentences.at_most(grows)]
    limits = [
        *contents.left_out,
        *sentences.limits(arp, contents.of(contents.tables["transferability"]), board),
        *sentences.at_most([*open_above, *open_grows]),
        *([sentences.too_many(contents.findings.left_out)] if contents.findings.left_out else []),
    ]
    yield Block(paragraphs=tuple(sentences.run(arp, board)), sentences=tuple(shows))
    if len(arp):
        yield Block(definition=ARP)
    if len(found.sharing):
        yield Block(definition=TRANSFER)
    if limits:
        yield Block(heading="What it does not show", sentences=tuple(limits))


def _alarms(contents: Contents) -> Iterator[Block]:
    if not contents.alarms:
        return
    yield Block(
        paragraphs=(
            f"{sentences.counted(len(contents.alarms), 'result')} of {contents.number} "
            f"{'carries' if len(contents.alarms) == 1 else 'carry'} an alarm: a number that may come from a broken "
            "attack instead of a robust model. The column status of the tables names each.",
        ),
        pairs=tuple((f"{words} ({count})", meaning) for count, words, meaning in explained(contents.alarms.values())),
    )


def _pivots(contents: Contents) -> Iterator[Block]:
    for name, made in contents.pivots.items():
        left = len(made.rows) - MOST_ROWS
        cut = replace(made, rows=made.rows[:MOST_ROWS], entries=made.entries[:MOST_ROWS])
        yield Block(
            html=Markup(html.html(cut)),
            scroll=made.title,
            command=COMMAND,
            file=f"tables/{KINDS[name].frame}.csv",
            definition=OF_PIVOTS.get(name),
            paragraphs=(f"The first {MOST_ROWS} of {len(made.rows)} rows.",) if left > 0 else (),
        )


def _leaderboard(contents: Contents) -> Iterator[Block]:
    board = contents.of(contents.board)
    if board.empty:
        return
    shown = for_people(board)
    about = "Models by ARP under the strongest stored attack, most robust first; equal ranks are not told apart"
    command = f"{COMMAND} study=leaderboard"
    yield Block(grid=grid(shown, "board", about, "tables/leaderboard.csv", command, keep=("model", "sharing")))
    yield Block(definition=RANK)


def _sharing(contents: Contents) -> Iterator[Block]:
    if contents.shared.empty:
        return
    about = "Shares of what was measured on each network: 0 where tasks have nothing in common"
    yield Block(
        grid=grid(contents.shared, "sharing-measured", about, "tables/sharing.csv", COMMAND, keep=("sharing",))
    )
    yield Block(definition=SHARING)


def _results(contents: Contents) -> Iterator[Block]:
    captions = {
        "arp": "ARP of every attack, percent, with its 95 % interval over the test images",
        "damage": "Damage of each task, percent, with its 95 % interval over the test images",
        "transferability": "Transferability of every attack on one task, with 95 % intervals over the test images",
        "metrics": "Every metric, clean and attacked, and its relative drop",
    }
    for name, caption in captions.items():
        frame = contents.of(contents.tables[name])
        if len(frame):
            yield Block(grid=grid(frame, f"all-{name}", caption, f"tables/{name}.csv", COMMAND))
    yield Block(
        paragraphs=(
            "Each row ends with the key of its cell; everything that is known of one is printed by the command below.",
        ),
        command=f"{COMMAND} cell=KEY",
    )
