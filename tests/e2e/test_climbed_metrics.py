"""Attacks on metrics from the command line: their clean values, and what they and other losses are called."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from mtlbench.storage.store import Store

SMALL = ("dataset.images=39", "dataset.resolution=32", "training.iterations=4", "training.batch_size=8", "eps=8")
STEP = ("attack/step=mim_linear", "attack.step.steps=2")


def test_metric_sets_clean_values_and_losses(call: Callable, tmp_path: Path) -> None:
    """Each is an attack of its own; the same bits come again; what is stored is not computed again."""
    small = (*SMALL, *STEP, f"outputs={tmp_path}")
    runs = (
        ("attack=smooth_arp",),
        ("attack=smooth_arp", "attack.clean_values=train"),
        ("attack=smooth_arp", "attack.metrics={segmentation:[miou]}"),
        ("attack=dgba",),
        ("attack=dgba", "attack.loss={segmentation:masked_ce}"),
    )
    for options in runs:
        done = call("attack", *small, *options)
        assert done.status == 0, done.err
    cells = {cell.key: cell for cell in Store(tmp_path / "store") if cell.identity["attack"] != "none"}
    assert len(cells) == len(runs)
    assert all((cell.arrays["rise"] > 0).any() for cell in cells.values())
    assert call("report", f"outputs={tmp_path}").status == 0
    table = pd.read_csv(tmp_path / "tables" / "arp.csv")
    assert len(table[table["scores"] == "standard"]) == len(runs)
    assert {"metrics", "clean_values", "loss"} <= set(table.columns)
    audit = call("report", f"outputs={tmp_path}", "audit=9")
    assert audit.status == 0, audit.err
    assert all(line.endswith(": equal") for line in audit.out.splitlines())
