"""Input and output of studies: from wide frames to tidy tables and plot descriptions."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from mtlbench.constants import NO_ATTACK
from mtlbench.scores import arp, damage, holm, interval, over_seeds, paired_difference, relative_drops
from mtlbench.scores.frame import HASH_DIGITS, shared_path, spelled_out
from mtlbench.scores.wide import OK, SEARCH, WEIGHTING, block, levels
from mtlbench.storage.store import Cell
from mtlbench.studies.plot import Matrix, Plot

FIRST = (
    *("dataset", "model", "training", "sharing", "shared_blocks", "shared_path", "tree", "attack", "step"),
    *("steps", "eps", "seeds", "n_images", "scores"),
)
"""Order of the identifying columns of study tables."""

MODEL = (
    *("dataset", "split", "fingerprint", "model", "training", "sharing", "shared_blocks", "tree"),
    *("seeds", "n_images", "scores", "precision", "recipe"),
)
"""Levels that identify a model (except its seed), the images and the score set."""


NETWORK = ("dataset", "model", "sharing", "tree")
"""Levels that identify a network, independent of its training and weights."""

DIFFERENCE = ("difference", "difference_low", "difference_high", "p_value")
"""The columns of `compared` that stand beside the value."""


LEAST_AND_MOST = ("least_task", "least_damage", "most_task", "most_damage")
"""The columns of `least_and_most`."""

POINT = ("arp_percent", "ci_low", "ci_high", "status")


class Evidence:
    """The results that a study evaluates.

    Args:
        metrics: wide frame of all metrics, see `scores.frame.metrics_frame`.
        cells: the stored cells of the frame.
        alarms: cell -> text of its alarms.
        checks: the diagnostics from which these are derived, a row per cell.
    """

    def __init__(
        self,
        metrics: pd.DataFrame,
        cells: Iterable[Cell],
        alarms: Mapping[str, str] | None = None,
        checks: pd.DataFrame | None = None,
    ) -> None:
        self._metrics, self._cells, self.alarms = metrics, cells, alarms or {}
        self.checks = pd.DataFrame({"cell": []}, dtype=str) if checks is None else checks

    def of(self, **levels: str) -> "Evidence":
        """Only the attacked cells with these names, and all clean ones; a study that asks for less reads less."""
        found = self.metrics.index
        chosen = np.ones(len(found), bool)
        for name, value in levels.items():
            chosen &= found.get_level_values(name) == value
        metrics = self.metrics[chosen | (found.get_level_values("attack") == NO_ATTACK)]
        return Evidence(metrics, self.cells, self.alarms, self.checks)

    def some(self, keys: Collection[str]) -> "Evidence":
        """Only the attacked cells with these keys, and all clean ones."""
        found = self.metrics.index
        chosen = found.get_level_values("cell").isin(list(keys)) | (found.get_level_values("attack") == NO_ATTACK)
        return Evidence(self.metrics[chosen], self.cells, self.alarms, self.checks)

    @cached_property
    def points(self) -> pd.DataFrame:
        """ARP of every attacked cell without replicates: levels, and columns `POINT`."""
        wide = arp(damage(relative_drops(self.metrics)))
        return levels(wide).assign(arp_percent=block(wide)[:, 0], **interval(wide).reset_index(drop=True))[
            [*(name for name in levels(wide) if name != "status"), *POINT]
        ]

    def task_points(self, keys: Collection[str]) -> pd.DataFrame:
        """Damages of the tasks of these cells without replicates: columns cell, scores, task and damage_percent."""
        wide = self.some(keys).damages
        return levels(wide)[["cell", "scores", "task"]].assign(damage_percent=block(wide)[:, 0])

    @cached_property
    def clean_points(self) -> pd.DataFrame:
        """The first metric of each task of every clean cell without replicates: levels, task, metric and value."""
        wide = self.of(attack=NO_ATTACK).metrics
        keys = levels(wide).reset_index(drop=True).assign(value=block(wide)[:, 0])
        return keys[keys["attack"] == NO_ATTACK].drop_duplicates(["cell", "scores", "task"])

    @property
    def metrics(self) -> pd.DataFrame:
        """Wide frame of all metrics, see `scores.frame.metrics_frame`."""
        return self._metrics

    @property
    def cells(self) -> Iterable[Cell]:
        """The stored cells, as often as is asked; their arrays need not be there."""
        return self._cells

    @property
    def clean_cells(self) -> Sequence[Cell]:
        """The clean cells with their small arrays."""
        return [cell for cell in self.cells if cell.identity.get("attack", NO_ATTACK) == NO_ATTACK]

    @cached_property
    def damages(self) -> pd.DataFrame:
        """Damage of each task, a wide frame with one row per seed."""
        return damage(relative_drops(self.metrics))

    @cached_property
    def shared_paths(self) -> dict[tuple[str, ...], float]:
        """Levels `NETWORK` of a model -> its shared path, see `models.measured`; only where recorded."""
        found: dict[tuple[str, ...], set[float]] = {}
        for cell in self.cells:
            path = shared_path(cell)
            if path is not None:
                network = tuple(str(cell.identity.get(name)) for name in NETWORK)
                found.setdefault(network, set()).add(path)
        return {network: min(values) for network, values in found.items() if len(values) == 1}

    @cached_property
    def arps(self) -> pd.DataFrame:
        """ARP, a wide frame averaged over the seeds."""
        return over_seeds(arp(self.damages))


@dataclass(frozen=True)
class Table:
    """A tidy frame with a name for its files and a title that says what it shows.

    Attributes:
        name: of the files.
        title: what it shows.
        frame: what the CSV file holds.
        prints: the same in fewer columns, for people; None prints `frame`.
    """

    name: str
    title: str
    frame: pd.DataFrame
    prints: pd.DataFrame | None = None


@dataclass(frozen=True)
class Study:
    """The outcome of a study."""

    tables: tuple[Table, ...]
    plots: tuple[Plot | Matrix, ...] = field(default=())


Analysis = Callable[[Evidence], Study]


def tidy(frame: pd.DataFrame, value: str, **more: pd.Series | Sequence[Any]) -> pd.DataFrame:
    """Levels, value and interval of a wide frame as columns, with further columns, in the order of the frame."""
    table = levels(frame)
    status = table.pop("status") if "status" in table else None
    table[value] = block(frame)[:, 0]
    table[["ci_low", "ci_high"]] = interval(frame).to_numpy()
    for name, column in more.items():
        table[name] = np.asarray(column, dtype=object) if isinstance(column, list) else np.asarray(column)
    return table if status is None else table.assign(status=status)


def rows_of(keys: pd.DataFrame, chosen: pd.Series, on: Sequence[str]) -> pd.Series:
    """For each row of `keys`, the number of the one `chosen` row (bool) that agrees in the columns `on`.

    NaN where there is none, or several: then nothing says which is meant.
    """
    found = keys.loc[chosen, list(on)].assign(row=np.flatnonzero(chosen))
    return keys[list(on)].merge(found.drop_duplicates(on, keep=False), how="left", on=list(on))["row"]


def mean_of(frame: pd.DataFrame, about: pd.DataFrame) -> pd.DataFrame:
    """The mean over seeds of a wide frame with the levels `about` of each cell, in place of those of the same name."""
    keys = levels(frame)
    keys = keys.drop(columns=[name for name in about if name in keys]).join(about, on="cell")
    return over_seeds(frame.set_axis(pd.MultiIndex.from_frame(keys)))


def against(
    wide: pd.DataFrame, value: str, chosen: Callable[[pd.DataFrame], pd.Series], may_differ: Collection[str]
) -> pd.DataFrame:
    """The rows of a wide frame as a table, with their differences to the one chosen row that agrees with each.

    Args:
        wide: means over seeds.
        value: name of the column of their values.
        chosen: levels -> which rows others are compared with, bool.
        may_differ: levels in which these may differ.
    """
    keys = levels(wide)
    base = rows_of(keys, chosen(keys), [name for name in map(str, keys) if name not in (*may_differ, "status")])
    known = base.notna().to_numpy()
    return compared(tidy(wide, value), known, wide[known], wide.iloc[base[known].astype(int)], DIFFERENCE[0])


def least_and_most(keys: pd.DataFrame, damages: pd.DataFrame) -> pd.DataFrame:
    """Columns `LEAST_AND_MOST` of each row of `keys`: the task that is hurt least and most in the mean of the seeds.

    Args:
        keys: levels, one row per ARP.
        damages: wide, one row per task, over the same seeds.
    """
    tasks = levels(damages).reset_index(drop=True).assign(damage=block(damages)[:, 0]).sort_values("damage")
    on = [name for name in keys if name in tasks and name != "status"]
    found = pd.DataFrame(index=keys.index)
    for name, order in (("least", tasks), ("most", tasks[::-1])):
        ends = order.drop_duplicates(on)[[*on, "task", "damage"]]
        met = keys[on].merge(ends, how="left", on=on)
        found[f"{name}_task"], found[f"{name}_damage"] = met["task"], met["damage"]
    return found


def with_accuracy_lost(table: pd.DataFrame, lost: pd.DataFrame) -> pd.DataFrame:
    """The table with the clean accuracy that each row's model has lost: clean_lost_percent, lost_low, lost_high.

    Args:
        table: one row per attacked model, with its status.
        lost: wide, one row per model, of `scores.accuracy_lost` over the seeds.
    """
    columns = {"ci_low": "lost_low", "ci_high": "lost_high", "status": "lost_status"}
    found = tidy(lost, "clean_lost_percent").rename(columns=columns)
    table = table.merge(found[[*MODEL, "clean_lost_percent", *columns.values()]], how="left", on=list(MODEL))
    why = table.pop("lost_status").fillna("no clean result over the same seeds")
    return table.assign(status=table["status"].where(table["status"] != OK, why))


def pareto(points: np.ndarray) -> np.ndarray:
    """Mask of the Pareto-optimal points of [n, k], lower being better in each of the k; NaN never is."""
    if not len(points):
        return np.zeros(0, bool)
    no_worse = (points[:, None] <= points[None]).all(2)
    better = (points[:, None] < points[None]).any(2)
    return ~(no_worse & better).any(0) & ~np.isnan(points).any(1)


def of_other_seeds(keys: pd.DataFrame, setting: Sequence[str], name: str) -> np.ndarray:
    """For each row, what is there in its setting with other seeds only, as a status; empty where nothing is.

    The best of several is one only if all of them are of the same trainings: after half a sweep, the strongest one may
    be there with other seeds.

    Args:
        keys: one row per mean over seeds, with the level ``seeds``.
        setting: levels in which rows are compared; ``seeds`` is ignored.
        name: of the column that says what a row is.
    """
    found = pd.Series("", keys.index, dtype=object)
    for _, group in keys.groupby([level for level in setting if level != "seeds"], dropna=False, sort=False):
        for _, own in group.groupby("seeds"):
            lacking = sorted(set(group[name]) - set(own[name]))
            found[own.index] = f"not compared: with other seeds only: {', '.join(lacking)}" if lacking else ""
    return found.to_numpy()


def compared(
    table: pd.DataFrame, known: np.ndarray, rows: pd.DataFrame, others: pd.DataFrame, name: str
) -> pd.DataFrame:
    """The table with the differences of wide rows: columns `name`, <name>_low, <name>_high, p_value, seeds_needed.

    Args:
        table: what the columns are added to.
        known: which of its rows have somebody to be compared with, bool [rows].
        rows: wide, those that are known.
        others: wide, what each of them is compared with.
        name: of the difference.
    """
    found = paired_difference(rows, others)
    found.columns = pd.Index([name, f"{name}_low", f"{name}_high", "p_value", "seeds_needed"])
    table = table.join(found.set_axis(table.index[known]))
    return table.assign(seeds_needed=table["seeds_needed"].fillna(""))


def arranged(table: pd.DataFrame, keys: Sequence[str], values: Sequence[str]) -> pd.DataFrame:
    """The table with sorted rows and ordered columns: keys in `FIRST`, other keys, values, status.

    Where rows would be equal in all keys, columns behind these say in what they differ. Where there are p-values,
    columns behind the values hold them adjusted for all tests of the table under the same scores (``p_holm``), and how
    many seeds might decide; where there are seeds, one says what the intervals are over.
    """
    table, added = _with_remarks(table)
    values = [*values, *added]
    ordered = [name for name in FIRST if name in keys] + [name for name in keys if name not in FIRST]
    instead = [name for name in ("shared_path", "shared_blocks") if name in table]
    by = [other for name in ordered for other in (instead if name == "sharing" and instead else [name])]
    by = list(dict.fromkeys(by))
    rows = table.sort_values(by, kind="stable", ignore_index=True)
    more = _differing(rows, ordered)
    if len(more.columns):
        # Told apart by these columns, rows are also in their order, and 200 comes before 1000.
        numbers = more.apply(pd.to_numeric, errors="coerce").add_suffix(" as a number")
        sorted_by = pd.concat([rows[by], numbers, more], axis=1)
        order = sorted_by.sort_values(list(sorted_by), kind="stable").index
        rows, more = (frame.loc[order].reset_index(drop=True) for frame in (rows, more))
    return pd.concat([rows[ordered], more, rows[[*values, *(["status"] if "status" in table else [])]]], axis=1)


def _with_remarks(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The table with the columns that follow from others, and their names."""
    added = []
    if "p_value" in table:
        family = table["scores"] if "scores" in table else pd.Series("", table.index)
        p_values = table["p_value"].astype(float)
        table = table.assign(p_holm=p_values.groupby(family, group_keys=False).apply(holm).reindex(table.index))
        added += ["p_holm", *(["seeds_needed"] if "seeds_needed" in table else [])]
    if "seeds" in table:
        if "over" not in table:
            counts = table["seeds"].map(lambda seeds: len(seeds.split(",")))
            table = table.assign(over=[f"images and {n} seeds" if n > 1 else "images only" for n in counts])
        added.append("over")
    return table, added


def _differing(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Columns for options of attack and training, and images, in which rows with the same `keys` differ."""
    alike = rows.groupby(list(keys), dropna=False, sort=False).ngroup()
    several = alike.duplicated(keep=False)
    if not several.any():
        return rows[[]]
    parsed = [[json.loads(text) for text in rows.get(n, ["{}"] * len(rows))] for n in ("options", "recipe")]
    found = pd.DataFrame([spelled_out(attack, recipe) for attack, recipe in zip(*parsed, strict=True)], rows.index)
    images = rows.get("fingerprint", pd.Series("", rows.index)).str[:HASH_DIGITS].rename("fingerprint")
    found = found.join(images).fillna("").drop(columns=[name for name in found if name in rows])
    differing = found[several].groupby(alike[several]).nunique().max() > 1
    return found[[name for name in map(str, found) if differing[name]]]


def labels(keys: pd.DataFrame) -> list[str]:
    """The label of the attack of each row: its name, its target, and its options.

    It says which metrics the attack climbs only where an attack that is equal otherwise climbs others.
    """
    objectives = [json.loads(options).get("objective", {}) for options in keys["options"]]
    climbed = [_flat(objective.pop("metrics", None)) for objective in objectives]
    found = [_label(*row) for row in zip(keys["attack"], keys["target"], objectives, strict=True)]
    dataset = keys["dataset"].to_numpy() if "dataset" in keys else ""
    rows = pd.DataFrame({"label": found, "climbed": climbed, "dataset": dataset})
    several = rows.groupby(["dataset", "label"])["climbed"].transform("nunique") > 1
    return [f"{label}[{of}]" if both else label for label, of, both in zip(found, climbed, several, strict=True)]


def _label(attack: str, target: str, objective: dict[str, object]) -> str:
    settings = {k: v for k, v in objective.items() if k not in ("name", "recipe", "grid", "weights", "judge")}
    shown = ",".join(f"{k}={v:g}" if isinstance(v, float) else f"{k}={_flat(v)}" for k, v in settings.items())
    attack = SEARCH if attack == WEIGHTING else attack  # one of the weightings of the search
    return attack + (f"({shown})" if shown else "") + ("" if target == "all" else f":{target}")


def _flat(value: object) -> str:
    if isinstance(value, dict):
        return "+".join(f"{k}*{_flat(v)}" for k, v in value.items())
    if isinstance(value, list):
        return "/".join(map(_flat, value))
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def attack_settings(keys: pd.DataFrame) -> pd.Series:
    """Step options, starts, norm and tasks of each attack, as JSON text; only attacks that share them are compared."""
    parsed = [json.loads(options) for options in keys["options"]]
    names = ("step_options", "starts", "norm", "tasks")
    return pd.Series([json.dumps([p.get(name) for name in names], sort_keys=True) for p in parsed], dtype=object)


def units(keys: pd.DataFrame) -> pd.Series:
    """The factors by which each attack scales the losses, as JSON text."""
    parsed = [json.loads(options).get("objective", {}) for options in keys["options"]]
    return pd.Series([json.dumps(objective.get("loss_scale"), sort_keys=True) for objective in parsed], dtype=object)
