"""Tables, plots and terminal output from stored cells. Computes no score and imports no torch."""

from pathlib import Path

import pandas as pd

from mtlbench.report.tables import write_tables
from mtlbench.report.terminal import show_summary
from mtlbench.results import metrics_frame
from mtlbench.scores import tables
from mtlbench.store import Store


def rebuild(outputs: Path, paper_batch: int) -> pd.DataFrame:
    """Derive all tables from the store, write them to ``outputs/tables``; the wide frame of metrics."""
    wide = metrics_frame(Store(outputs / "store"), paper_batch=paper_batch)
    write_tables(tables(wide), outputs / "tables")
    return wide


def show(wide: pd.DataFrame, scores: str) -> None:
    """Print the tables of the cells in `wide`."""
    show_summary(tables(wide), scores)
