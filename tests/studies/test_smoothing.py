"""The study of certificates on votes written down by hand."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mtlbench.constants import LABEL, NOISE, SELECTED, VOTES
from mtlbench.scores.frame import metrics_frame
from mtlbench.storage.store import Cell
from mtlbench.studies import STUDIES, Evidence

MODEL = {
    "dataset": "points",
    "split": "test",
    "fingerprint": "f",
    "n_images": 4,
    "weights": "w",
    "seed": 0,
    "training": "clean",
    "sharing": "all_shared",
    "shared_blocks": 5,
    "tree": "t",
    "eps_unit": "length",
}
ATTACK = {"step": "pgd", "steps": 10, "step_options": {}, "target": "all", "tasks": ["side"]}
PLAIN: dict[str, Any] = {"model": "net"}
SMOOTHED: dict[str, Any] = {
    "model": "net+smoothing(sigma=0.5)",
    "defence": {"name": "smoothing", "sigma": 0.5, "draws": 1000, "alpha": 0.001, "model": "net"},
}
VOTED = np.array([[1000, 0], [900, 100], [520, 480], [0, 1000]])


def cell(right: list[int], attack: str = "none", eps: float = 0.0, norm: str = "l2", **identity: Any) -> Cell:
    """Of two classes, of which the first is always true: those that are `right`, the others wrong."""
    counts = np.array([[one, 0, 1, 0, one, 1 - one] for one in right], np.int64)  # correct, in the truth, predicted
    arrays = {"side/class_counts": counts, "losses": np.ones((4, 1))}
    if "defence" in identity:
        arrays |= {f"side/{VOTES}": VOTED, f"side/{SELECTED}": VOTED.argmax(1, keepdims=True)}
        arrays |= {f"side/{LABEL}": np.zeros((4, 1), np.int64), NOISE: np.array([[0.5, 1.0]] * 4)}
    more = {"norm": norm} if norm != "linf" and attack != "none" else {}
    about = MODEL | ATTACK | identity | {"attack": attack, "objective": {"name": attack}, "eps": eps} | more
    return Cell(about, {}, {"side": ["accuracy"]}, arrays)


def study(*cells: Cell) -> Any:
    frame = metrics_frame(cells)
    (table,) = STUDIES["smoothing"](Evidence(frame, [one.light() for one in cells])).tables
    return table.frame.set_index("radius")


CELLS = [
    cell([1, 1, 0, 1], **PLAIN),
    cell([1, 1, 1, 0], **SMOOTHED),
    cell([1, 0, 0, 0], "total", 0.4, **PLAIN),
    cell([1, 1, 0, 0], "total", 0.4, **SMOOTHED),
    cell([0, 1, 1, 0], "dgba", 0.4, **SMOOTHED),
    cell([1, 0, 0, 0], "single", 0.4, **SMOOTHED),
    cell([1, 1, 0, 1], "total", 0.7, norm="linf", **SMOOTHED),
]


def test_by_hand() -> None:
    """1000 of 1000: 1.232; 900: .5 Phi^-1(.867) = .556; 520 abstains; the last is certified in the wrong class."""
    found = study(*CELLS)
    assert found.index.tolist() == [0, 0.15, 0.31, 0.4, 0.46, 0.62, 0.77, 0.92, 1.1, 1.2]
    certified = found["certified_accuracy"]
    assert certified[[0, 0.4, 0.46, 0.62, 1.2]].tolist() == [0.5, 0.5, 0.5, 0.25, 0.25]
    assert (found["clean_accuracy"] == 0.75).all()
    assert (found["certify_abstained"] == 0.25).all()
    assert (found["predict_abstained"] == 0.25).all()
    assert (found["sigma"] == 0.5).all()
    assert (found["unit"] == "length").all()
    assert found["euclidean"].tolist() == found.index.tolist()
    attacked: pd.DataFrame = found[["attacked_accuracy", "attacked_undefended"]].dropna()
    assert attacked.to_dict("index") == {
        0.0: {"attacked_accuracy": 0.75, "attacked_undefended": 0.75},
        0.4: {"attacked_accuracy": 0.25, "attacked_undefended": 0.25},
    }
    assert (found["ci_low"] <= certified).all()
    assert (certified <= found["ci_high"]).all()


def test_the_mean_over_seeds() -> None:
    """Votes are those of both; the second training is broken by the attack."""
    second = [
        cell([1, 1, 1, 1], **PLAIN, seed=1, weights="v"),
        cell([1, 1, 1, 0], **SMOOTHED, seed=1, weights="v"),
        cell([0, 0, 0, 0], "total", 0.4, **SMOOTHED, seed=1, weights="v"),
    ]
    found = study(*CELLS, *second)
    assert set(found["seeds"]) == {"0,1"}
    assert found["ci_low"].min() >= 0
    assert found["ci_high"].max() <= 1
    assert found.loc[0.4, "attacked_accuracy"] == pytest.approx((0.25 + 0) / 2)
    assert np.isnan(found.loc[0.4, "attacked_undefended"]), "of one training only"
    assert found.loc[0.0, "attacked_undefended"] == pytest.approx((0.75 + 1) / 2)


def test_without_a_smoothed_model_there_is_nothing_to_tell() -> None:
    assert study(CELLS[0], CELLS[2]).empty
