"""Tables, plots and terminal output from stored cells. Computes no score and imports no torch."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from mtlbench.constants import NO_ATTACK
from mtlbench.errors import DamagedCellError, DataError, OldCellError
from mtlbench.report.studies import show_study
from mtlbench.report.tables import may_fail, write_tables
from mtlbench.report.terminal import MOST_REMARKS, console, show_remarks, show_summary
from mtlbench.scores import accuracy_lost, tables
from mtlbench.scores.alarms import alarms, arp_of_cells, checks_frame, numbers_of
from mtlbench.scores.frame import details, metrics_frame
from mtlbench.scores.wide import OK
from mtlbench.storage.outputs import Outputs
from mtlbench.storage.store import Cell, Store
from mtlbench.studies import STUDIES, Evidence

HIDDEN = ("split", "fingerprint", "tree", "weights", "options", "climbs_raw")
"""Columns that distinguish cells but are not informative."""


@dataclass
class Report:
    """The results in the store.

    Attributes:
        outputs: the folder whose store it is.
        cells: the selected cells, with their small arrays only.
        metrics: the wide frame of these cells.
        checks: the diagnostics from which alarms are derived, a row per cell.
        alarms: cell -> text of its alarms.
        refused: errors of cells that are damaged or of an older result version; these are in no table.
        failures: cell -> description and reason of its last failed computation.
    """

    outputs: Outputs
    cells: list[Cell]
    metrics: pd.DataFrame
    checks: pd.DataFrame
    alarms: dict[str, str]
    refused: list[DamagedCellError | OldCellError]
    failures: dict[str, str]

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The four result tables."""
        return tables(self.metrics, self.alarms, {cell.key: details(cell) for cell in self.cells})

    def show(self, scores: str) -> None:
        """Print the tables."""
        show_summary(self.tables, scores)

    def write_page(self, scores: str, unwritten: list[OSError] | None = None) -> None:
        """Write ``outputs/report.html`` and the leaderboard that it shows; see `may_fail` for `unwritten`."""
        from mtlbench.report.page.write import write_page  # it draws

        with may_fail(unwritten):
            path = write_page(self, scores)
            console().print(f"\n{path}: all of this as a page, with plots, leaderboard and provenance", soft_wrap=True)

    def study(self, name: str, scores: str, unwritten: list[OSError] | None = None) -> None:
        """Print the tables of a study; write them and their plots to files.

        Args:
            name: of the study.
            scores: the score set that is printed and drawn.
            unwritten: see `may_fail`; if it is not empty, nothing is written.
        """
        found = STUDIES[name](Evidence(self.metrics, self.cells, self.alarms))
        if not unwritten:
            with may_fail(unwritten):
                write_tables({table.name: table.frame for table in found.tables}, self.outputs.tables)
        for table in found.tables:
            show_study(table, scores)
        if unwritten:
            return
        from mtlbench.report.figures import study_figures  # Altair takes a second to import

        files = [f"tables/{table.name}.csv" for table in found.tables]
        with may_fail(unwritten):
            for figure in study_figures(found.plots, scores):
                figure.draw(self.outputs.plots)
                files.append(f"plots/{figure.name}.svg")
        console().print(f"\n{name}: {', '.join(files)} in {self.outputs}", soft_wrap=True, markup=False)


def rebuild(
    outputs: Outputs,
    paper_batch: int,
    keys: Collection[str] | None = None,
    unwritten: list[OSError] | None = None,
) -> Report:
    """Derive tables from the store and write them to ``outputs/tables``.

    Needs no claim: it may run in parallel to attacks. If a cell was finished in the meantime and no other process is
    working, it runs again, so that the last of several processes that end together writes the tables of all cells; a
    process that is still working writes them later.

    Args:
        outputs: the folder whose store it is.
        paper_batch: images per batch of the paper's batch means.
        keys: of the cells that the tables are of; None takes all that are stored.
        unwritten: see `may_fail`.
    """
    store = outputs.store
    while True:
        before = _present(store, keys)
        found = collect(outputs, paper_batch, keys)
        if found.cells:  # otherwise the tables would have no columns
            frames = dict(found.tables)
            frames["checks"] = found.checks.drop(columns=[name for name in HIDDEN if name in found.checks])
            with may_fail(unwritten):
                write_tables(frames, outputs.tables)
        if _present(store, keys) == before or store.others_at_work():
            return found


def _present(store: Store, keys: Collection[str] | None) -> set[str]:
    return set(store.keys()) if keys is None else {key for key in keys if key in store}


def collect(outputs: Outputs, paper_batch: int, keys: Collection[str] | None = None) -> Report:
    """The results of the cells `keys` (None: of all), without writing anything."""
    store = outputs.store
    refused: list[DamagedCellError | OldCellError] = []
    cells: list[Cell] = []
    rows: list[dict[str, object]] = []

    def passing() -> Iterator[Cell]:
        # The arrays of a cell take megabytes: large ones are released before the next cell is read.
        for cell in store.readable(refused.append, keys):
            yield cell
            rows.append(numbers_of(cell))
            cells.append(cell.light())

    metrics = metrics_frame(passing(), paper_batch=paper_batch)
    numbers = checks_frame(rows)
    raised = alarms(numbers, arp_of_cells(metrics))
    return Report(outputs, cells, metrics, numbers, raised, refused, store.failures())


def show_failures(failures: Collection[str]) -> None:
    """Print on stderr which cells could not be computed, and why."""
    if failures:
        out = console(stderr=True)
        out.print(f"\n{len(failures)} cells failed when last tried:")
        show_remarks(out, [f"  {line}" for line in failures])


def show_unwritten(unwritten: Sequence[OSError]) -> None:
    """Print which folder is read-only, and why."""
    for error in unwritten[:1]:
        folder = Path(str(error.filename)).parent
        text = f"{folder}: not written ({error.strerror}); what is printed here is in no file"
        console(stderr=True).print(f"mtlbench: {text}", soft_wrap=True)


def refuse(refused: Sequence[DamagedCellError | OldCellError]) -> None:
    """Print which stored cells are in no table.

    Raises:
        DataError: one is damaged.
    """
    old = [error for error in refused if isinstance(error, OldCellError)]
    if old:
        console(stderr=True).print(f"{len(old)} cells of another result version are in no table", soft_wrap=True)
    damaged = [str(error) for error in refused if isinstance(error, DamagedCellError)]
    if damaged:
        more = [f"and {len(damaged) - MOST_REMARKS} more"] if len(damaged) > MOST_REMARKS else []
        raise DataError("\n".join(["stored cells are damaged and in no table:", *damaged[:MOST_REMARKS], *more]))


def accuracy_lost_text(outputs: Outputs, key: str) -> str:
    """One line: clean accuracy lost against the cleanly trained counterpart; `key` is of the clean cell."""
    clean = [cell for cell in outputs.store.readable(lambda error: None) if cell.identity["attack"] == NO_ATTACK]
    lost = accuracy_lost(metrics_frame(clean, replicates=0), "clean").xs((key, "standard"), level=("cell", "scores"))
    assert isinstance(lost, pd.DataFrame)
    value, status = float(lost.to_numpy()[0, 0]), str(lost.index.get_level_values("status")[0])
    if "no clean result" in status:
        return "clean accuracy lost: unknown until the same model is trained with training=clean"
    if status != OK:
        return f"clean accuracy lost: {status}"
    return f"clean accuracy lost against training=clean: {value:.1f} % (standard scores)"
