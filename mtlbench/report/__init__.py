"""Tables, plots and terminal output from stored cells. Computes no score and imports no torch."""

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import pandas as pd

from mtlbench.constants import NO_ATTACK
from mtlbench.errors import DamagedCellError, DataError, OldCellError
from mtlbench.report.evidence import (
    StoredCells,
    StoredEvidence,
    arp_of,
    checks_of,
    compared,
    sample_cells,
    shared_paths_of,
)
from mtlbench.report.gathering import Gathered, gather
from mtlbench.report.layout import Layout
from mtlbench.report.pivots import KINDS, laid_out, printed
from mtlbench.report.pivots import pivots as shown_pivots
from mtlbench.report.studies import study_pivot
from mtlbench.report.tables import may_fail, remove_prints, write_pieces, write_tables
from mtlbench.report.terminal import MOST_REMARKS, console, show_remarks
from mtlbench.report.text import show
from mtlbench.report.tidy import Tidy
from mtlbench.report.written import Written, stamp_of
from mtlbench.scores import accuracy_lost
from mtlbench.scores.alarms import alarms
from mtlbench.scores.converged import of_all_images, with_gains
from mtlbench.scores.frame import metrics_frame
from mtlbench.scores.gradient_free import with_gradient_free
from mtlbench.scores.wide import OK
from mtlbench.storage.outputs import Outputs
from mtlbench.storage.store import Store
from mtlbench.studies import STUDIES, Evidence, Table

HIDDEN = ("split", "fingerprint", "tree", "weights", "options", "climbs_raw")
"""Columns that distinguish cells but are not informative."""

MOST_ROWS = 20_000
"""Of a table that is printed whole."""

CHECKS_TITLE = "Checks: what tells a broken attack from a robust model, for every cell"
NOTHING = "no attack among these results; tables/metrics.csv has the clean metrics"


@dataclass
class Report:
    """The results in the store.

    Attributes:
        outputs: the folder whose store it is.
        paper_batch: images per batch of the paper's batch means.
        gathered: what its cells say, see `gathering`.
        checks: the diagnostics from which alarms are derived, a row per cell.
        alarms: cell -> text of its alarms.
        failures: cell -> description and reason of its last failed computation.
    """

    outputs: Outputs
    paper_batch: int
    gathered: Gathered
    checks: pd.DataFrame
    alarms: dict[str, str]
    failures: dict[str, str]

    @property
    def refused(self) -> list[DamagedCellError | OldCellError]:
        """Errors of cells that are damaged or of an older result version; these are in no table."""
        return self.gathered.refused

    @property
    def empty(self) -> bool:
        """Whether there are no cells."""
        return self.checks.empty

    @cached_property
    def tables(self) -> Tidy:
        """The four result tables."""
        return Tidy(self.gathered.index.db, self.alarms, self.shared_paths)

    @property
    def cells(self) -> StoredCells:
        """The cells without their arrays, and without what is long in their provenance."""
        return StoredCells(self.gathered.index.db)

    @cached_property
    def evidence(self) -> Evidence:
        """What studies read: arrays only of the cells that they compare."""
        db = self.gathered.index.db
        return StoredEvidence(self.outputs.store, db, self.paper_batch, self.alarms, self.checks)

    @property
    def metrics(self) -> pd.DataFrame:
        """The wide frame of all cells. Takes 200 kB a cell; `evidence` reads less."""
        return self.evidence.metrics

    @cached_property
    def shared_paths(self) -> dict[str, float]:
        """Cell -> shared part of a task's path, where it was measured."""
        return shared_paths_of(self.gathered.index.db)

    @property
    def certified(self) -> bool:
        """Whether some of the models are smoothed, so that there are certificates to show."""
        return any("defence" in cell.identity for cell in replace(self.cells, naming="defence"))

    def _long(self, layout: Layout) -> list[str]:
        """The tables that are not printed: too many rows, and no condition says which ones are wanted."""
        return [name for name in self.tables if layout.where is None and self.tables.size(name) > MOST_ROWS]

    def _frames(self, layout: Layout) -> dict[str, pd.DataFrame]:
        """The tables that are printed; the others without their rows."""
        long = self._long(layout)
        return {name: self.tables.none(name) if name in long else self.tables[name] for name in self.tables}

    def show(self, scores: str, layout: Layout | None = None) -> None:
        """Print the tables of one score set."""
        layout = layout or Layout()
        shown = printed(shown_pivots(self._frames(layout), scores, layout, self.shared_paths), layout)
        for pivot in shown:
            show(console(), pivot)
        if long := self._long(layout):
            files = ", ".join(f"tables/{name}.csv" for name in long)
            console().print(f"too long to print: {files}; report.where=... prints a part", soft_wrap=True)
        elif not shown:
            console().print(NOTHING, soft_wrap=True)

    def write(self, scores: str, layout: Layout | None = None) -> None:
        """Write the result tables, and those of one score set as papers print them, unless they are there."""
        layout = layout or Layout()
        made = self._written("tables", scores, layout.text)
        if made.holds():
            return
        checks = self.checks.drop(columns=[name for name in HIDDEN if name in self.checks])
        long, frames = self._long(layout), self._frames(layout)
        laid = laid_out(frames, scores, layout, self.shared_paths)
        pivots = [pivot for name, pivot in laid.items() if KINDS[name].frame not in long]
        folder = self.outputs.tables
        for name in long:
            write_pieces(name, self.tables.pieces(name), folder, made.write)
        whole = {name: frame for name, frame in frames.items() if name not in long}
        if len(checks) > MOST_ROWS:
            write_pieces("checks", [checks], folder, made.write)
            remove_prints(["checks"], folder)
        else:
            whole["checks"] = checks
            pivots.append(study_pivot(Table("checks", CHECKS_TITLE, checks), scores))
        write_tables(whole, pivots, folder, layout.caption, made.write)
        remove_prints((name for name, kind in KINDS.items() if kind.frame in long), folder)
        made.keep()

    def _written(self, what: str, *options: str) -> Written:
        return Written(self.outputs.path, self.outputs.tables / f".{what}.json", self._stamp, options)

    @cached_property
    def _stamp(self) -> str:
        return stamp_of(self)

    def write_page(self, scores: str, unwritten: list[OSError] | None = None) -> None:
        """Write ``outputs/report.html`` and the leaderboard that it shows; see `study` for `unwritten`."""
        if unwritten:
            return
        made = self._written("page", scores)
        with may_fail(unwritten):
            if not made.holds():
                from mtlbench.report.page.write import write_page  # it draws

                write_page(self, scores, made)
            text = f"\n{self.outputs.page}: all of this as a page, with plots, leaderboard and provenance"
            console().print(text, soft_wrap=True, markup=False)

    def study(
        self, name: str, scores: str, unwritten: list[OSError] | None = None, layout: Layout | None = None
    ) -> None:
        """Print the tables of a study; write them and their plots to files.

        Args:
            name: of the study.
            scores: the score set that is printed and drawn.
            unwritten: see `may_fail`; if it is not empty, nothing is written.
            layout: says whether LaTeX tables have captions.
        """
        found = STUDIES[name](self.evidence)
        laid = [study_pivot(table, scores) for table in found.tables]
        if not unwritten:
            with may_fail(unwritten):
                frames = {table.name: table.frame for table in found.tables}
                write_tables(frames, laid, self.outputs.tables, (layout or Layout()).caption)
        for pivot in laid:
            show(console(), pivot)
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
    scores: str = "standard",
    layout: Layout | None = None,
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
        scores: the score set of the printed tables.
        layout: of the printed tables.
    """
    store = outputs.store
    while True:
        before = _present(store, keys)
        found = collect(outputs, paper_batch, keys)
        if not found.empty:  # otherwise the tables would have no columns
            with may_fail(unwritten):
                found.write(scores, layout)
        if _present(store, keys) == before or store.others_at_work():
            return found


def _present(store: Store, keys: Collection[str] | None) -> set[str]:
    return set(store.keys()) if keys is None else {key for key in keys if key in store}


def collect(outputs: Outputs, paper_batch: int, keys: Collection[str] | None = None) -> Report:
    """The results of the cells `keys` (None: of all), without writing anything but the index of all."""
    store = outputs.store
    path = outputs.index if keys is None and store.keys() else None
    gathered = gather(store, path, paper_batch, keys)
    db = gathered.index.db
    checks = with_gains(checks_of(db), metrics_frame(sample_cells(store, db), paper_batch=paper_batch))
    checks = with_gradient_free(checks, lambda keys: compared(store, db, keys, paper_batch))
    return Report(outputs, paper_batch, gathered, checks, alarms(checks, arp_of(db)), store.failures())


def show_failures(failures: Collection[str]) -> None:
    """Print on stderr which cells could not be computed, and why."""
    if failures:
        out = console(stderr=True)
        out.print(f"\n{len(failures)} cells failed when last tried:")
        show_remarks(out, [f"  {line}" for line in failures])


def show_how_to_see(outputs: Outputs) -> None:
    """Print which command writes the page: it takes seconds and shows all results, so an attack does not write it."""
    folder = "" if str(outputs) == "outputs" else f" outputs={shlex.quote(str(outputs))}"
    text = f"\nmtlbench report{folder} shows all results as a page: {outputs}/report.html"
    console().print(text, soft_wrap=True, markup=False)


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
    store = outputs.store
    some = store.readable(lambda error: None, filter(partial(_may_be_clean, store), store.keys()))
    clean = [cell for cell in some if cell.identity["attack"] == NO_ATTACK]
    metrics = of_all_images(metrics_frame(clean, replicates=0))
    lost = accuracy_lost(metrics, "clean").xs((key, "standard"), level=("cell", "scores"))
    assert isinstance(lost, pd.DataFrame)
    value, status = float(lost.to_numpy()[0, 0]), str(lost.index.get_level_values("status")[0])
    if "no clean result" in status:
        return "clean accuracy lost: unknown until the same model is trained with training=clean"
    if status != OK:
        return f"clean accuracy lost: {status}"
    return f"clean accuracy lost against training=clean: {value:.1f} % (standard scores)"


def _may_be_clean(store: Store, key: str) -> bool:
    """Told from derived rows where there are any, which is quicker."""
    try:
        kept = store.derived(key)
    except DataError:
        return True
    return kept is None or kept.rows["names"]["attack"] == NO_ATTACK
