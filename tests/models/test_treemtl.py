"""Files of TreeMTL, written by a replica of its classes: the same numbers, the right tree, refusals that say why."""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtlbench.errors import CheckpointError
from mtlbench.models import aspp, deeplab_resnet34
from mtlbench.models.backbone import Backbone
from mtlbench.models.checkpoint import load_weights, tree_in
from mtlbench.models.deeplab_resnet34 import DeepLabResNet34
from mtlbench.models.inputs import BGR_MEAN, CONVENTIONS, Inputs
from mtlbench.models.mobilenet_v2 import MobileNetV2, TreeMTLMobileNetV2
from mtlbench.models.model import weights_hash
from mtlbench.models.sharing import Tree, level, parse
from mtlbench.models.tree_model import TreeModel
from mtlbench.models.treemtl import NAMES
from mtlbench.tasks import NORMALS, Task, five_tasks, three_tasks
from tests.models.replica import (
    CHANNELS,
    FORMS,
    MOBILENET_V2,
    NARROW,
    NARROW_HEAD,
    WIDTHS,
    Layout,
    Replica,
    layered,
    modules,
    replica,
    save,
)
from tests.quickly import first

THREE = ("segment_semantic", "normal", "depth_zbuffer")
FIVE = tuple(NAMES)
TASKS = three_tasks()
TOGETHER, PAIR, APART = [{0, 1, 2}], [{0}, {1, 2}], [{0}, {1}, {2}]


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our network in the widths of the replica; which widths it has is nothing to the reader of files."""
    monkeypatch.setattr(deeplab_resnet34, "WIDTHS", NARROW)
    monkeypatch.setattr(aspp, "WIDTH", NARROW_HEAD)


@pytest.mark.parametrize(
    ("blocks", "tensors", "millions"),
    [([TOGETHER] * 5, 288, 90.7), ([TOGETHER, TOGETHER, PAIR, APART, APART], 582, 131.7)],
)
def test_the_replica_is_as_large_as_theirs(blocks: list[list[set[int]]], tensors: int, millions: float) -> None:
    with torch.device("meta"):
        model = Replica(Layout(3, layered(blocks)), {task: CHANNELS[task] for task in THREE}, modules(WIDTHS))
    assert len(model.state_dict()) == tensors
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(millions * 1e6, rel=1e-3)


def empty(tree: Tree, tasks: Sequence[Task] = TASKS, backbone: type[Backbone] = DeepLabResNet34) -> TreeModel:
    """A model without weights, so that whatever is not filled shows."""
    with torch.device("meta"):
        model = TreeModel(backbone(), tree, tasks)
    model.to_empty(device="cpu")
    model.inputs = Inputs(CONVENTIONS["bgr255-mean"])  # no part of the weights
    for tensor in model.state_dict().values():
        tensor.fill_(torch.nan if tensor.dtype.is_floating_point else -1)
    return model.eval()


def same_predictions(
    file: Path,
    theirs: Replica,
    tasks: Sequence[Task],
    side: int,
    tree: Tree,
    backbone: type[Backbone] = DeepLabResNet34,
) -> None:
    assert tree_in(file, [task.name for task in tasks], 5) == tree
    model = empty(tree, tasks, backbone)
    load_weights(model, file)
    image = torch.rand(2, 3, side, side + 4, generator=torch.Generator().manual_seed(side))
    seen = image.flip(1) * 255 - torch.tensor(BGR_MEAN)[:, None, None]
    with torch.no_grad():
        found, expected = model(image), theirs(seen)
        if len(tasks) < 5:  # of NYUv2: rounding depends on the place of a channel, so theirs are reversed, too
            torch.testing.assert_close(found[NORMALS], expected["normal"].flip(1))
            theirs = deepcopy(theirs)
            for name, parameter in theirs.heads["normal"].named_parameters():
                parameter.copy_(parameter.flip(0) if "conv3" in name else parameter)
            expected = theirs(seen)
    assert expected.keys() == set(theirs.tasks)
    for name, prediction in expected.items():
        assert torch.equal(found[NAMES[name]], prediction)


@pytest.mark.parametrize(
    ("blocks", "text", "side"),
    [
        ([TOGETHER] * 5, "012|012|012|012|012", 65),
        ([TOGETHER, TOGETHER, PAIR, APART, APART], "012|012|0,12|0,1,2|0,1,2", 64),
        ([[{1, 2}, {0}], [{1, 2}, {0}], [{2}, {0}, {1}], [{1}, {0}, {2}], APART], "0,12|0,12|0,1,2|0,1,2|0,1,2", 97),
    ],
    ids=["all_shared", "tree", "groups in another order"],
)
def test_three_tasks(tmp_path: Path, blocks: list[list[set[int]]], text: str, side: int) -> None:
    theirs = replica(blocks, THREE)
    same_predictions(save(theirs, tmp_path / "x.model"), theirs, TASKS, side, parse(text, 3))


@pytest.mark.parametrize(
    ("form", "backbone", "side"),
    first((("resnet34, operations", DeepLabResNet34, 64), ("mobilenet_v2, operations", TreeMTLMobileNetV2, 97))),
)
def test_networks_of_operations(tmp_path: Path, form: str, backbone: type[Backbone], side: int) -> None:
    """What TreeMTL's own script trains. Activations above 6 are no exception: ReLU6 would show."""
    theirs = replica([TOGETHER, TOGETHER, PAIR, PAIR, APART], THREE, form=FORMS[form])
    file = save(theirs, tmp_path / "x.model")
    same_predictions(file, theirs, TASKS, side, parse("012|012|0,12|0,12|0,1,2", 3), backbone)


def test_a_mobilenet_of_taskonomy(tmp_path: Path) -> None:
    everyone, some = [{0, 1, 2, 3, 4}], [{0, 3}, {1, 2, 4}]
    theirs = replica([everyone] * 4 + [some], FIVE, form=FORMS["mobilenet_v2, operations"], segment_semantic=17)
    tree = parse("01234|01234|01234|01234|03,124", 5)
    file = save(theirs, tmp_path / "x.model")
    same_predictions(file, theirs, five_tasks([1.0] * 17), 64, tree, TreeMTLMobileNetV2)


@pytest.mark.parametrize("form", first(FORMS))
def test_names_alone_tell_the_network_where_everything_is_shared(tmp_path: Path, form: str) -> None:
    file, theirs = tmp_path / "bare.pt", replica([TOGETHER] * 5, THREE, form=FORMS[form])
    torch.save({f"module.{name}": tensor for name, tensor in theirs.state_dict().items()}, file)
    backbone = TreeMTLMobileNetV2 if form.startswith("mobilenet") else DeepLabResNet34
    same_predictions(file, theirs, TASKS, 33, level(3, 5), backbone)


def test_the_tree_of_a_mobilenet_has_its_own_blocks(tmp_path: Path) -> None:
    """Strides 8 and 16 are one block of theirs."""
    theirs = replica([TOGETHER] * 5, THREE, form=FORMS["mobilenet_v2, operations"])
    theirs.layout.state = [*[TOGETHER] * 12, *[PAIR] * (sum(MOBILENET_V2) - 12)]
    message = refusal(save(theirs, tmp_path / "x.model"))
    assert "its layout has 52 blocks, its weights have 32" in message
    theirs.layout.state = [*[TOGETHER] * 12, *[PAIR] * 6, *[TOGETHER] * 14]
    theirs.backbone.mtl_blocks.extend(theirs.backbone.mtl_blocks[-6:])
    message = refusal(save(theirs, tmp_path / "x.model"), backbone=TreeMTLMobileNetV2)
    assert "its tasks part inside of block 1 (layers 7 to 17)" in message


def test_a_network_is_not_the_other(tmp_path: Path) -> None:
    """The length of a layout says which network it is; a file that says the wrong one does not fit."""
    mobile = save(replica([TOGETHER] * 5, THREE, form=FORMS["mobilenet_v2, operations"]), tmp_path / "x.model")
    assert "weights of TreeMTL's MobileNetV2; expected model=mobilenet_v2_treemtl, found deeplab" in refusal(mobile)
    message = refusal(mobile, backbone=MobileNetV2)
    assert "expected model=mobilenet_v2_treemtl, found mobilenet_v2" in message
    assert "expected model=deeplab_resnet34, found mobilenet_v2_treemtl" in refusal(
        save(replica([TOGETHER] * 5, THREE), tmp_path / "y.model"), backbone=TreeMTLMobileNetV2
    )


def test_thirty_two_copies_without_a_layout_need_not_be_a_mobilenet(tmp_path: Path) -> None:
    """A ResNet34 of which fifteen layers are there twice has as many; its tensors do not fit."""
    theirs = replica([TOGETHER, *[PAIR] * 3, TOGETHER], THREE, form=FORMS["resnet34, operations"])
    theirs.backbone.mtl_blocks.extend(theirs.backbone.mtl_blocks[-2:])
    assert len(theirs.backbone.mtl_blocks) == sum(MOBILENET_V2)
    message = refusal(save(theirs, tmp_path / "x.model", layout=None), backbone=TreeMTLMobileNetV2)
    assert "tensors for blocks.0_0-1-2.*; expected" in message


def test_five_tasks_of_taskonomy_keep_their_normals(tmp_path: Path) -> None:
    everyone, some = [{0, 1, 2, 3, 4}], [{0, 3}, {1, 2, 4}]
    tasks = five_tasks([1.0] * 17)
    theirs = replica([everyone, everyone, everyone, some, some], FIVE, segment_semantic=17)
    tree = parse("01234|01234|01234|03,124|03,124", 5)
    same_predictions(save(theirs, tmp_path / "x.model"), theirs, tasks, 64, tree)


def test_tasks_in_another_order(tmp_path: Path) -> None:
    """Their task 0 is depth; in our tree it is task 2. An old file, with NumPy's numbers among its scores."""
    theirs = replica([TOGETHER, *[PAIR] * 4], THREE[::-1])
    theirs.layout.score = np.float64(0.5)
    file = save(theirs, tmp_path / "x.model", zipped=False)
    same_predictions(file, theirs, TASKS, 33, parse("012|01,2|01,2|01,2|01,2", 3))


SMALL = ([TOGETHER] * 5, THREE)


@pytest.fixture(scope="module")
def all_shared() -> Replica:
    return replica(*SMALL)


def test_what_is_said(all_shared: Replica, tmp_path: Path) -> None:
    said: list[str] = []
    load_weights(empty(level(3, 5)), save(all_shared, tmp_path / "x.model"), said.append)
    assert said == [
        "took the weights in 'state_dict', left out beside them: 'iter', 'layout', 'optimizer', 'scheduler'",
        "a file of TreeMTL, a ResNet34 of tree 012|012|012|012|012",
        "its normals are (z, y, x), as those of its NYUv2: the three outputs are reversed",
    ]


def refusal(
    file: Path,
    tree: Tree | None = None,
    tasks: Sequence[Task] = TASKS,
    backbone: type[Backbone] = DeepLabResNet34,
) -> str:
    model = empty(tree or level(3, 5), tasks, backbone)
    before = weights_hash(model)
    with pytest.raises(CheckpointError) as caught:
        load_weights(model, file)
    assert str(caught.value).startswith(f"{file}: ")
    assert weights_hash(model) == before
    return str(caught.value)


def test_another_tree_than_asked_for(all_shared: Replica, tmp_path: Path) -> None:
    message = refusal(save(all_shared, tmp_path / "x.model"), level(3, 2))
    assert "holds weights of tree 012|012|012|012|012; expected tree 012|012|0,1,2|0,1,2|0,1,2" in message


KNOWN = "expected layers: 17, those of a ResNet34 or 32, those of a MobileNetV2"


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (None, f"its layout is of no network known here; {KNOWN}"),
        ([TOGETHER] * 5, f"its layout of 5 layers is of no network known here; {KNOWN}"),
        ([TOGETHER] * 31, f"its layout of 31 layers is of no network known here; {KNOWN}"),
        (Layout(3, []), f"its layout is of no network known here; {KNOWN}"),
        ([TOGETHER] * 16 + [[{0, 1}]], "layer 16 of its layout does not place 3 tasks once each"),
        ([TOGETHER] * 16 + [[{0, 1}, {1, 2}]], "layer 16 of its layout does not place 3 tasks once each"),
        ([TOGETHER] * 16 + [[{0, 1, 2}, set()]], "layer 16 of its layout does not place 3 tasks once each"),
        ([TOGETHER] * 16 + [["012"]], "layer 16 of its layout does not place 3 tasks once each"),
        ([TOGETHER] * 16 + [[{0, 1, "2"}]], "layer 16 of its layout does not place 3 tasks once each"),
        ([TOGETHER] * 16 + [[{0}] * 10**5], "layer 16 of its layout does not place 3 tasks once each"),
        ([TOGETHER] * 16 + [[{0, 1}, {2}]], "its layout has 18 blocks, its weights have 17"),
    ],
    ids=["none", "coarse", "shorter", "itself", "missing", "twice", "empty", "text", "mixed", "many", "others"],
)
def test_layouts_that_do_not_fit(all_shared: Replica, tmp_path: Path, state: object, message: str) -> None:
    assert message in refusal(save(all_shared, tmp_path / "x.model", layout=Layout(3, state)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("heads.normal.fc1.conv1.bias"), "23 tensors for heads.normals.*; expected 24"),
        (lambda s: s.update({"heads.normal.fc1.conv1.bias": torch.zeros(1)}), "has shape (1,), expected (8,)"),
        (
            lambda s: s.update({"heads.normal.fc4.conv3.bias": torch.zeros(1).expand(10**12)}),
            "has shape (1000000000000,), expected (3,)",
        ),
        (lambda s: s.update({"heads.boundary.fc1.conv1.bias": torch.zeros(1)}), "is no name of a TreeMTL model with"),
        (
            lambda s: s.update({"backbone.mtl_blocks.18.residual_block.0.weight": torch.zeros(1)}),
            "gaps in its numbers",
        ),
        (
            lambda s: s.update({"backbone.mtl_blocks.0.compute_nodes.0.basicOp.weight": torch.zeros(1)}),
            "7 tensors for blocks.0_0-1-2.*; expected 6",
        ),
        (lambda s: [s.pop(n) for n in list(s) if n.startswith("heads.")], "without heads"),
        (
            lambda s: [s.pop(n) for n in list(s) if n.startswith("heads.normal")],
            "does not place 2 tasks once each",
        ),
        (lambda s: s["heads.normal.fc4.conv3.bias"].fill_(torch.nan), "holds values that are NaN"),
    ],
    ids=["fewer", "shape", "enormous", "task", "gap", "mixed", "headless", "two", "nan"],
)
def test_weights_that_do_not_fit(all_shared: Replica, tmp_path: Path, change: Any, message: str) -> None:
    state: dict[str, Tensor] = {name: tensor.clone() for name, tensor in all_shared.state_dict().items()}
    change(state)
    assert message in refusal(save(all_shared, tmp_path / "x.model", state_dict=state))


def test_no_layout_and_copies(tmp_path: Path) -> None:
    theirs = replica([TOGETHER] * 4 + [[{0, 1}, {2}]], THREE)
    assert "20 blocks but no layout" in refusal(save(theirs, tmp_path / "x.model", layout=None))


def test_tasks_that_part_inside_of_a_block(tmp_path: Path) -> None:
    theirs = replica([TOGETHER] * 4 + [[{0, 1}, {2}]], THREE)
    theirs.layout.state[13] = [{0, 1}, {2}]
    theirs.layout.state[14] = TOGETHER
    message = refusal(save(theirs, tmp_path / "x.model"))
    assert "its tasks part inside of block 3 (layers 8 to 13); expected copies of whole blocks" in message


def test_tasks_that_meet_again(tmp_path: Path) -> None:
    theirs = replica([[{0, 1}, {2}]] + [TOGETHER] * 4, THREE)
    assert "its layout is no tree" in refusal(save(theirs, tmp_path / "x.model"))


def test_another_model_or_other_tasks(all_shared: Replica, tmp_path: Path) -> None:
    file = save(all_shared, tmp_path / "x.model")
    five = five_tasks([1.0] * 17)
    with pytest.raises(CheckpointError, match="holds the tasks segmentation, normals, depth; the dataset has seg"):
        tree_in(file, [task.name for task in five], 5)
    with torch.device("meta"):
        mobile = TreeModel(MobileNetV2(), level(3, 5), TASKS)
    with pytest.raises(CheckpointError, match="expected model=deeplab_resnet34, found mobilenet_v2"):
        load_weights(mobile, file)
    assert NORMALS in mobile.order
