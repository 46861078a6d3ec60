"""The printed tables of results, as pivots: ARP, damage of each task, transfer from task to task, metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

import pandas as pd

from mtlbench.constants import NO_ATTACK
from mtlbench.errors import UsageError
from mtlbench.report.layout import Layout
from mtlbench.report.pivot import Pivot
from mtlbench.report.pivoting import Value, pivot
from mtlbench.scores.tables import ALWAYS_SHOWN, ALWAYS_TELL, TASK_ORDER
from mtlbench.scores.wide import IDENTITY, OK, SEARCH, WEIGHTING

Frames = Mapping[str, pd.DataFrame]

MODEL = ("dataset", "model", "training", "seed", "sharing")
"""What is attacked, in the order of the columns."""

SAME = (*MODEL, "n_images", "eps", "norm", "task", "metric", "training_dataset", *ALWAYS_SHOWN, *ALWAYS_TELL)
SAME_OPTIONS = ("training_", "augment_", "dataset_")
"""Columns, and beginnings of columns, in which results agree that are comparable: same model, images and ball."""

MEAN = "mean"
"""The destination that is the mean over all."""

TASKS: dict[object, float] = {**{name: place for place, name in enumerate(TASK_ORDER)}, MEAN: inf}
OF_TASKS = ("task", "source", "destination")
"""Columns that hold tasks."""

ATTACKED = ("attack", "step", "steps")
SENT = ("source", "step", "steps")


@dataclass(frozen=True)
class Kind:
    """One of the printed tables.

    Attributes:
        frame: name of the tidy table.
        value: its columns of numbers.
        title: with the score set and the interval to be filled in.
        rows: what names a row behind `MODEL`.
        columns: what names a column.
        ranked: whether the larger of two values of one model is that of the better attack.
    """

    frame: str
    value: Value
    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    ranked: bool = False


KINDS = {
    "arp": Kind(
        "arp",
        Value("arp_percent", note="weights"),
        "ARP: percent of the clean metrics lost ({scores} scores; {interval})",
        ATTACKED,
        ("eps",),
        ranked=True,
    ),
    "arp_capped": Kind(
        "arp",
        Value("arp_capped", "capped_low", "capped_high", "capped_status", note="weights"),
        "Capped ARP: the same, no metric counted above 100 % ({scores} scores; {interval})",
        ATTACKED,
        ("eps",),
        ranked=True,
    ),
    "damage": Kind(
        "damage",
        Value("damage_percent"),
        "Damage: percent of a task's clean metrics lost ({scores} scores; {interval})",
        ATTACKED,
        ("task", "eps"),
        ranked=True,
    ),
    "transferability": Kind(
        "transferability",
        Value("ratio", "ratio_low", "ratio_high", digits=2),
        "Transferability ratio: damage to the other tasks / damage to the attacked task",
        SENT,
        ("eps",),
    ),
    "normalised_transfer": Kind(
        "transferability",
        Value("normalised_ratio", "normalised_low", "normalised_high", "normalised_status", digits=2),
        "Normalised transfer: damage to the other tasks / damage that attacks on them do",
        SENT,
        ("eps",),
    ),
    "metrics": Kind(
        "metrics",
        Value("attacked", digits=3),
        "Metrics, clean (attack none) and attacked ({scores} scores)",
        ("attack", "eps", "step", "steps"),
        ("task", "metric"),
    ),
}
INTERVAL = {"half": "± half the 95 % interval over images", "bounds": "[95 % interval over images]"}
PRINTED = ("arp", "transferability", "normalised_transfer")
"""The tables on the terminal, unless the user names others."""


def pivots(
    frames: Frames, scores: str, layout: Layout | None = None, paths: Mapping[str, float] | None = None
) -> dict[str, Pivot]:
    """Every printed table that has something to show; capped ARP where a metric is, or it is asked for.

    Arguments as in `laid_out`.
    """
    found = laid_out(frames, scores, layout, paths)
    arps = frames["arp"][frames["arp"]["scores"] == scores]
    if not (layout and "arp_capped" in layout.tables) and arps["arp_capped"].equals(arps["arp_percent"]):
        found.pop("arp_capped", None)
    if not frames["transferability"]["normalised_ratio"].notna().any():  # never with an attack on one task alone
        found.pop("normalised_transfer", None)
    return {name: made for name, made in found.items() if made.rows}


def laid_out(
    frames: Frames, scores: str, layout: Layout | None = None, paths: Mapping[str, float] | None = None
) -> dict[str, Pivot]:
    """Every printed table that has the columns that the layout names.

    Args:
        frames: the four tidy tables of results.
        scores: the score set.
        layout: what the user asked of the tables.
        paths: cell -> shared part of a task's path, where known: the order of the sharing levels.

    Raises:
        UsageError: no table has these columns, or no result meets the condition.
    """
    layout = layout or Layout()
    fitting = [name for name, kind in KINDS.items() if _fits(layout, frames[kind.frame])]
    if not fitting:
        naming = dict.fromkeys(name for frame in frames.values() for name in _identifying(frame))
        every = dict.fromkeys(str(name) for frame in frames.values() for name in frame)
        raise layout.error(list(naming), list(every))
    for name in layout.tables:
        if name not in fitting:
            raise UsageError(f"report.tables={name}: lacks one of the columns {', '.join(layout.names)}")
    found = {name: one(frames, name, scores, layout, paths) for name in fitting}
    if layout.where is not None and not any(made.rows for made in found.values()):
        raise UsageError(f"report.where={layout.where.text}: no result meets it")
    return found


def printed(found: Mapping[str, Pivot], layout: Layout) -> list[Pivot]:
    """Those of the pivots that are shown on the terminal: those that the layout names, or else the first that fit."""
    if layout.tables:
        return [found[name] for name in layout.tables if name in found]
    choices = [PRINTED, *([("damage",), tuple(found)] if layout.names else [])]
    shown = [[found[name] for name in names if name in found] for names in choices]
    return next((some for some in shown if some), [])


def one(frames: Frames, name: str, scores: str, layout: Layout, paths: Mapping[str, float] | None = None) -> Pivot:
    """The printed table `name` of `KINDS`; the other arguments as in `pivots`."""
    kind = KINDS[name]
    frame = frames[kind.frame]
    frame = frame[frame["scores"] == scores]
    if layout.where is not None:
        frame = frame[layout.where.rows(frame)]
    further = [*MODEL, *kind.rows, *kind.columns, *_options(frame), "n_images"]
    columns = layout.columns or kind.columns
    names = [*layout.rows, *columns, *further]
    return pivot(
        _prepared(frames, kind, frame, layout.placed),
        kind.value,
        layout.rows,
        columns,
        further,
        kind.rows[0],
        compared=[name for name in names if not _same(name)] if kind.ranked else (),
        order=dict.fromkeys(OF_TASKS, TASKS)
        | {"sharing": _by_sharing(frame, paths or {}), "attack": {NO_ATTACK: 0.0}},
        interval=layout.interval,
        name=name,
        title=kind.title.format(scores=scores, interval=INTERVAL[layout.interval]),
        source=f"{kind.frame}.csv",
    )


def _fits(layout: Layout, frame: pd.DataFrame) -> bool:
    return layout.placed <= set(_identifying(frame)) and layout.selecting <= set(frame)


def _identifying(frame: pd.DataFrame) -> list[str]:
    """The columns that name a row of a tidy table."""
    columns = list(map(str, frame))
    values = next(
        n for n, name in enumerate(columns) if name in {kind.value.name for kind in KINDS.values()} | {"unit"}
    )
    return [name for name in columns[:values] if name != "scores"]


def _options(frame: pd.DataFrame) -> list[str]:
    """The columns behind `IDENTITY` that distinguish otherwise equal rows."""
    return [n for n in _identifying(frame) if n not in (*IDENTITY, "task", "metric", "source", "destination")]


def _same(name: str) -> bool:
    return name in SAME or name.startswith(SAME_OPTIONS)


def _by_sharing(frame: pd.DataFrame, paths: Mapping[str, float]) -> dict[object, float]:
    """Sharing -> its place, by the shared part of a path if it is known of all, else by the shared blocks."""
    shared = frame["cell"].map(paths)
    by = shared if len(frame) and shared.notna().all() else frame["shared_blocks"]
    return by.groupby(frame["sharing"]).mean().dropna().to_dict()


def _prepared(frames: Frames, kind: Kind, frame: pd.DataFrame, placed: set[str]) -> pd.DataFrame:
    """The rows that are shown, with texts for people."""
    if kind.frame == "transferability":
        frame = frame if "destination" in placed else frame[frame["destination"] == MEAN]
        # The gain is not shown here, so neither is the reason why it is undefined.
        return frame.assign(status=frame["status"].mask(frame["status"].str.startswith("gain "), OK))
    arps = frames["arp"][frames["arp"]["scores"].isin(frame["scores"])]
    frame = frame[(frame["attack"] != WEIGHTING) | frame["cell"].isin(_best_weightings(arps))]
    if kind.frame == "metrics":
        units = frame["unit"].astype(str)
        frame = frame.assign(metric=frame["metric"] + (" (" + units + ")").mask(units == "1", ""))
    elif kind.frame == "damage":
        frame = frame.assign(status=_statuses(arps, frame))
    searched = frame["attack"] == WEIGHTING
    frame = frame.assign(weights=frame["target"].where(searched, ""))
    if "target" in placed:
        return frame
    whole = searched | (frame["target"] == "all")
    attack = frame["attack"].where(whole, frame["attack"] + ":" + frame["target"])
    return frame.assign(attack=attack.mask(searched, f"{SEARCH}:best weighting"))


def _best_weightings(arps: pd.DataFrame) -> set[str]:
    """The cells of the weightings of weighted_total that have the highest ARP of their run."""
    tried = arps[arps["attack"] == WEIGHTING]
    same = [name for name in IDENTITY if name != "target"]
    return set(tried.sort_values("arp_percent", ascending=False, kind="stable").drop_duplicates(same)["cell"])


def _statuses(arps: pd.DataFrame, damages: pd.DataFrame) -> pd.Series:
    """Of each damage: the alarms of its cell, and why it is undefined, which the ARP says of all tasks."""
    known = dict(zip(arps["cell"], arps["status"], strict=True))
    status = damages["cell"].map(known)
    return status.mask(damages["damage_percent"].notna() & status.str.startswith("undefined"), OK).fillna(OK)
