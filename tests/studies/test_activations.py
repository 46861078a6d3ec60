"""The study of activations, on answers written down by hand."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mtlbench.scores.frame import metrics_frame
from mtlbench.storage.store import Cell
from mtlbench.studies import STUDIES, Evidence

KNOWN = {
    "dataset": "parts",
    "split": "test",
    "fingerprint": "f",
    "n_images": 4,
    "training": "clean",
    "sharing": "all_shared",
    "shared_blocks": 5,
    "tree": "0",
    "step": "pgd",
    "steps": 10,
    "step_options": {},
    "target": "all",
}


def model(
    activation: str | None, clean: list[int], attacked: list[int], name: str = "net", seed: int = 0
) -> list[Cell]:
    """The clean cell and that of an attack on all tasks, of which there is one; which images each gets right."""
    model = name if activation is None else f"{name}-{activation}"
    settings = {"name": model} | ({} if activation is None else {"activation": activation})
    made = []
    for eps, right in ((0.0, clean), (4.0, attacked)):
        attack = "dgba" if eps else "none"
        about = KNOWN | {"model": model, "seed": seed, "weights": f"{model}{seed}", "eps": eps, "attack": attack}
        about |= {"objective": {"name": attack}, "tasks": ["side"] if eps else []}
        counts = np.array([[one, 0, 1, 0, one, 1 - one] for one in right], np.int64)
        arrays = {"side/class_counts": counts, "losses": np.ones((4, 1))}
        made.append(
            Cell(
                about,
                {"recipe": {"dataset": {"settings": {}}, "model": settings, "training": {}}},
                {"side": ["accuracy"]},
                arrays,
            )
        )
    return made


def found(table: str, *models: list[Cell]) -> pd.DataFrame:
    cells = [one for cells in models for one in cells]
    study = STUDIES["activations"](Evidence(metrics_frame(cells, 50), [one.light() for one in cells]))
    (frame,) = (one.frame for one in study.tables if one.name == table)
    return frame[frame["scores"] == "standard"].set_index(["model", "activation"])


RELU = model(None, [1, 1, 1, 1], [1, 1, 0, 0])
GELU = model("gelu", [1, 1, 1, 0], [1, 1, 0, 0])


def test_by_hand() -> None:
    """4 of 4 fall to 2 with ReLU, 3 to 2 with GELU: a third is lost instead of a half, but no image more is right."""
    arps = found("activations", RELU, GELU)
    assert arps["arp_percent"].tolist() == pytest.approx([100 / 3, 50])
    assert arps.loc[("net", "gelu"), "difference"] == pytest.approx(-50 / 3)
    attacked, clean = (found(f"activations_{name}", RELU, GELU) for name in ("attacked", "clean"))
    assert attacked["attacked"].tolist() == [0.5, 0.5]
    assert attacked["difference"].tolist() == [0, 0]
    assert clean.loc[("net", "gelu"), ["clean", "difference"]].tolist() == [0.75, -0.25]


@pytest.mark.parametrize("other", [{"name": "wider"}, {"seed": 1}], ids=["another network", "another training"])
def test_compared_is_with_the_same_network_and_trainings(other: dict[str, Any]) -> None:
    arps = found("activations", RELU, model("gelu", [1, 1, 1, 0], [1, 1, 0, 0], **other))
    assert np.isnan(arps.loc[(other.get("name", "net"), "gelu"), "difference"])
