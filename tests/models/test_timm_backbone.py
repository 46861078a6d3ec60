"""model=timm: random weights by the seed, weights from files, heads, sharing, and what makes its results distinct."""

import os
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from mtlbench.errors import CheckpointError, UsageError
from mtlbench.models.measured import sharing
from mtlbench.models.sharing import level, parse
from mtlbench.models.timm_backbone import TimmBackbone
from mtlbench.models.tokens import patches
from mtlbench.models.tree_model import TreeModel, build
from mtlbench.tasks import classification, three_tasks
from tests.quickly import first

TASKS = (*three_tasks(), classification(3, name="kind"))
NAMES = tuple(task.name for task in TASKS)
SMALL = ("test_resnet", "test_vit", "test_convnext")
"""timm's own trunks for tests: 5, 5 and 4 levels."""

each_trunk = pytest.mark.parametrize("name", first(SMALL))


def same(one: nn.Module, other: nn.Module) -> bool:
    left, right = one.state_dict(), other.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@each_trunk
def test_weights_depend_on_the_seed_only(name: str) -> None:
    backbone = TimmBackbone(name)
    tree = level(4, 2, backbone.blocks)
    first = build(backbone, tree, TASKS, 5)
    build(backbone, level(4, 1, backbone.blocks), TASKS, 7)
    torch.rand(3)
    assert same(build(backbone, tree, TASKS, 5), first)
    assert same(build(TimmBackbone(name), tree, TASKS, 5), first)
    assert not same(build(backbone, tree, TASKS, 6), first)


def test_copies_of_a_block_are_drawn_independently() -> None:
    model = build(TimmBackbone("test_resnet"), level(4, 0), TASKS, 0)
    weights = [model.blocks[f"2_{task}"].parts["layer2"][0].conv1.weight for task in range(4)]
    assert not any(torch.equal(weights[0], other) for other in weights[1:])


def test_a_backbone_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    TimmBackbone("test_vit")
    assert torch.equal(torch.get_rng_state(), before)


@each_trunk
def test_maps_of_a_quarter_and_one_prediction_an_image(name: str) -> None:
    backbone = TimmBackbone(name)
    model = build(backbone, level(4, 1, backbone.blocks), TASKS, 0).eval()
    found = {task: tuple(one.shape) for task, one in model(torch.rand(2, 3, 64, 96)).items()}
    expected = {task.name: (2, task.channels, *((1, 1) if task.per_image else (16, 24))) for task in TASKS}
    assert found == expected


@each_trunk
def test_sharing_of_the_graph_is_that_of_the_tree(name: str) -> None:
    backbone = TimmBackbone(name)
    trees = [level(4, 0, backbone.blocks), level(4, backbone.blocks, backbone.blocks)]
    trees.append(
        parse("|".join(["0123", "02,13", "02,1,3", "0,1,2,3", "0,1,2,3"][: backbone.blocks]), 4, backbone.blocks)
    )
    for tree in trees:
        model = build(backbone, tree, TASKS, 0)
        measured = sharing(model, torch.rand(1, 3, 64, 64), NAMES)
        assert measured.members == {task: frozenset(model.parameters_of(task)) for task in NAMES}
        assert (measured.shared_path == 0) == (tree.shared_blocks == 0)


@pytest.mark.parametrize(
    ("name", "convention"),
    [("resnet18", "imagenet"), ("vit_tiny_patch16_224", "half"), ("mobilevit_xxs", "rgb01")],
)
def test_the_first_block_sees_what_the_trunk_was_made_for(name: str, convention: str) -> None:
    backbone = TimmBackbone(name)
    with torch.device("meta"):
        model = TreeModel(backbone, level(4, 1, backbone.blocks), TASKS)
    assert backbone.inputs.name == model.inputs.convention.name == convention


def test_a_mean_of_its_own_is_a_convention() -> None:
    mean = timm.get_pretrained_cfg("vit_base_patch16_clip_224").mean
    assert TimmBackbone("vit_base_patch16_clip_224").inputs.mean == pytest.approx(mean)


def test_the_identity() -> None:
    assert TimmBackbone().identity() == {"name": "timm", "trunk": "resnet18", "width": 64}
    assert TimmBackbone().name == "timm-resnet18"
    assert TimmBackbone("test_vit", img_size=64, width=32).identity() == {
        "name": "timm",
        "trunk": "test_vit",
        "img_size": [64, 64],
        "width": 32,
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "model.width=0: expected a whole number"),
        ({"weights": 3}, "model.weights=3: expected a file"),
        ({"img_size": "wide"}, "model.img_size=wide: expected a whole number"),
        ({"img_size": [64]}, r"model.img_size=\[64\]: expected a number of pixels, or \[HEIGHT, WIDTH\]"),
        ({"img_size": [64, 64]}, r"model.img_size=\(64, 64\): resnet18 is built for no size"),
    ],
)
def test_options_that_are_wrong(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TimmBackbone(**options)


# Weights from files: timm's whole models, as people save them.


def last_map(backbone: TimmBackbone, image: Tensor) -> Tensor:
    x = image
    for made in backbone.copies([1] * backbone.blocks):
        x = made[0].eval()(x)
    return patches(x, backbone.prefix)


@pytest.mark.parametrize("name", first(("test_resnet", "test_vit", "test_efficientnet", "convnext_atto")))
def test_weights_of_a_whole_model(name: str, tmp_path: Path) -> None:
    """Its classifier is left out; the form of the file does not matter, nor does where it lies."""
    whole: Any = timm.create_model(name, pretrained=False).eval()
    save_file(whole.state_dict(), tmp_path / "model.safetensors")
    wrapped = {f"module.{key}": tensor for key, tensor in whole.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": wrapped}, tmp_path / "best.pth")
    plain, nested = (TimmBackbone(name, str(tmp_path / file)) for file in ("model.safetensors", "best.pth"))
    side = whole.default_cfg["input_size"][-1]
    image = torch.rand(1, 3, side, side)
    expected = whole.forward_intermediates(image, norm=False, intermediates_only=True)[-1]
    assert torch.equal(last_map(plain, image), expected)
    assert torch.equal(last_map(nested, image), expected)
    assert plain.identity() == nested.identity()
    assert plain.identity()["weights"]
    assert any("left out what is not of the trunk: '" in note for note in plain.notes)
    assert any("cut 'module.' from all names" in note for note in nested.notes)


def test_positions_are_brought_to_another_size(tmp_path: Path) -> None:
    whole: Any = timm.create_model("test_vit", pretrained=False)
    save_file(whole.state_dict(), tmp_path / "model.safetensors")
    backbone = TimmBackbone("test_vit", str(tmp_path / "model.safetensors"), img_size=64)
    assert last_map(backbone, torch.rand(1, 3, 64, 64)).isfinite().all()


def test_every_copy_starts_from_the_file(tmp_path: Path) -> None:
    torch.save(timm.create_model("test_resnet", pretrained=False).state_dict(), tmp_path / "a.pth")
    model = build(TimmBackbone("test_resnet", str(tmp_path / "a.pth")), level(4, 0), TASKS, 0)
    for index in range(5):
        assert all(same(model.blocks[f"{index}_0"], model.blocks[f"{index}_{task}"]) for task in range(1, 4))


class Hostile:
    """A pickle that would write a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.canary}",)


def test_files_that_are_no_weights_of_the_trunk(tmp_path: Path) -> None:
    state = timm.create_model("test_resnet", pretrained=False).state_dict()
    cases = {
        "other model": (timm.create_model("test_efficientnet", pretrained=False).state_dict(), "are missing"),
        "not finite": (state | {"conv1.0.weight": state["conv1.0.weight"] / 0}, "NaN, infinite"),
        "another shape": (state | {"conv1.0.weight": torch.zeros(1)}, "has shape"),
        "code": ({"x": Hostile(tmp_path / "canary")}, "not a file of plain tensors"),
    }
    file = tmp_path / "model.pth"
    for content, message in cases.values():
        torch.save(content, file)
        with pytest.raises(CheckpointError, match=message):
            TimmBackbone("test_resnet", str(file))
    assert not (tmp_path / "canary").exists()
    with pytest.raises(CheckpointError, match="no such file"):
        TimmBackbone("test_resnet", str(tmp_path / "none.pth"))
    torch.save({"pos_embed": torch.zeros(3), "cls_token": torch.zeros(3)}, file)
    with pytest.raises(CheckpointError, match=r"model\.pth"):
        TimmBackbone("test_vit", str(file))
