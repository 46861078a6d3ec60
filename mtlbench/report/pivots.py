"""The printed tables of results: ARP, damage of each task, transferability and its normalised form, as pivots."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from mtlbench.report.pivot import Interval, Pivot, Value, pivot
from mtlbench.scores.tables import ALWAYS_TELL
from mtlbench.scores.wide import IDENTITY, OK, SEARCH, WEIGHTING

Frames = Mapping[str, pd.DataFrame]

MODEL = ("dataset", "model", "training", "seed", "sharing")
"""What is attacked, in the order of the columns."""

SAME = (*MODEL, "n_images", "eps", "norm", "task", "training_dataset", *ALWAYS_TELL)
SAME_OPTIONS = ("training_", "augment_", "dataset_")
"""Columns, and beginnings of columns, in which results agree that are comparable: same model, images and ball."""


@dataclass(frozen=True)
class Layout:
    """What the user asked of the printed tables.

    Attributes:
        rows: columns that name a row; empty takes those that vary.
        columns: columns that name a column of the table; empty takes those of each table.
        interval: see `pivot`.
    """

    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    interval: Interval = "half"


@dataclass(frozen=True)
class _Kind:
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
    ranked: bool = True


ATTACKED = ("attack", "step", "steps")
SENT = ("source", "step", "steps")
KINDS = {
    "arp": _Kind(
        "arp",
        Value("arp_percent", note="weights"),
        "ARP: percent of the clean metrics lost ({scores} scores; {interval})",
        ATTACKED,
        ("eps",),
    ),
    "damage": _Kind(
        "damage",
        Value("damage_percent"),
        "Damage: percent of a task's clean metrics lost ({scores} scores; {interval})",
        ATTACKED,
        ("task", "eps"),
    ),
    "transferability": _Kind(
        "transferability",
        Value("ratio", "", "", digits=2),
        "Transferability ratio: damage to the other tasks / damage to the attacked task",
        SENT,
        ("eps",),
        ranked=False,  # it compares the metrics of two tasks
    ),
    "normalised_transfer": _Kind(
        "transferability",
        Value("normalised_ratio", "normalised_low", "normalised_high", "normalised_status", digits=2),
        "Normalised transfer: damage to the other tasks / damage that attacks on them do",
        SENT,
        ("eps",),
        ranked=False,
    ),
}
INTERVAL = {"half": "± half the 95 % interval over images", "bounds": "[95 % interval over images]"}


def pivots(
    frames: Frames, scores: str, layout: Layout | None = None, order: Mapping[object, float] | None = None
) -> dict[str, Pivot]:
    """Every printed table that has a row; without one of normalised transfer where no ratio of it is defined.

    Args:
        frames: the four tidy tables of results.
        scores: the score set.
        layout: what the user asked of the tables.
        order: sharing -> its place, such as the shared part of a task's path; by default that of the shared blocks.
    """
    found = {name: one(frames, name, scores, layout, order) for name in KINDS}
    defined = frames["transferability"]["normalised_ratio"].notna().any()  # never with an attack on one task alone
    return {name: p for name, p in found.items() if p.rows and (name != "normalised_transfer" or defined)}


def one(
    frames: Frames,
    name: str,
    scores: str,
    layout: Layout | None = None,
    order: Mapping[object, float] | None = None,
) -> Pivot:
    """The printed table `name` of `KINDS`; arguments as in `pivots`."""
    kind, layout = KINDS[name], layout or Layout()
    frame = frames[kind.frame]
    options = _further(frame, kind)
    frame = _prepared(frames, kind, frame[frame["scores"] == scores])
    columns = layout.columns or kind.columns
    further = [*MODEL, *kind.rows, *kind.columns, *options, "n_images"]
    return pivot(
        frame,
        kind.value,
        layout.rows,
        columns,
        [column for column in further if column not in columns],
        compared=_differing([*layout.rows, *columns, *further]) if kind.ranked else (),
        order={"sharing": order or dict(zip(frame["sharing"], frame["shared_blocks"], strict=True))},
        interval=layout.interval,
        name=name,
        title=kind.title.format(scores=scores, interval=INTERVAL[layout.interval]),
    )


def _further(frame: pd.DataFrame, kind: _Kind) -> list[str]:
    """The columns behind `IDENTITY`, before the value and what names it, which distinguish otherwise equal rows."""
    columns = list(map(str, frame))
    ends = [columns.index(name) for name in ("task", "source", kind.value.name) if name in columns]
    return columns[len(IDENTITY) : min(ends)]


def _differing(names: list[str]) -> set[str]:
    """Those in which two attacks on the same model may differ."""
    return {name for name in names if name not in SAME and not name.startswith(SAME_OPTIONS)}


def _prepared(frames: Frames, kind: _Kind, frame: pd.DataFrame) -> pd.DataFrame:
    if kind.frame == "transferability":
        frame = frame[frame["destination"] == "mean"]
        # The gain is not shown here, so neither is the reason why it is undefined.
        return frame.assign(status=frame["status"].mask(frame["status"].str.startswith("gain "), OK))
    best = _best_weightings(frames["arp"][frames["arp"]["scores"].isin(frame["scores"])])
    frame = frame[(frame["attack"] != WEIGHTING) | frame["cell"].isin(best)]
    if "status" not in frame:
        frame = frame.assign(status=_statuses(frames["arp"], frame))
    searched = frame["attack"] == WEIGHTING
    frame = frame.assign(weights=frame["target"].where(searched, ""))
    whole = searched | (frame["target"] == "all")
    named = frame["attack"].where(whole, frame["attack"] + ":" + frame["target"])
    return frame.assign(attack=named.mask(searched, f"{SEARCH}:best weighting"))


def _best_weightings(frame: pd.DataFrame) -> set[str]:
    """The cells of the weightings of weighted_total that have the highest ARP of their run."""
    tried = frame[frame["attack"] == WEIGHTING]
    same = [name for name in IDENTITY if name != "target"]
    return set(tried.sort_values("arp_percent", ascending=False, kind="stable").drop_duplicates(same)["cell"])


def _statuses(arps: pd.DataFrame, damages: pd.DataFrame) -> pd.Series:
    """Of each damage: the alarms of its cell, and why it is undefined, which the ARP says of all tasks."""
    known = dict(zip(arps["cell"], arps["status"], strict=True))
    status = damages["cell"].map(known)
    value = damages["damage_percent"]
    return status.mask(value.notna() & status.str.startswith("undefined"), OK).fillna(OK)
