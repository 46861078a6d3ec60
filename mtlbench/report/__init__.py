"""Tables, plots and terminal output from stored cells. Computes no score and imports no torch."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mtlbench.alarms import alarms, checks
from mtlbench.errors import DamagedCellError, DataError, OldCellError
from mtlbench.report.caches import provide_caches
from mtlbench.report.studies import show_study
from mtlbench.report.tables import may_fail, write_tables
from mtlbench.report.terminal import MOST_REMARKS, console, show_remarks, show_summary
from mtlbench.results import metrics_frame
from mtlbench.scores import accuracy_lost, arp, damage, relative_drops, tables
from mtlbench.scores.wide import OK, levels
from mtlbench.store import Cell, Store
from mtlbench.studies import STUDIES, Evidence

HIDDEN = ("split", "fingerprint", "tree", "weights", "options")
"""Columns that tell cells apart but nothing to a reader."""


@dataclass(frozen=True)
class Report:
    """What the store says.

    Attributes:
        outputs: the folder whose store it is.
        cells: all of them.
        metrics: the wide frame of all cells.
        checks: what the alarms are made of, a row per cell.
        alarms: cell -> what is wrong with it.
        refused: cells that are damaged or of an older result version; they are in no table.
        failures: cell -> what it is and why it could not be computed when last tried.
    """

    outputs: Path
    cells: list[Cell]
    metrics: pd.DataFrame
    checks: pd.DataFrame
    alarms: dict[str, str]
    refused: list[DamagedCellError | OldCellError]
    failures: dict[str, str]

    def show(self, scores: str, cells: set[str] | None = None) -> None:
        """Print the tables of some cells, all where None."""
        show_summary(tables(self._metrics_of(cells), self.alarms), scores)

    def study(
        self, name: str, scores: str, cells: set[str] | None = None, unwritten: list[OSError] | None = None
    ) -> None:
        """Print the tables of a study of some cells, all where None; write them and their plots to files.

        Args:
            name: of the study.
            scores: the score set that is printed and drawn.
            cells: their keys.
            unwritten: see `may_fail`; where it holds something already, nothing is written.
        """
        of_these = [cell for cell in self.cells if cells is None or cell.key in cells]
        found = STUDIES[name](Evidence(self._metrics_of(cells), of_these))
        if not unwritten:
            with may_fail(unwritten):
                write_tables({table.name: table.frame for table in found.tables}, self.outputs / "tables")
        for table in found.tables:
            show_study(table, scores)
        if unwritten:
            return
        provide_caches()
        from mtlbench.report.plots import write_plot  # matplotlib takes a second to import

        drawn: list[Path | None] = []
        with may_fail(unwritten):
            drawn += [write_plot(plot, scores, self.outputs / "plots") for plot in found.plots]
        files = [*(f"tables/{table.name}.csv" for table in found.tables), *(f"plots/{p.name}" for p in drawn if p)]
        console().print(f"\n{name}: {', '.join(files)} in {self.outputs}", soft_wrap=True, markup=False)

    def _metrics_of(self, cells: set[str] | None) -> pd.DataFrame:
        if cells is None:
            return self.metrics
        files = (
            self.metrics.index.get_level_values("cell").str.partition(":").get_level_values(0)
        )  # less the weighting
        return self.metrics[files.isin(cells)]


def rebuild(outputs: Path, paper_batch: int, unwritten: list[OSError] | None = None) -> Report:
    """Derive all tables from the store and write them to ``outputs/tables``.

    Needs no claim: it may run beside any number of attacks. Where one of them has finished a cell meanwhile and nobody
    is at work any more, it runs again, so that of several processes that end together the last one writes the tables
    of all; whoever still is at work writes them later. For `unwritten` see `may_fail`.
    """
    store = Store(outputs / "store")
    while True:
        keys = store.keys()
        found = collect(outputs, paper_batch)
        if found.cells:  # or the tables would not even have columns
            frames = tables(found.metrics, found.alarms)
            frames["checks"] = found.checks.drop(columns=[name for name in HIDDEN if name in found.checks])
            with may_fail(unwritten):
                write_tables(frames, outputs / "tables")
        if store.keys() == keys or store.others_at_work():
            return found


def collect(outputs: Path, paper_batch: int) -> Report:
    """What the store says, without writing anything."""
    store = Store(outputs / "store")
    refused: list[DamagedCellError | OldCellError] = []
    cells = list(store.readable(refused.append))
    metrics, numbers = metrics_frame(cells, paper_batch=paper_batch), checks(cells)
    raised = alarms(numbers, _arp_of_cells(metrics))
    return Report(outputs, cells, metrics, numbers, raised, refused, store.failures())


def show_failures(failures: Collection[str]) -> None:
    """Print what could not be computed, and why, on stderr."""
    if failures:
        out = console(stderr=True)
        out.print(f"\n{len(failures)} cells failed when last tried:")
        show_remarks(out, [f"  {line}" for line in failures])


def show_unwritten(unwritten: Sequence[OSError]) -> None:
    """Say which folder may not be written to, and why."""
    for error in unwritten[:1]:
        folder = Path(str(error.filename)).parent
        text = f"{folder}: not written ({error.strerror}); what is printed here is in no file"
        console(stderr=True).print(f"mtlbench: {text}", soft_wrap=True)


def refuse(refused: Sequence[DamagedCellError | OldCellError]) -> None:
    """Say which stored cells are in no table.

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


def accuracy_lost_text(outputs: Path, key: str) -> str:
    """How much of the clean accuracy of its cleanly trained counterpart a model lacks; `key` of its clean cell."""
    clean = [
        cell for cell in Store(outputs / "store").readable(lambda error: None) if cell.identity["attack"] == "none"
    ]
    lost = accuracy_lost(metrics_frame(clean, replicates=0), "clean").xs((key, "standard"), level=("cell", "scores"))
    assert isinstance(lost, pd.DataFrame)
    value, status = float(lost.to_numpy()[0, 0]), str(lost.index.get_level_values("status")[0])
    if "no clean result" in status:
        return "clean accuracy lost: unknown until the same model is trained with training=clean"
    if status != OK:
        return f"clean accuracy lost: {status}"
    return f"clean accuracy lost against training=clean: {value:.1f} % (standard scores)"


def _arp_of_cells(metrics: pd.DataFrame) -> pd.DataFrame:
    """cell, arp_percent in the standard scores."""
    points = metrics.iloc[:, :1]
    wide = arp(damage(relative_drops(points[points.index.get_level_values("scores") == "standard"])))
    return levels(wide)[["cell"]].assign(arp_percent=wide.iloc[:, 0].to_numpy())
