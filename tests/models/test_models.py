"""Backbones and the tree model: shapes, which parameters a task touches, input convention, reproducible weights."""

from collections import Counter
from math import ceil
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mtlbench.errors import UsageError
from mtlbench.models.backbone import Backbone
from mtlbench.models.deeplab_resnet34 import DeepLabResNet34
from mtlbench.models.inputs import BGR_MEAN
from mtlbench.models.mobilenet_v2 import MobileNetV2, TreeMTLMobileNetV2
from mtlbench.models.sharing import BLOCKS, Tree, all_trees, level, parse
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import TreeModel, build
from mtlbench.tasks import five_tasks, three_tasks
from tests.fakes import Trivial
from tests.quickly import first

TASKS = three_tasks()
NAMES = tuple(task.name for task in TASKS)
BACKBONES = [(Tiny(), 4), (Tiny(0.7), 4), (DeepLabResNet34(), 8), (MobileNetV2(), 16)]
"""Backbone and its output stride."""

each_backbone = pytest.mark.parametrize(("backbone", "stride"), first(BACKBONES), ids=[b.name for b, _ in BACKBONES])


def on_meta(backbone: Backbone, shared: int | Tree, tasks=TASKS) -> TreeModel:
    """A model without memory: enough for shapes, names and counts. Nothing is drawn, which takes half of the time."""
    tree = shared if isinstance(shared, Tree) else level(len(tasks), shared)
    with pytest.MonkeyPatch.context() as patch, torch.device("meta"):
        for draw in ("kaiming_normal_", "kaiming_uniform_", "uniform_", "normal_"):
            patch.setattr(nn.init, draw, lambda tensor, *_, **options: tensor)
        return TreeModel(backbone, tree, tasks)


def shapes(predictions: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(prediction.shape) for name, prediction in predictions.items()}


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


SOME_LEVELS = [
    (backbone, stride, shared)
    for backbone, stride in BACKBONES
    for shared in (range(BLOCKS + 1) if isinstance(backbone, Tiny) else (2, BLOCKS))
]
"""What is shared changes copies, not shapes: every level with the small backbone, two with the others."""


@pytest.mark.parametrize(
    ("backbone", "stride", "shared"), first(SOME_LEVELS), ids=lambda one: getattr(one, "name", None)
)
def test_prediction_shapes(backbone, stride, shared):
    """One stride for all sizes, odd ones too; rounding up, so that no border pixel is lost. All of them where the
    blocks are shared, one where each task has its own of the same kind.
    """
    model = on_meta(backbone, shared)
    for height, width in [(61, 45), (66, 66), (61, 46)] if shared == BLOCKS else [(61, 45)]:
        found = shapes(model(torch.empty(2, 3, height, width, device="meta")))
        small = (ceil(height / stride), ceil(width / stride))
        assert found == {task.name: (2, task.channels, *small) for task in TASKS}


def test_prediction_sizes_of_the_paper():
    deeplab = on_meta(DeepLabResNet34(), BLOCKS)
    assert deeplab(torch.empty(1, 3, 321, 321, device="meta"))["depth"].shape[-2:] == (41, 41)
    for side, small in ((224, 29), (64, 9), (97, 13)):
        assert deeplab(torch.empty(1, 3, side, side, device="meta"))["depth"].shape[-2:] == (small, small)
    mobile = on_meta(MobileNetV2(), BLOCKS)
    assert mobile(torch.empty(1, 3, 224, 224, device="meta"))["depth"].shape[-2:] == (14, 14)
    theirs = on_meta(TreeMTLMobileNetV2(), BLOCKS)
    assert theirs(torch.empty(1, 3, 224, 224, device="meta"))["depth"].shape[-2:] == (7, 7)


def test_five_tasks():
    tasks = five_tasks([1.0] * 17)
    found = shapes(on_meta(Tiny(), 3, tasks)(torch.empty(1, 3, 64, 64, device="meta")))
    assert found == {task.name: (1, task.channels, 16, 16) for task in tasks}


@each_backbone
def test_finite_numbers_and_gradients(backbone, stride):
    """With real weights, eval mode, on a small odd image."""
    model = build(backbone, level(3, BLOCKS), TASKS, seed=0).eval().requires_grad_(False)
    image = torch.rand(1, 3, 65, 65, generator=torch.Generator().manual_seed(0)).requires_grad_()
    total = sum(prediction.square().mean() for prediction in model(image).values())
    (gradient,) = torch.autograd.grad(total, image)
    assert total.isfinite()
    assert gradient.isfinite().all()
    reached = (gradient.abs().amax(1) > 0).float().mean()
    assert reached > 0.9, "almost every pixel must reach the predictions; a ReLU may hide a few"


@pytest.mark.parametrize("tree", all_trees(3), ids=str)
def test_gradient_of_a_task_touches_exactly_its_parameters(tree):
    model = build(Trivial(), tree, TASKS, seed=0)
    for name in NAMES:
        model.zero_grad(set_to_none=True)
        model(torch.rand(1, 3, 8, 8))[name].square().sum().backward()
        touched = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}
        assert touched == set(model.parameters_of(name))


@pytest.mark.parametrize("shared", [0, 2])
def test_no_gradient_crosses_to_another_task(shared):
    """Exactly zero, not small, even when all tasks are computed: what transferability is compared with."""
    model = build(Tiny(), level(3, shared), TASKS, seed=0)
    common = set.intersection(*(set(model.parameters_of(name)) for name in NAMES))
    assert bool(common) == bool(shared)
    for name in NAMES:
        model.zero_grad(set_to_none=True)
        predictions = model(torch.rand(2, 3, 32, 32))
        sum(p.sum() * (n == name) for n, p in predictions.items()).backward()
        for other in set(NAMES) - {name}:
            for parameter in (p for n, p in model.parameters_of(other).items() if n not in common):
                assert parameter.grad is None or not parameter.grad.any()


@pytest.mark.parametrize(
    "tree", [level(3, 0), level(3, 3), level(3, 5), parse("012|0,12|0,12|0,1,2|0,1,2", 3)], ids=str
)
def test_one_task_runs_only_its_path_and_predicts_the_same(tree):
    model = build(Tiny(), tree, TASKS, seed=0).eval()
    ran: Counter[str] = Counter()
    for name, module in [*model.blocks.items(), *model.heads.items()]:
        module.register_forward_hook(lambda *_, name=name: ran.update([name]))
    image = torch.rand(2, 3, 32, 32)
    together = model(image)
    assert ran == Counter([*model.blocks, *model.heads]), "every block once"
    for name in NAMES:
        ran.clear()
        alone = model(image, [name])
        assert list(alone) == [name]
        assert torch.equal(alone[name], together[name])
        parents = {".".join(n.split(".")[:2]) for n in model.parameters_of(name)}
        assert ran == Counter(parent.split(".")[1] for parent in parents)
        assert sum(ran.values()) == BLOCKS + 1


def test_order_of_asked_tasks_is_kept():
    model = build(Tiny(), level(3, 2), TASKS, seed=0).eval()
    assert list(model(torch.rand(1, 3, 16, 16), ["depth", "segmentation"])) == ["depth", "segmentation"]


def test_first_block_sees_bgr_minus_its_mean():
    model = build(Tiny(), level(3, 0), TASKS, seed=0).eval()
    seen: list[Tensor] = []
    for name, block in model.blocks.items():
        if name.startswith("0_"):
            block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    mean = torch.tensor(BGR_MEAN)
    model(mean.flip(0)[None, :, None, None].expand(1, 3, 16, 16) / 255)
    assert len(seen) == 3
    assert all(x.abs().max() < 1e-4 for x in seen)
    seen.clear()
    red = torch.tensor([1.0, 0, 0])[None, :, None, None].expand(1, 3, 16, 16)
    model(red)
    assert torch.equal(seen[0][0, :, 0, 0], torch.tensor([0.0, 0.0, 255.0]) - mean)


def test_weights_depend_on_the_seed_only():
    torch.manual_seed(1)
    first = build(Tiny(), level(3, 2), TASKS, seed=5).state_dict()
    torch.manual_seed(2)
    torch.rand(10)
    second = build(Tiny(), level(3, 2), TASKS, seed=5).state_dict()
    other = build(Tiny(), level(3, 2), TASKS, seed=6).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_build_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    build(Tiny(), level(3, 2), TASKS, seed=5)
    assert torch.equal(torch.get_rng_state(), before)


@each_backbone
def test_parameter_count_follows_the_copies(backbone, stride):
    one = on_meta(backbone, BLOCKS)
    blocks, heads = [size(module) for module in one.blocks.values()], size(one.heads)
    for tree in (level(3, 0), level(3, 2), parse("012|0,12|0,12|0,1,2|0,1,2", 3), level(3, 5)):
        model = on_meta(backbone, tree)
        assert len(model.blocks) == tree.copies
        expected = heads + sum(n * len(partition) for n, partition in zip(blocks, tree.partitions, strict=True))
        assert size(model) == expected
        assert sum(p.numel() for p in model.parameters_of("depth").values()) == sum(blocks) + size(
            model.heads["depth"]
        )


def test_parameter_counts_of_known_networks():
    """torchvision documents 21,797,672 and 3,504,872 with the classifiers, 513,000 and 1,281,000 of them."""
    assert size(on_meta(DeepLabResNet34(), BLOCKS).blocks) == 21_797_672 - 513_000
    for kind in (MobileNetV2, TreeMTLMobileNetV2):
        assert size(on_meta(kind(), BLOCKS).blocks) == 3_504_872 - 1_281_000


@pytest.mark.parametrize("tree", [level(5, 2), level(3, 2, blocks=4)], ids=str)
def test_tree_must_fit_tasks_and_backbone(tree):
    with pytest.raises(
        UsageError, match=r"sharing=share2: it has . tasks and . blocks, the dataset and model have 3 and 5"
    ):
        TreeModel(Tiny(), tree, TASKS)


def test_the_width_of_tiny():
    full, narrow = (on_meta(Tiny(width), 3, TASKS) for width in (1.0, 0.5))
    sizes = [sum(p.numel() for p in model.parameters()) for model in (full, narrow)]
    assert 3 < sizes[0] / sizes[1] < 4
    assert (Tiny().name, Tiny(0.5).name) == ("tiny", "tiny-x0.5")
    wrong: Any
    for wrong in (0, -1, 11, True, "wide"):
        with pytest.raises(UsageError, match=r"model\.width"):
            Tiny(wrong)


@pytest.mark.parametrize("side", range(61, 69))
def test_deeplab_is_another_version_where_the_rounding_up_shows(side):
    """The stem's pooling rounded down in version 1: at most sizes that gives the same, bit for bit."""
    stem = DeepLabResNet34().block(0).eval()
    old = nn.Sequential(*stem[:3], nn.MaxPool2d(3, 2, 1))
    image = torch.rand(1, 3, side, 65, generator=torch.Generator().manual_seed(side))
    same = stem(image).shape == old(image).shape
    assert not same or torch.equal(stem(image), old(image))
    assert DeepLabResNet34().version_at((side, 65)) == DeepLabResNet34().version_at((65, side)) == (1 if same else 2)


def test_the_identity_at_a_size():
    backbone = DeepLabResNet34()
    assert backbone.identity() == {"name": "deeplab_resnet34", "version": 2}
    assert backbone.identity_at((224, 224)) == {"name": "deeplab_resnet34", "version": 2}
    assert backbone.identity_at((321, 321)) == {"name": "deeplab_resnet34"}, "results of before stay"
    assert Tiny().identity_at((224, 224)) == Tiny().identity()
