"""A board of models: clean accuracy beside ARP under the strongest stored attack, ranked with ties.

A model's rank is one more than the number of models that are told apart from it as more robust, so that models which
the images cannot tell apart share a rank (the rule of Chatbot Arena, arXiv 2403.04132, with bootstrap intervals).
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlbench.constants import LINF
from mtlbench.options import is_whole
from mtlbench.scores import arp
from mtlbench.scores.frame import HASH_DIGITS
from mtlbench.scores.wide import OK, replicates
from mtlbench.storage.store import Cell
from mtlbench.studies.base import Evidence, Study, Table, labels

MODEL = (
    *("dataset", "model", "training", "sharing", "shared_blocks", "seed", "n_images", "scores"),
    *("split", "fingerprint", "recipe", "tree", "weights", "precision", "model_version"),
)
"""Levels that identify one trained model and the images it was attacked on."""

SHOWN = ("dataset", "model", "training", "sharing", "seed", "n_images", "scores")
TRAINED = ("weights", "fingerprint", "n_images", "scores")
IMAGES = ("split", "fingerprint", "n_images")
BOARD = ("dataset", "scores", "norm", "eps")
"""Models that agree in these are ranked against each other."""

MOST_READ = 100
"""Of more results the replicates are not read: ranks then go by intervals alone."""


def leaderboard(evidence: Evidence) -> Study:
    """One row for each model; for each eps ARP under the strongest attack, its rank, and the task that suffers most.

    A model against which few attacks were run looks more robust than it is: ``attacks_*`` says how many there were.
    """
    keys = evidence.points.rename(columns={"arp_percent": "arp", "ci_low": "low", "ci_high": "high"})
    keys["norm"] = keys.get("norm", LINF)
    keys["name"], keys["model_key"] = _names(keys), _numbered(keys, MODEL)
    strongest = _strongest(keys)
    near = _overlapping(strongest)
    strongest["rank"] = _ranks(strongest, arp(evidence.some(near if len(near) <= MOST_READ else ()).damages))
    shown = set(strongest["cell"])
    strongest = strongest.join(_worst_tasks(evidence.task_points(shown), strongest))
    board = _one_row_a_model(keys, strongest, evidence.some(shown))
    title = "Leaderboard: ARP under the strongest stored attack, percent; 1 is the most robust, ties share a rank"
    return Study((Table("leaderboard", title, board, _one_row_an_eps(board, _ends(strongest))),))


def _names(keys: pd.DataFrame) -> list[str]:
    """The attack of each row with its step rule."""
    steps = (
        "" if step in ("-", "none") else f", {step} {steps}"
        for step, steps in zip(keys["step"], keys["steps"], strict=True)
    )
    return [label + step for label, step in zip(labels(keys), steps, strict=True)]


def _numbered(keys: pd.DataFrame, names: tuple[str, ...]) -> pd.Series:
    return keys.groupby([name for name in names if name in keys], dropna=False, sort=False).ngroup()


def _strongest(keys: pd.DataFrame) -> pd.DataFrame:
    """For each model, norm and eps the row of the highest ARP, and how many attacks there were, and undefined ones."""
    groups = keys.groupby(["model_key", "norm", "eps"], dropna=False, sort=False)
    counted = groups["arp"].agg(attacks="size", defined="count").reset_index()
    best = keys[keys["arp"].notna()].sort_values("arp", ascending=False, kind="stable")
    best = best.drop_duplicates(["model_key", "norm", "eps"])
    found = best.merge(counted, how="left", on=["model_key", "norm", "eps"])
    return found.sort_values(["norm", "eps", "model_key"], kind="stable", ignore_index=True)


def _ranks(strongest: pd.DataFrame, arps: pd.DataFrame) -> NDArray[np.intp]:
    """The rank of each row among the rows of its board; `arps` is wide, of those whose differences can be paired."""
    ranks = np.ones(len(strongest), np.intp)
    images = _numbered(strongest, IMAGES).to_numpy()
    values, low, high = (strongest[name].to_numpy() for name in ("arp", "low", "high"))
    index = pd.MultiIndex.from_frame(strongest[["cell", "scores"]])
    at = pd.MultiIndex.from_arrays([arps.index.get_level_values(n) for n in ("cell", "scores")]).get_indexer(index)
    drawn = replicates(arps)
    for members in strongest.groupby(list(BOARD), dropna=False, sort=False).indices.values():
        for row in members:
            better = members[values[members] < values[row]]
            apart = high[better] < low[row]
            paired = better[~apart & (images[better] == images[row]) & (at[better] >= 0)]
            ranks[row] += apart.sum()
            if len(paired) and at[row] >= 0 and drawn.shape[1]:
                ranks[row] += (np.percentile(drawn[at[row]] - drawn[at[paired]], 2.5, axis=1) > 0).sum()
    return ranks


def _overlapping(strongest: pd.DataFrame) -> set[str]:
    """Cells whose interval overlaps that of another on the same board and images: pairing may tell them apart."""
    found: set[str] = set()
    on = [name for name in dict.fromkeys((*BOARD, *IMAGES)) if name in strongest]
    for _, group in strongest.groupby(on, dropna=False, sort=False):
        ordered = group.sort_values("low", kind="stable")
        low, high, cells = (ordered[name].to_numpy() for name in ("low", "high", "cell"))
        before = np.r_[-np.inf, np.fmax.accumulate(high)[:-1]] >= low
        found |= set(cells[before | np.r_[before[1:], False]])
    return found


def _worst_tasks(damages: pd.DataFrame, strongest: pd.DataFrame) -> pd.DataFrame:
    """Columns worst_task and worst_damage of each row: of the task with the highest damage under the attack."""
    order = damages.sort_values("damage_percent", ascending=False, kind="stable").drop_duplicates(["cell", "scores"])
    found = strongest[["cell", "scores"]].merge(order, how="left", on=["cell", "scores"])
    names = {"task": "worst_task", "damage_percent": "worst_damage"}
    return found.rename(columns=names)[list(names.values())]


def _one_row_a_model(keys: pd.DataFrame, strongest: pd.DataFrame, evidence: Evidence) -> pd.DataFrame:
    clean = _clean(evidence)
    about = _about(evidence.cells)
    every = keys.drop_duplicates("model_key").set_index("model_key")
    grids = [part.set_index("model_key") for _, part in strongest.groupby(["norm", "eps"])]
    by = [part[column].reindex(every.index).fillna(np.inf) for part in grids for column in ("arp", "rank")]
    # The last one decides first.
    order = np.lexsort([np.arange(len(every)), *(column.to_numpy(float) for column in by)])
    every = every.iloc[order].sort_values(["dataset", "scores"], kind="stable")
    board = every[list(SHOWN)].copy()
    board["parameters"] = [about["parameters"].get(weights, np.nan) for weights in every["weights"]]
    for name in clean:
        board[name] = clean[name].reindex(pd.MultiIndex.from_frame(every[list(clean.index.names)])).to_numpy()
    for end, part in zip(_ends(strongest), grids, strict=True):
        columns = {"rank": "rank", "arp": "arp", "low": "arp_low", "high": "arp_high", "name": "attack"}
        columns |= {"attacks": "attacks", "worst_task": "worst_task", "worst_damage": "worst_damage", "cell": "cell"}
        for column, shown in columns.items():
            head, _, tail = shown.partition("_")
            name = f"arp_{end}_{tail}" if head == "arp" and tail else f"{shown}_{end}"
            board[name] = part[column].reindex(every.index).to_numpy()
    board["weights"] = [str(weights)[:HASH_DIGITS] for weights in every["weights"]]
    board["computed_by"] = [about["computed_by"].get(weights, "") for weights in every["weights"]]
    statuses = _statuses(strongest, evidence.alarms)
    board["status"] = [statuses.get(key, OK) for key in every.index]
    return board.reset_index(drop=True)


def _ends(strongest: pd.DataFrame) -> dict[str, tuple[str, float]]:
    """What the columns of a ball end with -> its norm and eps, as ``groupby`` orders them."""
    balls = sorted({(str(norm), float(eps)) for norm, eps in zip(strongest["norm"], strongest["eps"], strict=True)})
    return {f"eps{eps:g}" if norm == LINF else f"{norm}_eps{eps:g}": (norm, eps) for norm, eps in balls}


def _one_row_an_eps(board: pd.DataFrame, ends: Mapping[str, tuple[str, float]]) -> pd.DataFrame:
    """The board for people: a row for each model and eps, the largest eps and the best rank first."""
    parts = [board[list(SHOWN)].iloc[:0]]
    clean = [name for name in map(str, board) if name.startswith("clean_")]
    for end, (norm, eps) in sorted(ends.items(), key=lambda pair: (pair[1][0], -pair[1][1])):
        part = board[list(SHOWN)].assign(norm=norm, eps=eps, rank=board[f"rank_{end}"])
        part[["arp_percent", "arp_low", "arp_high"]] = board[[f"arp_{end}{side}" for side in ("", "_low", "_high")]]
        part["strongest_attack"] = board[f"attack_{end}"] + _numbers(board[f"attacks_{end}"], " (of {:.0f})")
        part["worst_task"] = board[f"worst_task_{end}"] + _numbers(board[f"worst_damage_{end}"], " {:.1f} %")
        part[[*clean, "parameters", "status"]] = board[[*clean, "parameters", "status"]]
        parts.append(part[part["rank"].notna()].sort_values(["dataset", "scores", "rank"], kind="stable"))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def _numbers(column: pd.Series, text: str) -> list[str]:
    return ["" if pd.isna(number) else text.format(number) for number in column]


def _clean(evidence: Evidence) -> pd.DataFrame:
    """For each trained model, its images and score set the clean value of the first metric of each task."""
    first = evidence.clean_points
    named = first.assign(column="clean_" + first["task"] + "_" + first["metric"]).drop_duplicates([*TRAINED, "column"])
    return named.pivot(index=list(TRAINED), columns="column", values="value")[list(dict.fromkeys(named["column"]))]


def _about(cells: Iterable[Cell]) -> dict[str, dict[str, str | int]]:
    """What the provenance says of each model, by the hash of its weights."""
    found: dict[str, dict[str, str | int]] = {"parameters": {}, "computed_by": {}}
    for cell in cells:
        weights, provenance = str(cell.identity.get("weights")), cell.provenance
        if is_whole(provenance.get("parameters"), 1):
            found["parameters"].setdefault(weights, provenance["parameters"])
        by, before = provenance.get("computed_by"), str(found["computed_by"].get(weights, ""))
        if isinstance(by, str) and by not in before.split(", "):
            found["computed_by"][weights] = f"{before}, {by}" if before else by
    return found


def _statuses(strongest: pd.DataFrame, alarms: Mapping[str, str]) -> dict[object, str]:
    """Model -> why its numbers may mislead; those without a reason are left out."""
    texts: dict[object, list[str]] = {}
    for row in strongest.to_dict("records"):
        if undefined := row["attacks"] - row["defined"]:
            texts.setdefault(row["model_key"], []).append(
                f"eps {row['eps']:g}: {undefined} of {row['attacks']} attacks undefined"
            )
        if row["cell"] in alarms:
            texts.setdefault(row["model_key"], []).append(f"eps {row['eps']:g}: {alarms[row['cell']]}")
    return {model: "; ".join(found) for model, found in texts.items()}
