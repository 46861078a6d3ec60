"""Anybody's model: input conventions, outputs of every form, and what is refused with which remedy."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from mtlbench.errors import ModelError, UsageError
from mtlbench.models.adapted import Adapted
from mtlbench.models.inputs import BGR_MEAN, CONVENTIONS, IMAGENET, Inputs, convention
from mtlbench.models.outputs import maps
from mtlbench.tasks import classification, depth, multilabel, segmentation

TASKS = (segmentation(4), depth(), classification(3, name="kind"))
IMAGES = torch.rand(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Three heads on one trunk."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Conv2d(3, 5, 3, padding=1)
        self.norm = nn.BatchNorm2d(5)
        self.heads = nn.ModuleList([nn.Conv2d(5, 4, 1), nn.Conv2d(5, 1, 1), nn.Linear(5, 3)])

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.norm(self.trunk(x))
        seg, dep, kind = self.heads
        return {"segmentation": seg(x), "depth": dep(x)[:, 0], "kind": kind(x.mean((2, 3))), "extra": x}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_conventions_are_what_they_say(name: str) -> None:
    mean, std = (torch.tensor(part)[:, None, None] for part in IMAGENET)
    expected = {
        "rgb01": IMAGES,
        "imagenet": (IMAGES - mean) / std,
        "half": IMAGES * 2 - 1,
        "rgb255": IMAGES * 255,
        "bgr01": IMAGES.flip(1),
        "bgr255-mean": IMAGES.flip(1) * 255 - torch.tensor(BGR_MEAN)[:, None, None],
    }[name]
    torch.testing.assert_close(Inputs(convention(name))(IMAGES), expected)


def test_a_pair_of_mean_and_std_is_a_convention() -> None:
    made = Inputs(convention(IMAGENET))
    torch.testing.assert_close(made(IMAGES), Inputs(CONVENTIONS["imagenet"])(IMAGES))
    assert made.convention.name == "mean=0.485/0.456/0.406,std=0.229/0.224/0.225"


@pytest.mark.parametrize("wrong", ["imagent", None, (1, 2), ((0, 0, 0), (1, 1, 0)), ((0, 0), (1, 1)), 255])
def test_other_conventions_are_refused(wrong: object) -> None:
    with pytest.raises(UsageError, match=r"inputs=.*: expected rgb01, imagenet, .*, or \(mean, std\)"):
        convention(wrong)


def test_inputs_are_no_part_of_the_weights() -> None:
    net = Net()
    assert not Inputs(CONVENTIONS["imagenet"]).state_dict()
    one, other = Adapted(net, TASKS), Adapted(net, TASKS, inputs="imagenet")
    assert one.identity()["weights"] == other.identity()["weights"]
    assert one.identity() != other.identity()


def forms(found: dict[str, Tensor]) -> list[tuple[object, object]]:
    """What models return, and the outputs that finds the tasks in it."""
    seg, dep, kind = found["segmentation"], found["depth"], found["kind"]
    joined = torch.cat([seg, dep[:, None]], 1)
    return [
        (found, None),
        (SimpleNamespace(**found), None),
        ((seg, dep, kind), {"segmentation": 0, "depth": 1, "kind": -1}),
        (
            {"logits": seg, "predicted_depth": dep, "c": kind},
            {"segmentation": "logits", "depth": "predicted_depth", "kind": "c"},
        ),
        ((joined, kind), lambda out: {"segmentation": out[0][:, :4], "depth": out[0][:, 4], "kind": out[1]}),
    ]


@pytest.mark.parametrize("number", range(5))
def test_every_form_of_outputs_gives_the_same_maps(number: int) -> None:
    found = Net().eval()(IMAGES)
    returned, outputs = forms(found)[number]
    made = maps(returned, outputs, TASKS, len(IMAGES))  # type: ignore[arg-type]
    assert {name: tuple(p.shape) for name, p in made.items()} == {
        "segmentation": (2, 4, 6, 8),
        "depth": (2, 1, 6, 8),
        "kind": (2, 3, 1, 1),
    }
    assert torch.equal(made["depth"][:, 0], found["depth"])
    assert torch.equal(made["kind"][..., 0, 0], found["kind"])


def test_channels_of_one_tensor() -> None:
    returned = torch.rand(2, 5, 6, 8)
    made = maps(returned, {"segmentation": slice(0, 4), "depth": 4}, TASKS[:2], 2)
    assert torch.equal(made["segmentation"], returned[:, :4])
    assert torch.equal(made["depth"], returned[:, 4:])


def test_depth_without_a_channel_is_no_batch() -> None:
    """[B, H, W] with B = H was silently taken for something else."""
    square = torch.rand(6, 6, 8)
    assert torch.equal(maps({"depth": square}, None, TASKS[1:2], 6)["depth"], square[:, None])


REFUSED = {
    "missing": (
        {"segmentation": torch.rand(2, 4, 6, 8)},
        "depth: the model returns a mapping with the keys 'segmentation'",
    ),
    "no mapping": (
        torch.rand(2, 4, 6, 8),
        r"depth: the model returns a tensor \[2, 4, 6, 8\], in which there is no 'depth'",
    ),
    "argmax": (
        {"depth": torch.zeros(2, 6, 8, dtype=torch.long)},
        "depth: .*torch.int64, which has no gradient; return the logits",
    ),
    "channels": (
        {"depth": torch.rand(2, 3, 6, 8)},
        r"depth: the prediction has shape \[2, 3, 6, 8\], expected \[2, 1, h, w\]$",
    ),
    "last": ({"depth": torch.rand(2, 6, 8, 1)}, "channels are last, permute them in outputs="),
    "images": (
        {"depth": torch.rand(3, 6, 8)},
        r"depth: the prediction has shape \[3, 6, 8\], expected \[2, 1, h, w\]",
    ),
    "a value an image": ({"depth": torch.rand(2)}, r"depth: the prediction has shape \[2\], expected \[2, 1, h, w\]"),
    "no tensor": (
        {"depth": [1.0, 2.0]},
        "depth: expected a tensor, the model returns a list of 2; pick it in outputs=",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_predictions_are_refused_with_the_task_and_a_remedy(case: str) -> None:
    returned, message = REFUSED[case]
    with pytest.raises(ModelError, match=message):
        maps(returned, None, TASKS[1:2], 2)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"depth": 0}, "one entry for each task: segmentation, depth, kind"),
        (
            {"segmentation": 0, "depth": 1.5, "kind": 2},
            r"outputs\['depth'\]=1.5: expected a key, a position or a slice",
        ),
        (["depth"], "expected a function, or a mapping"),
    ],
)
def test_other_outputs_are_refused(outputs: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Adapted(Net(), TASKS, outputs=outputs)  # type: ignore[arg-type]


def test_only_the_tasks_that_are_asked_for_are_given() -> None:
    model = Adapted(Net(), TASKS)
    assert list(model(IMAGES, ["kind", "depth"])) == ["kind", "depth"]
    assert list(model(IMAGES)) == ["segmentation", "depth", "kind"]


def test_half_precision_comes_back_in_the_type_of_the_images() -> None:
    def half(x: Tensor) -> dict[str, Tensor]:
        return {"depth": x.mean(1).half()}

    assert Adapted(half, TASKS[1:2])(IMAGES)["depth"].dtype == torch.float32


def test_names_come_once_and_models_are_callable() -> None:
    with pytest.raises(UsageError, match="depth, depth: each name once"):
        Adapted(Net(), (depth(), depth()))
    with pytest.raises(UsageError, match=r"model='best.pt': expected a module or a callable"):
        Adapted("best.pt", TASKS)  # type: ignore[arg-type]


def test_multilabel_vectors_are_maps_too() -> None:
    made = maps({"attributes": torch.rand(2, 5)}, None, [multilabel(5)], 2)
    assert made["attributes"].shape == (2, 5, 1, 1)
