"""Rooms with eight tasks: the images of rooms5, targets that only a generator knows, and some of the tasks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtlbench.data import generated
from mtlbench.data.batch import Sample
from mtlbench.data.fingerprint import fingerprint
from mtlbench.data.folder.dataset import FolderDataset
from mtlbench.data.rooms import CLASSES, FORMS
from mtlbench.data.rooms.derived import instance_edges
from mtlbench.data.rooms.picture import NOISE
from mtlbench.data.spread import Spread
from mtlbench.data.tiny_taxonomy import TinyTaxonomy
from mtlbench.errors import UsageError
from mtlbench.tasks import EDGE_TEXTURE, KEYPOINTS2D

FIVE = ("segmentation", "normals", "depth", "keypoints2d", "edge_texture")
EIGHT = (*FIVE, "instance_edges", "albedo", "shading")
SIZE, SEED, IMAGES = (32, 48), 3, 13
STEP = 1 / 255


def make(root: Path, form: str, images: int = IMAGES, seed: int = SEED) -> Path:
    generated.make(root, FORMS[form], images, SIZE, seed)
    return root


def opened(root: Path, tasks: Any = None, **options: Any) -> FolderDataset:
    return FolderDataset(root, "train", "rooms8", SIZE, tasks=tasks, name="rooms8", **options)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("rooms8") / "eight", "eight_tasks")


@pytest.fixture(scope="module")
def samples(root: Path) -> list[Sample]:
    dataset = opened(root)
    return [dataset.sample(index) for index in range(len(dataset))]


# --- the same rooms as rooms5


def test_images_and_five_tasks_are_those_of_rooms5(samples: list[Sample], tmp_path: Path) -> None:
    five = TinyTaxonomy(make(tmp_path / "five", "tiny_taxonomy"), "train", SIZE, base=None)
    assert len(five) == len(samples) == 12
    for index, eight in enumerate(samples):
        other = five.sample(index)
        torch.testing.assert_close(eight.input, other.input, rtol=0, atol=1e-7)
        assert torch.equal(eight.targets["segmentation"].long(), other.targets["segmentation"].long())
        turned = torch.cosine_similarity(eight.targets["normals"], other.targets["normals"], dim=0)
        assert turned.min() > 0.9999
        metres = five.metres(other.targets["depth"])
        torch.testing.assert_close(eight.targets["depth"].double(), metres, rtol=2e-3, atol=2e-3)
        for task in (KEYPOINTS2D, EDGE_TEXTURE):
            torch.testing.assert_close(eight.targets[task], other.targets[task], rtol=0, atol=2 / 65535)


def test_every_pixel_of_every_task_counts_and_is_in_range(samples: list[Sample]) -> None:
    bounds = {
        "segmentation": (0, len(CLASSES) - 1),
        "normals": (-1, 1),
        "depth": (0.3, 10),
        "keypoints2d": (-1, 1),
        "edge_texture": (-1, 1),
        "instance_edges": (0, 1),
        "albedo": (0, 1),
        "shading": (0.49, 1.6),  # the square roots of the least ambient light, and of all light with the most glow
    }
    assert tuple(bounds) == EIGHT == tuple(samples[0].targets)
    for sample in samples:
        for task, (low, high) in bounds.items():
            assert sample.masks[task].all(), task
            assert low <= sample.targets[task].min() <= sample.targets[task].max() <= high, task


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_rooms(root: Path, tmp_path: Path) -> None:
    again, other = make(tmp_path / "again", "eight_tasks"), make(tmp_path / "other", "eight_tasks", 2, SEED + 1)
    files = sorted(path.relative_to(root) for path in root.rglob("*.*"))
    assert len(files) == IMAGES * (1 + len(EIGHT)) + 3  # two lists and the manifest
    assert [file for file in files if (root / file).read_bytes() != (again / file).read_bytes()] == []
    for task in ("rgb", *EIGHT):
        image = f"train/{task}/train_00000.png"
        assert (root / image).read_bytes() != (other / image).read_bytes(), task


# --- what only the generator knows


def test_albedo_times_shading_is_the_image(samples: list[Sample]) -> None:
    """Up to the sensor's noise and three roundings: the image, and each factor, times the other at its largest."""
    bound = NOISE + STEP / 2 + 1.6 * STEP / 2 + STEP
    for sample in samples:
        product = (sample.targets["albedo"] * sample.targets["shading"]).clamp(max=1)
        away = (sample.input - product).abs()
        assert away.max() <= bound
        assert abs((sample.input - product)[product < 1 - bound].mean()) < STEP / 4  # the noise has no bias


def test_albedo_is_of_the_surface_and_shading_of_the_light(samples: list[Sample]) -> None:
    """On a surface of one colour the albedo does not vary where the image does; shadows are in the shading alone."""
    flat = varied = 0
    for sample in samples:
        inside = sample.targets["instance_edges"][0] == 0
        along = {name: _steps(value, inside) for name, value in _seen(sample).items()}
        calm = along["albedo"] == 0
        flat += int(calm.sum())
        varied += int((along["shading"][calm] > 4 * STEP).sum())
    assert flat > 4000
    assert varied > 100


def _seen(sample: Sample) -> dict[str, Tensor]:
    return {name: sample.targets[name] for name in ("albedo", "shading")}


def _steps(values: Tensor, inside: Tensor) -> Tensor:
    """The largest step over the channels from each pixel to the next one on its right, of pixels inside surfaces."""
    both = inside[:, 1:] & inside[:, :-1]
    found: Tensor = (values[:, :, 1:] - values[:, :, :-1]).abs().amax(0)[both]
    return found


def test_edges_lie_where_classes_or_depth_jump(samples: list[Sample]) -> None:
    """Wherever a class changes, and wherever depth jumps by more than a plane seen at this angle can account for."""
    jumps = edges = 0
    for sample in samples:
        edge = sample.targets["instance_edges"][0].bool()
        label, depth = sample.targets["segmentation"][0].long(), sample.targets["depth"][0]
        both = edge[:, 1:] & edge[:, :-1]
        assert both[label[:, 1:] != label[:, :-1]].all()
        jump = (depth[:, 1:] - depth[:, :-1]).abs() > 0.3 * torch.minimum(depth[:, 1:], depth[:, :-1])
        assert both[jump].all()
        jumps, edges = jumps + int(jump.sum()), edges + int(edge.sum())
    assert jumps > 50
    assert 0.1 < edges / (len(samples) * SIZE[0] * SIZE[1]) < 0.4


def test_instance_edges_by_hand() -> None:
    """A surface of one pixel is edge, and so are its four neighbours, but not those across a corner."""
    surface = np.zeros((4, 5), np.uint8)
    surface[1, 2] = 7
    assert instance_edges(surface).astype(int).tolist() == [
        [0, 0, 1, 0, 0],
        [0, 1, 1, 1, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0],
    ]
    assert not instance_edges(np.full((3, 3), 4, np.uint8)).any()


# --- some of the tasks


@pytest.mark.parametrize(
    ("tasks", "name", "found"),
    [
        (None, "rooms8", EIGHT),
        (list(EIGHT), "rooms8", EIGHT),
        (["segmentation"], "rooms8-t1", EIGHT[:1]),
        ("segmentation", "rooms8-t1", EIGHT[:1]),
        (["depth", "normals", "segmentation"], "rooms8-t3", EIGHT[:3]),
        (["albedo", "depth"], "rooms8-only_depth+albedo", ("depth", "albedo")),
    ],
)
def test_some_of_the_tasks(root: Path, tasks: Any, name: str, found: tuple[str, ...]) -> None:
    """In the order of the description, under another name; their targets are the same, and no other file is read."""
    dataset, every = opened(root, tasks), opened(root)
    assert dataset.name + dataset.chosen == name
    assert tuple(task.name for task in dataset.tasks) == found
    one, whole = dataset.sample(2), every.sample(2)
    assert tuple(one.targets) == found
    assert torch.equal(one.input, whole.input)
    assert all(torch.equal(one.targets[task], whole.targets[task]) for task in found)
    assert [path.parent.name for path in dataset.files(2)] == ["rgb", *found]
    assert Spread(dataset, 2).chosen == dataset.chosen


def test_other_tasks_are_other_data(root: Path) -> None:
    """So that no cell of one stands for another; all of them named are the same as none named."""
    choices: list[Any] = [None, ["segmentation"], ["depth"], list(FIVE)]
    hashes = [fingerprint(opened(root, tasks, limit=2)) for tasks in choices]
    assert len(set(hashes)) == len(choices)
    assert fingerprint(opened(root, list(EIGHT), limit=2)) == hashes[0]


@pytest.mark.parametrize("tasks", ["dpeth", ["depth", "dpeth"], [], 3])
def test_unknown_tasks_are_refused_without_the_files(tasks: Any) -> None:
    with pytest.raises(UsageError, match=r"dataset\.tasks=.*: expected one or more of segmentation, normals, depth,"):
        FolderDataset.tasks_of({"describe": "rooms8", "tasks": tasks})


def test_a_described_regression_names_its_metrics() -> None:
    """Those that fit values; all of them unless named."""

    def described(**more: Any) -> Mapping[str, object]:
        image = {"file": "{split}/rgb/{id}.png"}
        albedo = {"kind": "regression", "file": "{split}/albedo/{id}.png", "channels": 3, **more}
        return {"image": image, "splits": {"train": "train.txt"}, "tasks": {"albedo": albedo}}

    (every,) = FolderDataset.tasks_of({"describe": described()})
    (one,) = FolderDataset.tasks_of({"describe": described(metrics=["rmse"])})
    assert (every.metrics, one.metrics) == (("mae", "rmse", "r2"), ("rmse",))
    with pytest.raises(UsageError, match=r"tasks\.albedo\.metrics=\['miou'\]: expected mae, rmse, r2"):
        FolderDataset.tasks_of({"describe": described(metrics=["miou"])})
