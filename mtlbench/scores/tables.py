"""The four result tables, with the columns and the order in which they are written."""

from collections.abc import Mapping, Sequence

import pandas as pd

from mtlbench.metrics import METRICS
from mtlbench.scores.bootstrap import interval
from mtlbench.scores.capped import capped_damage, capped_metrics
from mtlbench.scores.damage import about_metric, arp, damage, drops_and_clean, relative_drops
from mtlbench.scores.transferability import COLUMNS, transferability
from mtlbench.scores.wide import ABOUT_METRIC, IDENTITY, OK, block, levels, with_status
from mtlbench.tasks import DEPTH, EDGE_TEXTURE, KEYPOINTS2D, NORMALS, SEGMENTATION

TASK_ORDER = (SEGMENTATION, NORMALS, DEPTH, KEYPOINTS2D, EDGE_TEXTURE)
ALWAYS_TELL = ("tree", "precision", "model_version", "split", "weights", "fingerprint")
"""Details that show that cells differ, but not in which option."""

ALWAYS_SHOWN = ("eps_unit",)
"""Details that a table shows wherever a cell has them: without its unit an eps says nothing."""

GREY = "grey levels of 255"


def tables(
    metrics: pd.DataFrame,
    alarms: Mapping[str, str] | None = None,
    details: Mapping[str, Mapping[str, str]] | None = None,
    paths: Mapping[str, float] | None = None,
) -> dict[str, pd.DataFrame]:
    """Tables metrics, damage, arp and transferability from a wide frame of metrics.

    Rows are sorted, whatever the order of the input. Each ends with the key of its cell; if rows agree in all
    identifying columns, further columns after `IDENTITY` show in what they differ.

    Args:
        metrics: wide frame.
        alarms: cell -> text for the status of defined ARPs.
        details: cell -> everything that may distinguish it from others, see `scores.frame.details`.
        paths: cell -> shared part of a task's path, see `scores.frame.shared_path`. Sharing levels are sorted by it if
            it is known of all cells, else by `shared_blocks`.
    """
    drops = relative_drops(metrics)
    damages, capped = damage(drops), capped_damage(drops)
    frames = {
        "metrics": metrics_table(metrics.iloc[:, :1]),
        "damage": damage_table(drops, damages, capped),
        "arp": arp_table(damages, capped, alarms),
        "transferability": _sorted(
            transferability(damages),
            keys=COLUMNS[:2],
            values=COLUMNS[2:],
        ),
    }
    more = distinguishing(levels(metrics), details or {})
    return {name: _told_apart(by_sharing(frame, paths or {}), more) for name, frame in frames.items()}


def eps_units(table: pd.DataFrame) -> list[str]:
    """The units of eps in a table; that of images where it does not say."""
    if "eps_unit" not in table:
        return [GREY]
    return sorted(set(table["eps_unit"].fillna("").replace("", GREY)))


def by_sharing(table: pd.DataFrame, paths: Mapping[str, float]) -> pd.DataFrame:
    """The rows of a sorted table, of one model the levels that share least first."""
    path = table["cell"].map(paths).astype(float)
    shared = path if path.notna().all() else table["shared_blocks"]
    before = list(IDENTITY[: IDENTITY.index("sharing")])
    order = table[before].assign(shared=shared).sort_values([*before, "shared"], kind="stable").index
    return table.loc[order].reset_index(drop=True)


METRIC_VALUES = ("unit", "higher_is_better", "clean", "attacked", "relative_drop")
CAPPED = ("capped_low", "capped_high")
DAMAGE_VALUES = ("damage_percent", "ci_low", "ci_high", "damage_capped", *CAPPED, "capped_metrics")
ARP_VALUES = ("arp_percent", "ci_low", "ci_high", "status", "arp_capped", *CAPPED, "capped_status")
"""Columns of the result tables behind what names a row; those of transferability are `transferability.COLUMNS`."""

TEXTS = ("unit", "status", "capped_metrics", "capped_status")
"""Columns of text among these; the others hold numbers."""

ALARMED = ("status", "capped_status")
"""Columns of the ARP table that say alarms where the value is defined."""


def damage_table(drops: pd.DataFrame, damages: pd.DataFrame, capped: pd.DataFrame) -> pd.DataFrame:
    """Damage of each task, from the relative drops of its metrics and the damages of these, not capped and capped."""
    table = levels(damages)
    _add_values(table, damages, "damage_percent")
    _add_values(table, capped, "damage_capped", "capped")
    table = table.merge(capped_metrics(drops), how="left", on=["cell", "scores", "task"])
    return _sorted(table, ["task"], DAMAGE_VALUES)


def arp_table(damages: pd.DataFrame, capped: pd.DataFrame, alarms: Mapping[str, str] | None = None) -> pd.DataFrame:
    """ARP of each cell, from the damages of its tasks, not capped and capped."""
    arps, capped_arps = (_with_alarms(arp(frame), alarms or {}) for frame in (damages, capped))
    table = levels(arps)
    _add_values(table, arps, "arp_percent")
    _add_values(table, capped_arps, "arp_capped", "capped")
    table["capped_status"] = levels(capped_arps)["status"]
    return _sorted(table, [], ARP_VALUES)


def distinguishing(keys: pd.DataFrame, details: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """For each cell (the index), the details in which cells with equal identifying columns differ.

    Args:
        keys: columns `IDENTITY` and ``cell``.
        details: see `tables`; those of `ALWAYS_TELL` are used only if the others do not suffice.
    """
    names = [name for name in IDENTITY if name != "scores"]
    cells = keys[[*names, "cell"]].drop_duplicates("cell").set_index("cell")
    known = pd.DataFrame([details.get(cell, {}) for cell in cells.index], cells.index, dtype=object)
    columns = list(dict.fromkeys(name for found in details.values() for name in found))
    return differing(cells, known.reindex(columns=columns).fillna(""))


def differing(cells: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """The columns of `known` in which cells with equal identifying columns differ, and those of `ALWAYS_SHOWN`.

    Both frames have a row for each cell.
    """
    names = [name for name in IDENTITY if name != "scores"]
    columns = list(map(str, known))
    chosen = [name for name in columns if name in ALWAYS_SHOWN]
    for part in ([n for n in columns if n not in ALWAYS_TELL], *([n] for n in columns if n in ALWAYS_TELL)):
        alike = cells.join(known[chosen]).groupby([*names, *chosen], dropna=False, sort=False).ngroup()
        several = alike.map(alike.value_counts()) > 1
        differing = known[part][several].groupby(alike[several]).nunique().max() > 1
        chosen += [name for name in part if several.any() and differing[name]]
    return known[chosen]


def _told_apart(table: pd.DataFrame, more: pd.DataFrame) -> pd.DataFrame:
    """The table with further columns that distinguish its rows, and the keys of the cells last."""
    cells = table.pop("cell")
    for number, name in enumerate(more):
        table.insert(len(IDENTITY) + number, name, more[name].reindex(cells).to_numpy())
    return table.assign(cell=cells)


def metrics_table(points: pd.DataFrame) -> pd.DataFrame:
    """Values of each metric without and under attack, from a wide frame without replicates."""
    drops, clean = drops_and_clean(points)
    table = levels(points)
    for name in ABOUT_METRIC:
        table[name] = about_metric(table, name)
    table["clean"], table["attacked"], table["relative_drop"] = clean, block(points), block(drops)
    return _sorted(table, keys=["task", "metric"], values=METRIC_VALUES)


def _with_alarms(arps: pd.DataFrame, alarms: Mapping[str, str]) -> pd.DataFrame:
    keys = levels(arps)
    raised = pd.Series([alarms.get(cell, OK) for cell in keys["cell"]], dtype=object)
    return with_status(arps.droplevel("status"), keys["status"].where(keys["status"] != OK, raised))


def _add_values(table: pd.DataFrame, frame: pd.DataFrame, name: str, prefix: str = "ci") -> None:
    """Add the values of a wide frame, whose rows are those of the table, and their intervals."""
    table[name] = block(frame)[:, 0]
    table[[f"{prefix}_low", f"{prefix}_high"]] = interval(frame).to_numpy()


def _sorted(table: pd.DataFrame, keys: Sequence[str], values: Sequence[str]) -> pd.DataFrame:
    """The columns of a table in order; rows sorted by cell identity (including omitted columns), then by `keys`."""
    identity = [name for name in IDENTITY if name in table]  # derived rows have few of them
    hidden = [str(name) for name in table if name not in (*identity, *keys, *values, "status")]
    by = [name for name in (*identity, *hidden, *keys) if _varies(table[name])]  # most do not, and take as long
    ordered = table.sort_values(by, key=rank, kind="stable", ignore_index=True) if by else table
    return ordered[[*identity, *keys, *values, "cell"]]


def _varies(column: pd.Series) -> bool:
    return len(column) > 1 and (column.iloc[0] != column.iloc[-1] or column.nunique(dropna=False) > 1)


def rank(column: pd.Series) -> pd.Series:
    """Tasks and metrics in their order, unknown ones after them, ``mean`` last; other columns as they are."""
    if column.name not in ("task", "source", "destination", "metric"):
        return column
    known = METRICS if column.name == "metric" else TASK_ORDER
    rank = {name: f"{i:03}" for i, name in enumerate(known)} | {"mean": "~"}
    return column.map({name: rank.get(name, f"999{name}") for name in column.unique()})
