"""What a stored cell is called in tables, and what keeps it apart from others."""

import json
from typing import Any

import pytest

from mtlbench.scores.frame import details, names
from mtlbench.storage.store import Cell

TASKS = {"segmentation": ["miou"], "normals": ["angle_mean"], "depth": ["abs_err"]}
TRAINING = {"name": "adversarial", "eps": 8.0, "seed": 0}


def cell(recipe: dict | None = None, **identity: object) -> Cell:
    return Cell({"attack": "dgba", "target": "all", **identity}, {"recipe": recipe}, TASKS, {})


def recipe(mirror: bool = True, **training: object) -> dict:
    return {"training": TRAINING | training, "dataset": {"settings": {"augment": {"mirror": mirror}}}}


@pytest.mark.parametrize(
    ("tasks", "target"),
    [([], "all"), (list(TASKS), "all"), (["depth"], "depth"), (["segmentation", "depth"], "segmentation+depth")],
)
def test_the_target_says_which_tasks_are_attacked(tasks: list[str], target: str) -> None:
    found = names(cell(tasks=tasks))
    assert found["target"] == target
    assert json.loads(found["options"]).get("tasks", []) == (tasks if target != "all" else [])


def test_single_keeps_its_target_and_its_options() -> None:
    found = names(cell(attack="single", target="depth", tasks=["depth"]))
    assert (found["target"], found["options"]) == ("depth", "{}")


def test_the_recipe_is_what_decides_the_weights_but_for_the_seed() -> None:
    def name(mirror: bool = True, **training: Any) -> str:
        return names(cell(recipe(mirror, **training)))["recipe"]

    assert name() == name(seed=1)
    assert name() != name(eps=4.0)
    assert name() != name(False)


def test_weights_that_do_not_say_have_no_recipe() -> None:
    assert names(cell())["recipe"] == "{}"


def test_details_are_what_a_reader_would_call_it() -> None:
    identity = {
        "objective": {"name": "power", "alpha": 1.5, "loss_scale": {"depth": 10.0}},
        "step": "pgd",
        "step_options": {"steps": 10, "size": 0.25},
        "starts": {"restarts": 3, "random_start": True},
        "weights": "0123456789",
    }
    found = details(cell(recipe(), **identity))
    assert (
        found
        | {
            "alpha": "1.5",
            "loss_scale": "depth*10",
            "step_size": "0.25",
            "restarts": "3",
            "random_start": "true",
            "training_eps": "8",
            "augment_mirror": "true",
            "weights": "01234567",
            "precision": "fp32",
        }
        == found
    )
    assert not {"name", "step_steps", "training_name", "training_seed"} & found.keys()
