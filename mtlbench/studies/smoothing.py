"""What does randomised smoothing certify, beside what attacks leave? Accuracy over the radius, for every task."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlbench.constants import NOISE
from mtlbench.scores import bootstrap_weights, over_seeds
from mtlbench.scores.certificate import Certificate, largest_radius, of_cell
from mtlbench.scores.frame import REPLICATES, names
from mtlbench.scores.tables import GREY
from mtlbench.scores.wide import OK, Block, block, levels
from mtlbench.storage.store import Cell
from mtlbench.studies.base import MODEL, Evidence, Study, Table, arranged, tidy
from mtlbench.studies.plot import Axis, Plot

OF_MODEL = [*(name for name in MODEL if name not in ("seeds", "scores")), "seed", "weights"]
LEVELS = [*OF_MODEL, "unit", "task", "sigma", "draws", "radius", "status"]
NAMES = ("dataset", "model", "training", "sharing", "shared_blocks", "seeds", "n_images")
KEYS = [*NAMES, "task", "sigma", "draws", "unit", "radius"]
CLEAN_OR_ATTACKED = ["dataset", "weights", "fingerprint", "n_images", "model", "task", "eps"]
OF_CLEAN = {"clean_accuracy": "voted", "certify_abstained": "abstained", "predict_abstained": "undecided"}
"""Column -> what it is the share of, in a `Certificate`."""

SHARES = (*OF_CLEAN, "attacked_accuracy", "attacked_undefended")
"""Columns of means beside the certified accuracy."""

PARTS = 8
"""Of the way to the largest radius that the draws allow."""

Row = Mapping[str, Any]


def smoothing(evidence: Evidence) -> Study:
    """Certified accuracy of every task of every smoothed model over the radius, beside the attacked accuracy.

    Radii are those of attacks of norm l2 on the same dataset, and parts of the largest one that the draws allow, in
    the unit of eps; ``euclidean`` is the same as a Euclidean length in the unit of the inputs (the median, where
    inputs have different sizes). ``clean_accuracy`` and ``attacked_accuracy`` are of the majority of the votes, the
    second the lowest under any stored attack of norm l2 and this radius: what is certified is not above it but by
    chance. ``certify_abstained`` are inputs without a certificate, ``predict_abstained`` those without an answer.
    ``attacked_undefended`` is that of the same weights without the defence. Radius 0 is no attack.
    """
    lowest = _lowest(evidence)
    rows = [row for cell in evidence.clean_cells for row in _rows(cell, lowest)]
    others = {name: over_seeds(_frame(rows, name).iloc[:, :1]) for name in ("euclidean", *SHARES)}
    means = {name: pd.Series(block(frame)[:, 0]) for name, frame in others.items()}
    table = tidy(over_seeds(_frame(rows, "certified_accuracy")), "certified_accuracy", **means)
    table[["ci_low", "ci_high"]] = table[["ci_low", "ci_high"]].clip(0, 1)  # a t interval of a share may end beyond
    table = arranged(table, KEYS, ["euclidean", "certified_accuracy", "ci_low", "ci_high", *SHARES])
    title = "Certified accuracy over the radius, beside the lowest under attack"
    plot = Plot(
        "smoothing", title, _lines(table), "line", Axis("radius", "radius, unit of eps, norm l2"),
        Axis("accuracy", "accuracy", "", "low", "high"), "which",
        panel=("model", "training", "sharing", "task"),
    )  # fmt: skip
    return Study((Table("smoothing", title, table),), (plot,))


def _lowest(evidence: Evidence) -> pd.DataFrame:
    """Columns `CLEAN_OR_ATTACKED` and accuracy: the lowest of all attacks of norm l2; clean cells have eps 0."""
    metrics = evidence.of(norm="l2").metrics
    table = levels(metrics).assign(accuracy=block(metrics.iloc[:, :1])[:, 0])
    table = table[(table["metric"] == "accuracy") & (table["scores"] == "standard")]
    return table.groupby(CLEAN_OR_ATTACKED)["accuracy"].min().reset_index()


def _rows(cell: Cell, lowest: pd.DataFrame) -> Iterator[Row]:
    """One for every task and radius of a clean cell; none where nothing is certified."""
    identity = names(cell)
    same = lowest[(lowest[["dataset", "fingerprint"]] == [identity["dataset"], identity["fingerprint"]]).all(axis=1)]
    for task, found in of_cell(cell).items():
        defence = cell.identity["defence"]
        sigma, length = np.median(cell.arrays[NOISE], axis=0)
        most = largest_radius(float(sigma / length), int(defence["draws"]), float(defence["alpha"]))
        weights = bootstrap_weights(len(found.known), REPLICATES, 0)
        about = {name: identity.get(name) for name in OF_MODEL} | {"task": task, "status": OK}
        about |= {"unit": cell.identity.get("eps_unit", GREY), "sigma": defence["sigma"], "draws": defence["draws"]}
        about |= {name: _share(getattr(found, kind), found, weights)[0] for name, kind in OF_CLEAN.items()}
        own = same[(same["task"] == task) & (same["weights"] == identity["weights"])]
        models = about["model"], defence["model"]
        under = [own[own["model"] == model].set_index("eps")["accuracy"] for model in models]
        for radius in _radii(most, same["eps"]):
            yield about | {
                "radius": radius,
                "euclidean": radius * float(length),
                "certified_accuracy": _share(found.correct & (found.radius > radius), found, weights),
                **dict(zip(SHARES[-2:], (one.get(radius, np.nan) for one in under), strict=True)),
            }


def _share(kind: NDArray[np.bool_], found: Certificate, weights: Block) -> Block:
    """The share [1 + R] of the inputs with a label that are of some kind."""
    counted = weights @ found.known
    return np.divide(weights @ kind, counted, out=np.full(len(weights), np.nan), where=counted > 0)


def _radii(most: float, attacked: pd.Series) -> list[float]:
    """Those of attacks, and parts of the largest one, to two digits."""
    return sorted({0.0, *attacked.tolist(), *(float(f"{most * part / PARTS:.2g}") for part in range(1, PARTS + 1))})


def _frame(rows: Sequence[Row], name: str) -> pd.DataFrame:
    """The column `name` of the rows as a wide frame."""
    keys = pd.DataFrame([[row[level] for level in LEVELS] for row in rows], columns=LEVELS)
    values = np.array([np.broadcast_to(row[name], 1 + REPLICATES) for row in rows], np.float64)
    return pd.DataFrame(values.reshape(len(rows), 1 + REPLICATES), pd.MultiIndex.from_frame(keys))


def _lines(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a row for each line of the plot at each radius."""
    certified = table.assign(which="certified", accuracy=table["certified_accuracy"])
    certified = certified.assign(low=table["ci_low"], high=table["ci_high"])
    words = zip(SHARES[-2:], ("attacked", "attacked without the defence"), strict=True)
    others = [table.assign(which=word, accuracy=table[name], low=np.nan, high=np.nan) for name, word in words]
    return pd.concat([certified, *others], ignore_index=True).dropna(subset="accuracy").assign(scores="standard")
