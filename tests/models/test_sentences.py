"""Models of sentences: padding is never read, a sentence sees no other, words in order matter."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mtlbench.errors import UsageError
from mtlbench.models.backbone import Backbone
from mtlbench.models.bilstm import BiLSTM
from mtlbench.models.sharing import by_index, level
from mtlbench.models.text_transformer import TextTransformer, waves
from mtlbench.models.tree_model import TreeModel, build
from mtlbench.tasks import Task, classification, segmentation

TASKS: tuple[Task, ...] = (
    classification(3, name="intent"),
    segmentation(5, name="slots"),
    classification(4, name="count"),
)
DIM, LENGTHS = 6, (1, 7, 4, 9)

MAKERS: dict[str, Callable[[], Backbone]] = {
    "bilstm": lambda: BiLSTM(DIM, 8),
    "text_transformer": lambda: TextTransformer(DIM, 16, 2, 2),
}
every_model = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def model(make: Callable[[], Backbone], shared: int = 1) -> TreeModel:
    backbone = make()
    return build(backbone, level(3, shared, backbone.blocks), TASKS, 0).eval().double()


def sentences(length: int = 10) -> Tensor:
    """Random words with the channel that tells them from padding, which is 0."""
    x = torch.randn(len(LENGTHS), 10, DIM + 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x[..., -1] = 1
    there = torch.arange(10) < torch.tensor(LENGTHS)[:, None]
    return (x * there[..., None])[:, :length]


@every_model
def test_shapes(make: Callable[[], Backbone]) -> None:
    found = model(make)(sentences())
    assert {name: tuple(one.shape) for name, one in found.items()} == {
        "intent": (4, 3, 1, 1),
        "slots": (4, 5, 10, 1),
        "count": (4, 4, 1, 1),
    }


@every_model
def test_padding_is_never_read(make: Callable[[], Backbone]) -> None:
    """Whatever stands there, and however much of it: no prediction for a sentence or a word of it changes."""
    net, x = model(make), sentences()
    before, words = net(x), x[..., -1] > 0
    filled = torch.where(words[..., None], x, 5.0)
    filled[..., -1] = x[..., -1]
    longer = torch.cat([filled, filled.new_zeros(4, 3, DIM + 1)], 1)
    after = net(longer)
    for name in ("intent", "count"):
        assert torch.allclose(before[name], after[name], atol=1e-12)
    slots = after["slots"][:, :, :10]
    assert torch.allclose(before["slots"].movedim(1, -1)[words], slots.movedim(1, -1)[words], atol=1e-12)


@every_model
def test_no_gradient_at_padding(make: Callable[[], Backbone]) -> None:
    net, x = model(make), sentences().requires_grad_()
    words = x[..., -1] > 0
    found = net(x)
    loss = found["intent"].sum() + (found["slots"] * words[:, None, :, None]).sum()
    (gradient,) = torch.autograd.grad(loss, x)
    assert (gradient[~words][:, :-1] == 0).all()
    assert (gradient[words][:, :-1] != 0).all()


@every_model
def test_a_sentence_sees_no_other(make: Callable[[], Backbone]) -> None:
    net, x = model(make), sentences()
    whole = net(x)
    for i in range(len(x)):
        alone = net(x[i : i + 1])
        assert all(torch.allclose(whole[name][i : i + 1], alone[name], atol=1e-12) for name in whole)


@every_model
def test_words_see_both_sides(make: Callable[[], Backbone]) -> None:
    """The slot of the middle word depends on the first and on the last word, and on their order."""
    net, x = model(make), sentences()[1:2, :7]
    before = net(x)["slots"][0, :, 3, 0]
    for place in (0, 6):
        moved = x.clone()
        moved[0, place, 0] += 1
        assert not torch.allclose(net(moved)["slots"][0, :, 3, 0], before)
    swapped = x[:, [6, 1, 2, 3, 4, 5, 0]]
    assert not torch.allclose(net(swapped)["slots"][0, :, 3, 0], before)


@every_model
def test_sharing(make: Callable[[], Backbone]) -> None:
    """At any tree a task's path alone gives its prediction; sharing takes parameters away."""
    backbone, x = make(), sentences()
    sizes = []
    for tree in (
        by_index(0, 3, backbone.blocks),
        by_index(1, 3, backbone.blocks),
        level(3, backbone.blocks, backbone.blocks),
    ):
        net = build(backbone, tree, TASKS, 0).eval().double()
        sizes.append(sum(parameter.numel() for parameter in net.parameters()))
        whole = net(x)
        assert all(torch.equal(net(x, [name])[name], whole[name]) for name in whole)
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 3


@every_model
def test_images_are_refused(make: Callable[[], Backbone]) -> None:
    net = model(make).float()
    with pytest.raises(UsageError, match=r"it reads sentences of word vectors, inputs \[B, words, 7\]; .*slu"):
        net(torch.zeros(2, 3, 16, 16))
    with pytest.raises(UsageError, match=r"\['B', 10, 9\]"):
        net(torch.zeros(2, 10, 9))


def test_names_tell_sizes_apart() -> None:
    names = [BiLSTM().name, BiLSTM(width=48).name, TextTransformer().name, TextTransformer(width=32, layers=2).name]
    assert names == ["bilstm", "bilstm-48", "text_transformer", "text_transformer-2x32"]


def test_sizes_as_documented() -> None:
    tasks = (classification(7, name="a"), segmentation(72, name="b"), classification(4, name="c"))
    numbers = [
        sum(p.numel() for p in build(BiLSTM(), level(3, shared, 1), tasks, 0).parameters()) for shared in (1, 0)
    ]
    assert numbers == [140_435, 389_267]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 20, "attending": 4}, r"model.width=20: expected an even multiple of model.attending=4"),
        ({"layers": 0}, r"model.layers=0"),
        ({"dropout": 1}, r"model.dropout=1: expected a share from 0 to below 1"),
    ],
)
def test_bad_options(options: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TextTransformer(**options)  # type: ignore[arg-type]


def test_waves_tell_places_apart() -> None:
    found = waves(torch.zeros(1, 50, 16))
    assert found.shape == (50, 16)
    assert torch.cdist(found, found).add(torch.eye(50)).min() > 0.5
