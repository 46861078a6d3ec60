"""The four result tables, with the columns and the order in which they are written."""

from collections.abc import Mapping, Sequence

import pandas as pd

from mtlbench.metrics import METRICS
from mtlbench.scores.bootstrap import interval
from mtlbench.scores.damage import arp, damage, drops_and_clean, higher_is_better, relative_drops
from mtlbench.scores.transferability import transferability
from mtlbench.scores.wide import IDENTITY, OK, block, levels, with_status
from mtlbench.tasks import DEPTH, EDGE_TEXTURE, KEYPOINTS2D, NORMALS, SEGMENTATION

TASK_ORDER = (SEGMENTATION, NORMALS, DEPTH, KEYPOINTS2D, EDGE_TEXTURE)


def tables(metrics: pd.DataFrame, alarms: Mapping[str, str] | None = None) -> dict[str, pd.DataFrame]:
    """Tables metrics, damage, arp and transferability from a wide frame of metrics.

    `alarms` (cell -> text) go into the status of ARPs that are defined.

    Rows are sorted, whatever the order of the input; those that differ only in a level which the tables leave
    out (a step size, say) stay apart.
    """
    damages = damage(relative_drops(metrics))
    arps = arp(damages)
    keys = levels(arps)
    raised = pd.Series([(alarms or {}).get(cell, OK) for cell in keys["cell"]], dtype=object)
    status = keys["status"].where(keys["status"] != OK, raised)
    arps = with_status(arps.droplevel("status"), status)
    return {
        "metrics": _metrics(metrics.iloc[:, :1]),
        "damage": _percent(damages, "damage_percent", keys=["task"]),
        "arp": _percent(arps, "arp_percent", further=["status"]),
        "transferability": _sorted(
            transferability(damages),
            keys=["source", "destination"],
            values=["ratio", "gain_vs_independent", "status"],
        ),
    }


def _metrics(points: pd.DataFrame) -> pd.DataFrame:
    drops, clean = drops_and_clean(points)
    table = levels(points)
    table["unit"] = [METRICS[name].unit for name in table["metric"]]
    table["higher_is_better"] = higher_is_better(table["metric"])
    table["clean"], table["attacked"], table["relative_drop"] = clean, block(points), block(drops)
    values = ["unit", "higher_is_better", "clean", "attacked", "relative_drop"]
    return _sorted(table, keys=["task", "metric"], values=values)


def _percent(frame: pd.DataFrame, name: str, keys: Sequence[str] = (), further: Sequence[str] = ()) -> pd.DataFrame:
    table = levels(frame)
    table[name] = block(frame)[:, 0]
    table[["ci_low", "ci_high"]] = interval(frame).to_numpy()
    return _sorted(table, keys, [name, "ci_low", "ci_high", *further])


def _sorted(table: pd.DataFrame, keys: Sequence[str], values: Sequence[str]) -> pd.DataFrame:
    """The columns of a table in order; rows sorted by cell, those left out included, then by its keys."""
    hidden = [str(name) for name in table if name not in (*IDENTITY, *keys, *values, "status")]
    ordered = table.sort_values([*IDENTITY, *hidden, *keys], key=_rank, kind="stable", ignore_index=True)
    return ordered[[*IDENTITY, *keys, *values]]


def _rank(column: pd.Series) -> pd.Series:
    """Tasks and metrics in their order, unknown ones after them, ``mean`` last; other columns as they are."""
    if column.name not in ("task", "source", "destination", "metric"):
        return column
    known = METRICS if column.name == "metric" else TASK_ORDER
    rank = {name: f"{i:03}" for i, name in enumerate(known)} | {"mean": "~"}
    return column.map(lambda name: rank.get(name, f"999{name}"))
