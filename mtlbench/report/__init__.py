"""Tables, plots and terminal output from stored cells. Computes no score and imports no torch."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mtlbench.alarms import alarms, checks
from mtlbench.report.tables import write_tables
from mtlbench.report.terminal import show_summary
from mtlbench.results import metrics_frame
from mtlbench.scores import arp, damage, relative_drops, tables
from mtlbench.scores.wide import levels
from mtlbench.store import Store

HIDDEN = ("split", "fingerprint", "tree", "weights", "how")
"""Columns that tell cells apart but nothing to a reader."""


@dataclass(frozen=True)
class Report:
    """What the store says.

    Attributes:
        metrics: the wide frame of all cells.
        alarms: cell -> what is wrong with it.
    """

    metrics: pd.DataFrame
    alarms: dict[str, str]

    def show(self, scores: str, cells: set[str] | None = None) -> None:
        """Print the tables of some cells, all where None."""
        metrics = self.metrics
        if cells is not None:
            files = metrics.index.get_level_values("cell").str.partition(":").get_level_values(0)  # less the weighting
            metrics = metrics[files.isin(cells)]
        show_summary(tables(metrics, self.alarms), scores)


def rebuild(outputs: Path, paper_batch: int) -> Report:
    """Derive all tables from the store and write them to ``outputs/tables``."""
    cells = list(Store(outputs / "store"))
    metrics, numbers = metrics_frame(cells, paper_batch=paper_batch), checks(cells)
    raised = alarms(numbers, _arp_of_cells(metrics))
    frames = tables(metrics, raised)
    frames["checks"] = numbers.drop(columns=[name for name in HIDDEN if name in numbers])
    write_tables(frames, outputs / "tables")
    return Report(metrics, raised)


def _arp_of_cells(metrics: pd.DataFrame) -> pd.DataFrame:
    """cell, arp_percent in the standard scores."""
    points = metrics.iloc[:, :1]
    wide = arp(damage(relative_drops(points[points.index.get_level_values("scores") == "standard"])))
    return levels(wide)[["cell"]].assign(arp_percent=wide.iloc[:, 0].to_numpy())
