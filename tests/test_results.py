"""What a stored cell is called in tables, and what keeps it apart from others."""

import json
from typing import Any

import pytest

from mtlbench.results import names
from mtlbench.store import Cell

TASKS = {"segmentation": ["miou"], "normals": ["angle_mean"], "depth": ["abs_err"]}
CONFIG = {
    "checkpoint": "auto",
    "training": {"name": "adversarial", "eps": 8, "save_every": 100},
    "dataset": {"augment": {"mirror": True}},
}


def cell(config: dict | None = None, **identity: object) -> Cell:
    return Cell({"attack": "dgba", "target": "all", **identity}, {"config": config} if config else {}, TASKS, {})


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


def test_the_recipe_is_what_decides_the_weights() -> None:
    usual: Any = CONFIG["training"]

    def recipe(**training: object) -> str:
        return names(cell({**CONFIG, "training": {**usual, **training}}))["recipe"]

    assert recipe() == recipe(save_every=1)
    assert recipe() != recipe(eps=4)
    augmented = names(cell({**CONFIG, "dataset": {"augment": {"mirror": False}}}))["recipe"]
    assert augmented != recipe()


def test_given_weights_have_no_recipe() -> None:
    assert names(cell({**CONFIG, "checkpoint": "file.safetensors"}))["recipe"] == "{}"
    assert names(cell())["recipe"] == "{}"
