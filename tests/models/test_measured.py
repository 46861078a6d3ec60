"""Sharing measured on a model: equal to what the tree says where there is one, and not fooled where there is none."""

import json
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mtlbench.errors import UsageError
from mtlbench.models.backbone import Backbone
from mtlbench.models.deeplab_resnet34 import DeepLabResNet34
from mtlbench.models.measured import Sharing, sharing, sharing_of
from mtlbench.models.sharing import Tree, all_trees, level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import TreeModel, build
from mtlbench.tasks import five_tasks, three_tasks

TASKS = three_tasks(13)
NAMES = tuple(task.name for task in TASKS)
PAIR = ("a", "b")


def images(seed: int = 0, channels: int = 3) -> Tensor:
    return torch.rand(1, channels, 16, 16, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("tree", all_trees(3), ids=str)
def test_what_is_measured_is_what_the_tree_says(tree: Tree) -> None:
    model = build(Tiny(0.1), tree, TASKS, 0)
    found = sharing(model, images(), NAMES)
    assert found == sharing_of(model)
    assert found.members == {name: set(model.parameters_of(name)) for name in NAMES}
    assert (found.blind, found.unused) == ((), 0)
    assert found.params == {name: sum(p.numel() for p in model.parameters_of(name).values()) for name in NAMES}


@given(st.integers(0, 7555))
@settings(max_examples=10)
def test_five_tasks(index: int) -> None:
    tasks = five_tasks([1.0] * 3)
    model = build(Tiny(0.1), all_trees(5)[index], tasks, 0)
    found = sharing(model, images(), model.order)
    assert found == sharing_of(model)
    matrix = found.jaccard.to_numpy()
    assert np.array_equal(matrix, matrix.T)
    assert (np.diag(matrix) == 1).all()
    assert 0 <= found.shared_params < 1
    assert 0 <= found.shared_path < 1


@pytest.mark.parametrize(
    ("backbone", "path", "params"),
    [
        (Tiny(), (0, 1 / 16, 3 / 16, 6 / 16, 9 / 16, 12 / 16), (0, 0.001, 0.011, 0.044, 0.151, 0.525)),
        (DeepLabResNet34(), (0, 0.02, 0.15, 0.33, 0.60, 0.75), (0, 0, 0.002, 0.010, 0.070, 0.235)),
    ],
    ids=["tiny", "deeplab_resnet34"],
)
def test_levels(backbone: Backbone, path: Sequence[float], params: Sequence[float]) -> None:
    """The path grows evenly with the level and is alike for both; the parameters are not comparable."""
    with torch.device("meta"):
        found = [sharing_of(TreeModel(backbone, level(3, shared), TASKS)) for shared in range(6)]
    assert [one.shared_path for one in found] == pytest.approx(path, abs=0.005)
    assert [one.shared_params for one in found] == pytest.approx(params, abs=0.002)


class Two(nn.Module):
    """A trunk and two heads; counts forward passes."""

    def __init__(self, through: Callable[[Tensor], Tensor] = lambda x: x) -> None:
        super().__init__()
        self.trunk, self.through = nn.Conv2d(3, 4, 1), through
        self.a, self.b = nn.Conv2d(4, 2, 1), nn.Conv2d(4, 2, 1)
        self.asked: list[list[str]] = []

    def forward(self, image: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        self.asked.append(list(tasks))
        features = self.through(self.trunk(image))
        return {task: getattr(self, task)(features) for task in tasks}


TRUNK = {"trunk.weight", "trunk.bias"}


def own(task: str) -> set[str]:
    return {f"{task}.weight", f"{task}.bias"}


def test_a_module() -> None:
    model = Two()
    found = sharing(model, images(), PAIR)
    assert found.members == {task: TRUNK | own(task) for task in PAIR}
    assert (found.shared_path, found.shared_params) == (0.5, 16 / (16 + 20))
    assert found.jaccard.loc["a", "b"] == 16 / 36
    assert found.soft is None
    assert model.asked == [["a"], ["b"]]


@pytest.mark.parametrize(
    "through",
    [
        lambda x: torch.relu(-x.abs() - 1),
        lambda x: x * 0,
        lambda x: x.softmax(1),
        lambda x: torch.nn.functional.pad(x, (2, 2, 2, 2)),
    ],
    ids=["dead ReLU", "zero", "softmax", "padding"],
)
def test_a_gradient_of_zero_is_no_missing_one(through: Callable[[Tensor], Tensor]) -> None:
    found = sharing(Two(through), images(), PAIR)
    assert found.members == {task: TRUNK | own(task) for task in PAIR}
    assert found.blind == ()


def test_a_softmax_in_the_end_hides_nothing() -> None:
    """The sum of its outputs is constant: with cotangents of ones everything behind it would have a gradient of 0."""
    model = Two()
    found = sharing(lambda x, t: {n: p.softmax(1) for n, p in model(x, t).items()}, images(), PAIR, [model], soft=True)
    assert found.members["a"] == TRUNK | own("a")
    assert found.soft is not None
    assert found.soft > 0.1


@pytest.mark.parametrize("through", [Tensor.detach, lambda x: x.detach().clone()], ids=["detach", "clone"])
def test_a_detached_trunk_is_unused_and_blind(through: Callable[[Tensor], Tensor]) -> None:
    found = sharing(Two(through), images(), PAIR)
    assert found.members == {task: own(task) for task in PAIR}
    assert found.unused == 16 / 36
    assert found.blind == PAIR
    assert (found.shared_path, found.shared_params) == (0, 0)


def test_one_task_without_gradients() -> None:
    model = Two()

    def forward(x: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        with torch.set_grad_enabled("b" not in tasks):
            return model(x, tasks)

    found = sharing(forward, images(), PAIR, [model])
    assert (found.members["b"], found.blind) == (set(), ("b",))
    assert np.isfinite(found.jaccard.to_numpy()[0]).all()
    assert np.isnan(found.jaccard.to_numpy()[1, 1])
    json.dumps(found.record(), allow_nan=False)


def test_everything_is_as_before() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Conv2d(4, 2, 1))
    model[0].requires_grad_(False)
    model[1].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.manual_seed(3)
    generator = torch.get_rng_state()
    image = images()
    with torch.no_grad():
        found = sharing(lambda x, tasks: dict.fromkeys(tasks, model(x)), image, PAIR, [model])
    assert found.shared_path == 1, "a frozen trunk is shared, too"
    assert [module.training for module in model] == [True, False, True, True]
    assert [p.requires_grad for p in model[0].parameters()] == [False, False]
    assert all(p.requires_grad for p in model[3].parameters())
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), generator)
    assert not image.requires_grad
    assert torch.is_grad_enabled()


def test_it_is_as_before_after_an_error_too() -> None:
    model = Two().train()
    model.trunk.requires_grad_(False)
    with pytest.raises(UsageError, match="c: the model gives no such prediction; found a"):
        sharing(lambda x, tasks: model(x, ["a"]), images(), ("a", "c"), [model])
    assert model.training
    assert not model.trunk.weight.requires_grad


def test_tied_parameters_count_once() -> None:
    model = Two()
    model.b = model.a
    found = sharing(model, images(), PAIR)
    assert found.shapes.keys() == TRUNK | own("a")
    assert (found.shared_path, found.shared_params, found.jaccard.loc["a", "b"]) == (1, 1, 1)
    split = sharing(model, images(), PAIR, [model, model.a])
    assert split == found, "a module that is named twice"


class Gated(nn.Module):
    """Which expert serves depends on the image."""

    def __init__(self) -> None:
        super().__init__()
        self.dark, self.bright = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)

    def forward(self, image: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        expert = self.bright if image.mean() > 0.5 else self.dark
        return {task: expert(image) for task in tasks}


def test_several_inputs_are_united() -> None:
    dark, bright = images() * 0.1, 1 - images() * 0.1
    assert sharing(Gated(), dark, PAIR).unused == 0.5
    both = sharing(Gated(), [dark, bright], PAIR)
    assert both.unused == 0
    assert both.members["a"] == {"dark.weight", "dark.bias", "bright.weight", "bright.bias"}


class Stitched(nn.Module):
    """Two networks whose features are mixed with one weight, the own one."""

    def __init__(self, own: float) -> None:
        super().__init__()
        self.first = nn.ModuleDict({task: nn.Conv2d(3, 4, 1) for task in PAIR})
        self.last = nn.ModuleDict({task: nn.Conv2d(4, 2, 1) for task in PAIR})
        self.own = own

    def forward(self, image: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        features = {task: one(image) for task, one in self.first.items()}
        mean = sum(features.values()) / len(features)
        return {
            task: self.last[task](self.own * features[task] + (1 - self.own) * (2 * mean - features[task]))
            for task in tasks
        }


def test_soft_sees_what_the_graph_cannot() -> None:
    """Mixing of weight 0 is in the graph all the same."""
    torch.manual_seed(0)
    found = [sharing(Stitched(weight), images(), PAIR, soft=True) for weight in (0.5, 0.8, 0.99, 1.0)]
    assert len({one.shared_path for one in found}) == 1
    soft = [one.soft for one in found if one.soft is not None]
    assert soft == sorted(soft, reverse=True)
    assert soft[0] > 0.3
    assert soft[-1] == pytest.approx(0, abs=1e-6)
    assert sharing(build(Tiny(0.1), level(3, 0), TASKS, 0), images(), NAMES, soft=True).soft == pytest.approx(
        0, abs=1e-9
    )


def test_what_is_stored() -> None:
    model = build(Tiny(0.1), level(3, 3), TASKS, 0)
    found = json.loads(json.dumps(sharing_of(model).record()))
    assert found["shared_path"] == 6 / 16
    assert found["tasks"] == list(NAMES)
    assert np.array(found["jaccard"]).shape == (3, 3)
    assert (found["unused"], found["blind"]) == (0, [])


def test_nothing_to_share() -> None:
    nothing = Sharing({}, {})
    assert (nothing.shared_path, nothing.shared_params, nothing.unused) == (0, 0, 0)
    alone = sharing(Two(), images(), ["a"])
    assert (alone.shared_path, alone.shared_params) == (0, 0)
    assert sharing(lambda x, tasks: dict.fromkeys(tasks, x), images(), PAIR).blind == ()
