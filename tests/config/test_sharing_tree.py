"""The sharing tree of a configuration follows the backbone's number of blocks."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from mtlbench.config.model import sharing_tree
from mtlbench.config.values import check_values
from mtlbench.errors import UsageError
from mtlbench.models.backbone import Head
from mtlbench.models.sharing import Tree, level, parse
from mtlbench.models.tree_model import build
from mtlbench.tasks import Task, three_tasks
from tests.fakes import Trivial

CONF = Path(__file__).parents[2] / "conf" / "sharing"
TASKS = three_tasks()


class Four(Trivial):
    """Four blocks; counts the tasks that ask for a head."""

    blocks = 4

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Task] = []

    def head(self, task: Task) -> Head:
        self.asked.append(task)
        return super().head(task)


def chosen(name: str, blocks: int, **more: Any) -> Tree:
    config = {"sharing": yaml.safe_load((CONF / f"{name}.yaml").read_text()) | more}
    check_values(config)
    return sharing_tree(config, 3, blocks)


@pytest.mark.parametrize("blocks", [4, 5, 6])
def test_levels_follow_the_number_of_blocks(blocks: int) -> None:
    assert chosen("all_shared", blocks) == level(3, blocks, blocks)
    assert chosen("independent", blocks) == level(3, 0, blocks)
    for shared in range(1, 5):
        assert chosen(f"share{shared}", blocks) == level(3, shared, blocks)
        assert chosen("tree", blocks, index=f"share{shared}") == level(3, shared, blocks)
    assert chosen("share4", 4).name == chosen("tree", 4, index="share4").name == "all_shared"
    assert chosen("tree", blocks, index=0) == level(3, 0, blocks)
    text = "|".join(["012"] * (blocks - 1) + ["0,12"])
    assert chosen("tree", blocks, partitions=text) == parse(text, 3, blocks)


@pytest.mark.parametrize(
    ("name", "blocks", "more", "message"),
    [
        ("share4", 3, {}, r"sharing\.shared_blocks=4: expected 0 \(independent\) to 3 \(all shared\)"),
        (
            "all_shared",
            5,
            {"shared_blocks": "every"},
            r"sharing\.shared_blocks=every: expected all, or a number",
        ),
        ("all_shared", 5, {"shared_blocks": None}, r"sharing\.shared_blocks=null: expected 0 \(independent\) to 5"),
        ("tree", 4, {"index": 35}, r"sharing\.index=35: 3 tasks have 35 trees, 0 to 34"),
        ("tree", 4, {"partitions": "012|012|012|012|012"}, "expected 4 blocks written like 012|012|0,1,2|0,1,2"),
        ("tree", 1, {"partitions": "012|012"}, "expected 1 blocks written like 012"),
        ("tree", 4, {}, "`mtlbench layouts tasks=3 blocks=4` lists the trees"),
    ],
)
def test_what_does_not_fit_the_backbone(name: str, blocks: int, more: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        chosen(name, blocks, **more)


def test_all_trees_are_those_of_five_blocks() -> None:
    config = {"sharing": {"index": 0, "partitions": None}, "all_trees": True}
    assert sharing_tree(config, 3).name == "independent"
    with pytest.raises(UsageError, match="3 tasks and 4 blocks have 35"):
        sharing_tree(config, 3, 4)


def test_a_model_of_four_blocks_whose_heads_know_their_task() -> None:
    backbone = Four()
    model = build(backbone, chosen("share4", 4), TASKS, 0).eval()
    assert backbone.asked == list(TASKS)
    assert isinstance(model.blocks, nn.ModuleDict) and len(model.blocks) == 4
    assert {n: p.shape[1] for n, p in model(torch.rand(1, 3, 8, 8)).items()} == {t.name: t.channels for t in TASKS}
