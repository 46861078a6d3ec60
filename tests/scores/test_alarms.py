"""Alarms: each one is raised by what it is about, and by nothing else."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mtlbench.scores.alarms import alarms, checks_frame, numbers_of
from mtlbench.storage.store import Cell

MODEL = {
    "dataset": "rooms",
    "split": "test",
    "fingerprint": "f",
    "model": "tiny",
    "training": "clean",
    "sharing": "all_shared",
    "shared_blocks": 5,
    "tree": "012",
    "weights": "w",
    "seed": 0,
    "n_images": 10,
}


def cell(attack: str = "dgba", eps: float = 8.0, **arrays: np.ndarray) -> Cell:
    identity = {**MODEL, "attack": attack, "step": "pgd", "steps": 10, "target": "all", "eps": eps}
    values: dict[str, np.ndarray] = {"losses": np.ones((10, 3))}
    if attack == "none":
        values |= {"gradient_zero": np.zeros((10, 3)), "gradient_nonfinite": np.zeros((10, 3))}
        values |= {"saturated": np.array([[0.05, 0.0, 0.0]] * 10)}
    else:
        values |= {name: np.ones((10, 1)) for name in ("rise", "l2", "psnr", "ssim")}
        values |= {name: np.zeros((10, 1)) for name in ("outside", "training_mode")}
    return Cell(identity, {}, {"segmentation": [], "normals": [], "depth": []}, values | arrays)


def raised(cells: list[Cell], arps: list[float]) -> dict[str, str]:
    attacked = [c for c in cells if c.identity["attack"] != "none"]
    arp = pd.DataFrame({"cell": [c.key for c in attacked], "arp_percent": arps})
    found = alarms(checks_frame([numbers_of(one) for one in cells]), arp)
    return {f"{c.identity['attack']} {c.identity['eps']:g}": found[c.key] for c in attacked if c.key in found}


def column(*values: float) -> np.ndarray:
    return np.array(values + (1.0,) * (10 - len(values)))[:, None]


def test_a_sound_attack_raises_nothing() -> None:
    cells = [cell("none", 0.0), cell(eps=0.0), cell(eps=4.0), cell(eps=8.0), cell("noise")]
    assert raised(cells, [0.0, 40.0, 60.0, 3.0]) == {}


def test_images_without_a_valid_pixel_are_counted_and_raise_nothing() -> None:
    losses = np.ones((10, 3))
    losses[:2, 2] = 0
    single = cell("single", losses=losses, rise=column(0.0, 0.0))
    single = replace(single, identity=single.identity | {"target": "depth", "tasks": ["depth"]})
    numbers = numbers_of(single)
    assert (numbers["no_valid_pixel"], numbers["tiny_loss"], numbers["not_risen"]) == (0.2, 0, 0)
    assert raised([cell("none", 0.0), single], [20.0]) == {}
    others = replace(single, identity=single.identity | {"target": "all", "tasks": ["normals", "depth"]})
    assert numbers_of(others)["not_risen"] == 0.2, "these had something to climb"


def test_nothing_stored() -> None:
    assert alarms(checks_frame([]), pd.DataFrame({"cell": [], "arp_percent": []})) == {}


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"rise": column(-1.0)}, "did not rise on 10% of the images"),
        ({"rise": column(np.nan)}, "did not rise on 10% of the images"),
        ({"outside": np.full((10, 1), 0.5)}, "left the ball or box by 0.5 grey levels"),
        ({"losses": np.full((10, 3), np.nan)}, "losses are not finite on 100% of the images"),
        ({"losses": np.full((10, 3), 1e-9)}, "1/L was cut off"),
        ({"training_mode": np.ones((10, 1))}, "not in evaluation mode"),
    ],
)
def test_an_attacks_own_numbers(arrays: dict[str, Any], text: str) -> None:
    found = raised([cell("none", 0.0), cell(**arrays)], [50.0])
    assert list(found) == ["dgba 8"]
    assert found["dgba 8"].startswith("alarm: ")
    assert text in found["dgba 8"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("gradient_zero", "of a task's input gradient is zero"), ("gradient_nonfinite", "is not finite")],
)
def test_gradients_of_the_clean_cell_count_for_its_attacks(name: str, text: str) -> None:
    bad = np.zeros((10, 3))
    bad[:, 1] = 0.9
    assert text in raised([cell("none", 0.0, **{name: bad}), cell()], [50.0])["dgba 8"]


SATURATED = {"saturated": np.array([[1.0, 0.0, 0.0]] * 3 + [[0.0] * 3] * 7)}


def test_logits_so_far_apart_that_cross_entropy_has_no_gradient() -> None:
    clean = cell("none", 0.0, **SATURATED)
    numbers = numbers_of(clean)
    assert (numbers["saturated"], numbers["saturated_tasks"]) == (pytest.approx(0.3), "segmentation")
    found = raised([clean, cell(), cell("noise")], [50.0, 1.0])
    assert list(found) == ["dgba 8"]
    assert "cross-entropy has no gradient on 30% of segmentation" in found["dgba 8"]
    for remedy in ("attack.logits=normalised", "class_margin", "label_margin"):
        assert remedy in found["dgba 8"]


def test_saturation_concerns_who_climbs_that_cross_entropy() -> None:
    clean = cell("none", 0.0, **SATURATED)
    single = cell("single")
    others = {
        "normalised": replace(cell(), identity={**cell().identity, "logits": "normalised"}),
        "depth": replace(single, identity={**single.identity, "target": "depth", "tasks": ["depth"]}),
    }
    for other in others.values():
        assert raised([clean, other], [50.0]) == {}
    seg = replace(single, identity={**single.identity, "target": "segmentation", "tasks": ["segmentation"]})
    assert list(raised([clean, seg], [50.0])) == ["single 8"]


def test_cells_of_before_say_nothing_of_saturation() -> None:
    clean = cell("none", 0.0)
    old = replace(clean, arrays={name: a for name, a in clean.arrays.items() if name != "saturated"})
    assert "saturated" not in numbers_of(old)
    assert raised([old, cell()], [50.0]) == {}


def test_noise_need_not_rise() -> None:
    assert raised([cell("none", 0.0), cell("noise", rise=-np.ones((10, 1)))], [1.0]) == {}


def test_damage_that_falls_as_eps_grows() -> None:
    cells = [cell("none", 0.0), cell(eps=4.0), cell(eps=8.0), cell(eps=16.0)]
    found = raised(cells, [40.0, 30.0, 50.0])
    assert found == {"dgba 8": "alarm: ARP falls from 40.0 at eps 4 to 30.0"}


def test_noise_as_strong_as_the_attack() -> None:
    cells = [cell("none", 0.0), cell(eps=4.0), cell(eps=8.0), cell("noise", eps=8.0)]
    assert raised(cells, [10.0, 20.0, 25.0]) == {"dgba 8": "alarm: random noise is as strong (25.0)"}
