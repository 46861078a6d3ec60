"""Two outputs folders side by side: which numbers differ, by how much, and what was done differently.

Results meet that have the same names; those of the same images are compared in pairs, because both were resampled
alike. Where the images differ, the two are independent samples, and their variances add up.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlbench.constants import NO_ATTACK, SAMPLE_OF
from mtlbench.errors import DamagedCellError, DataError, OldCellError
from mtlbench.scores import arp, damage, holm, interval, paired_difference, relative_drops
from mtlbench.scores.frame import metrics_frame, names, spelled_out
from mtlbench.scores.student import quantile, two_sided_normal
from mtlbench.scores.wide import block, levels, replicates
from mtlbench.storage.store import Cell, Store
from mtlbench.studies.base import labels

Refused = Callable[[DamagedCellError | OldCellError], None]

CHUNK = 32
"""Cells whose metrics are in memory at once."""

NAMES = (
    *("dataset", "model", "training", "sharing", "attack", "step", "steps", "eps", "norm", "seed", "n_images"),
    *("scores", "task", "metric"),
)
EXACT = ("cell", "scores", "task", "metric")
NAMED = (
    "dataset",
    "model",
    "training",
    "sharing",
    "attack",
    "target",
    "eps",
    "norm",
    "seed",
    "scores",
    "task",
    "metric",
)
MEETINGS: tuple[tuple[str, ...], ...] = (
    EXACT,
    *(
        (*NAMED, "step", *rest)
        for rest in (
            ("steps", "n_images", "options", "recipe", "precision"),
            ("steps", "n_images", "options", "recipe"),
            ("steps", "n_images", "options"),
            ("steps", "n_images", "recipe"),
            ("steps", "options", "recipe"),
            ("steps", "n_images"),
            ("n_images",),
            (),
        )
    ),
)
"""In what results agree that are compared, from all to little: the first of these that only one on each side has."""

IMAGES = ("dataset", "split", "fingerprint", "n_images")
IDENTITY = (
    *("fingerprint", "n_images", "weights", "tree", "options", "recipe", "steps", "precision", "model_version"),
    "cell",
)
"""Levels in which two results that are compared may differ."""


@dataclass(frozen=True)
class Side:
    """The results of one folder.

    Attributes:
        name: of the folder.
        arps: wide frame, one row per attacked cell and score set.
        clean: wide frame of the metrics of clean cells.
        settings: setting -> its values, see `settings`.
    """

    name: str
    arps: pd.DataFrame
    clean: pd.DataFrame
    settings: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Changes:
    """What differs between folders, as tidy frames.

    Attributes:
        arp: a row for each pair of results of an attack whose ARP differs.
        clean: a row for each pair of clean metrics that differ.
        only: a row for each result that only one of the folders has.
        settings: a row for each setting whose values differ, a column for each folder.
        equal: how many pairs of results are equal to the last digit.
    """

    arp: pd.DataFrame
    clean: pd.DataFrame
    only: pd.DataFrame
    settings: pd.DataFrame
    equal: int


def side(name: str, store: Store, refused: Refused, paper_batch: int) -> Side:
    """The results of one folder, which is read twice, so that few cells are in memory at once.

    Args:
        name: of the folder.
        store: its cells.
        refused: called with the error of each cell that is left out.
        paper_batch: images per batch of the paper's batch means.
    """
    told: dict[str, dict[str, None]] = {}
    clean = [cell for cell in _telling(_whole(store, refused), told) if cell.identity["attack"] == NO_ATTACK]
    reference = metrics_frame(clean, paper_batch=paper_batch)
    found = [
        arp(damage(relative_drops(pd.concat([reference, metrics_frame(chunk, paper_batch=paper_batch)]))))
        for chunk in _chunks(cell for cell in _whole(store, lambda _: None) if cell.identity["attack"] != NO_ATTACK)
    ]
    arps = pd.concat(found) if found else arp(damage(relative_drops(reference)))
    return Side(name, arps, reference, {setting: list(values) for setting, values in told.items()})


def _whole(store: Store, refused: Refused) -> Iterator[Cell]:
    """The cells of all images, without those of the check of convergence."""
    return (cell for cell in store.readable(refused) if SAMPLE_OF not in cell.identity)


def _chunks(cells: Iterable[Cell]) -> Iterator[list[Cell]]:
    chunk: list[Cell] = []
    for cell in cells:
        chunk.append(cell)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _telling(cells: Iterable[Cell], told: dict[str, dict[str, None]]) -> Iterator[Cell]:
    """The cells, while `told` collects what they say of `settings`."""
    for cell in cells:
        for setting, value in settings(cell).items():
            told.setdefault(setting, {})[value] = None
        yield cell


def settings(cell: Cell) -> dict[str, str]:
    """With what a cell was computed: data, training, attack, code and machine; no path and no name of a host."""
    identity, about = cell.identity, cell.provenance
    versions = about.get("versions")
    found = {name: str(identity.get(name)) for name in ("dataset", "model", "training", "sharing", "attack", "seed")}
    found |= {"images": f"{identity.get('n_images')}, {str(identity.get('fingerprint'))[:8]}"}
    found |= {"eps": f"{identity.get('eps'):g}", "precision": str(identity.get("precision", "fp32"))}
    found |= {"commit": str(about.get("commit", ""))[:12], "device": str(about.get("device_name", ""))}
    named = names(cell)
    found |= spelled_out(json.loads(named["options"]), json.loads(named["recipe"]))
    found |= (
        {f"version of {name}": str(one) for name, one in versions.items()} if isinstance(versions, Mapping) else {}
    )
    return {name: value for name, value in found.items() if value}


def compare(sides: Sequence[Side]) -> Changes:
    """Every folder against the first one.

    Raises:
        DataError: one has no results.
    """
    for one in sides:
        if one.clean.empty and one.arps.empty:
            raise DataError(f"compare: {one.name} has no results")
    first, *others = sides
    arps = [_differences(first, other, first.arps, other.arps) for other in others]
    clean = [_differences(first, other, first.clean, other.clean) for other in others]
    only = [found.only for found in (*arps, *clean)]
    return Changes(
        _table(found.differing for found in arps),
        _table(found.differing for found in clean),
        pd.concat(only, ignore_index=True).sort_values(["folder", *NAMES[:-2]], ignore_index=True),
        _settings(sides),
        sum(found.equal for found in (*arps, *clean)),
    )


@dataclass(frozen=True)
class _Met:
    differing: pd.DataFrame
    only: pd.DataFrame
    equal: int


def _differences(first: Side, other: Side, a: pd.DataFrame, b: pd.DataFrame) -> _Met:
    """The rows of two wide frames that meet: those that differ, those of one side only, and how many are equal."""
    left, right = (levels(frame).drop(columns="status", errors="ignore") for frame in (a, b))
    rows, others = _meeting(left, right)
    alone = [
        keys.drop(index=taken).assign(folder=one.name)
        for keys, taken, one in ((left, rows, first), (right, others, other))
    ]
    x, y = a.iloc[rows], b.iloc[others]
    same = ((block(x) == block(y)) | (np.isnan(block(x)) & np.isnan(block(y)))).all(1)
    table = _measured(left.iloc[rows], x, y, _alike(left.iloc[rows], right.iloc[others], IMAGES))
    table["differs"] = _what_differs(left.iloc[rows], right.iloc[others])
    table["cell"], table["other_cell"] = left["cell"].iloc[rows].to_numpy(), right["cell"].iloc[others].to_numpy()
    table.insert(0, "folder", other.name)
    named = pd.concat([_named(part, "folder").assign(cell=part["cell"].to_numpy()) for part in alone])
    only = named.drop(columns=["task", "metric"], errors="ignore").drop_duplicates(ignore_index=True)
    return _Met(table[~same], only, int(same.sum()))


def _meeting(left: pd.DataFrame, right: pd.DataFrame) -> tuple[list[int], list[int]]:
    """Positions of the rows that are compared with each other."""
    a, b = (keys.assign(attack=_labelled(keys)) for keys in (left, right))
    rows: list[int] = []
    others: list[int] = []
    for on in MEETINGS:
        on = tuple(name for name in on if name in left and name in right)
        free_a, free_b = a.drop(index=rows), b.drop(index=others)
        single = [free[~free.duplicated(list(on), keep=False)].reset_index() for free in (free_a, free_b)]
        met = single[0][["index", *on]].merge(single[1][["index", *on]], on=list(on))
        rows += met["index_x"].tolist()
        others += met["index_y"].tolist()
    return rows, others


def _labelled(keys: pd.DataFrame) -> list[str]:
    """The label of each attack: name and target alone, where nothing else is told of it."""
    return labels(keys) if "options" in keys else keys["attack"].tolist()


def _alike(left: pd.DataFrame, right: pd.DataFrame, on: Sequence[str]) -> NDArray[np.bool_]:
    """Which pairs agree in the columns `on`."""
    shared = [name for name in on if name in left and name in right]
    return np.all([left[name].to_numpy() == right[name].to_numpy() for name in shared], axis=0)


def _measured(keys: pd.DataFrame, a: pd.DataFrame, b: pd.DataFrame, paired: np.ndarray) -> pd.DataFrame:
    """Both values and the difference b - a, with their intervals."""
    table = _named(keys)
    for name, frame in (("value", a), ("other", b)):
        table[name] = block(frame)[:, 0]
        table[[f"{name}_low", f"{name}_high"]] = interval(frame).to_numpy()
    both = a.set_axis(range(len(a))), b.set_axis(range(len(b)))
    found = paired_difference(both[1], both[0])
    half, p_values = _independent(*both, found["diff"].to_numpy())
    table["difference"] = found["diff"].to_numpy()
    table["difference_low"] = np.where(paired, found["ci_low"], found["diff"] - half)
    table["difference_high"] = np.where(paired, found["ci_high"], found["diff"] + half)
    table["p_value"] = np.where(paired, found["p_value"], p_values)
    table["images"] = np.where(paired, "the same, paired", "others, not paired")
    return table


def _independent(a: pd.DataFrame, b: pd.DataFrame, difference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half the 95 % interval of the difference of two independent samples, and its p-value."""
    if not replicates(a).shape[1]:
        return np.full(len(a), np.nan), np.full(len(a), np.nan)
    deviation = np.sqrt(replicates(a).var(1) + replicates(b).var(1))
    z = np.divide(np.abs(difference), deviation, out=np.full(len(a), np.nan), where=deviation > 0)
    return quantile(0.05, None) * deviation, two_sided_normal(z)


def _named(keys: pd.DataFrame, *first: str) -> pd.DataFrame:
    """The columns that name a result, for people."""
    shown = keys.assign(attack=_labelled(keys))
    return shown[[*first, *(name for name in NAMES if name in shown)]].reset_index(drop=True)


def _what_differs(left: pd.DataFrame, right: pd.DataFrame) -> list[str]:
    """In which parts of their identity the two results of each pair differ."""
    return [
        _words(a, b) for a, b in zip(left.to_dict("records"), right.to_dict("records"), strict=True)
    ]  # fmt: skip


def _words(a: Mapping[Any, Any], b: Mapping[Any, Any]) -> str:
    differing = [name for name in IDENTITY if name in a and name in b and a[name] != b[name]]
    if not differing:
        return "only the numbers: another machine or other versions"
    details = [_options(a, b)] if {"options", "recipe"} & set(differing) else []
    plain = [name for name in differing if name not in ("options", "recipe", "cell")]
    return ", ".join([*plain, *filter(None, details)])


def _options(a: Mapping[Any, Any], b: Mapping[Any, Any]) -> str:
    """Options of attack and training with other values."""
    x, y = (spelled_out(json.loads(one["options"]), json.loads(one["recipe"])) for one in (a, b))
    changed = [n for n in dict.fromkeys((*x, *y)) if x.get(n) != y.get(n)]
    return ", ".join(f"{name} {x.get(name, '-')} -> {y.get(name, '-')}" for name in changed)


def _table(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all folders, with p-values adjusted for all tests of the table under the same scores."""
    table = pd.concat(list(parts), ignore_index=True)
    table = table.sort_values(["folder", *(name for name in NAMES if name in table)], ignore_index=True)
    adjusted = table["p_value"].astype(float).groupby(table["scores"], group_keys=False).apply(holm)
    table.insert(list(table).index("p_value") + 1, "p_holm", adjusted.reindex(table.index))
    return table


def _settings(sides: Sequence[Side]) -> pd.DataFrame:
    """One row for each setting whose values are not the same in all folders."""
    every = dict.fromkeys(setting for one in sides for setting in one.settings)
    rows = [(setting, *(", ".join(sorted(one.settings.get(setting, ()))) for one in sides)) for setting in every]
    return pd.DataFrame(
        [row for row in rows if len(set(row[1:])) > 1], columns=["setting", *(one.name for one in sides)]
    )
