"""The user's own loader: cut into blocks, masked, and refused where it is something else."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from mtlbench.data.batch import Batch
from mtlbench.data.own import OwnImages
from mtlbench.errors import DataError
from mtlbench.tasks import classification, depth, multilabel, normals, regression, segmentation

TASKS = (segmentation(4), depth())
SIZE = (4, 6)


def images(count: int, seed: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
    draw = torch.Generator().manual_seed(seed)
    classes = torch.randint(0, 4, (count, *SIZE), generator=draw)
    metres = torch.rand(count, *SIZE, generator=draw) + 1
    return torch.rand(count, 3, *SIZE, generator=draw), {"segmentation": classes, "depth": metres}


def cut(whole: tuple[Tensor, dict[str, Tensor]], size: int) -> list[tuple[Tensor, dict[str, Tensor]]]:
    image, targets = whole
    starts = range(0, len(image), size)
    return [(image[i : i + size], {k: v[i : i + size] for k, v in targets.items()}) for i in starts]


@settings(max_examples=30)
@given(st.integers(1, 13), st.integers(1, 7), st.integers(1, 7), st.integers(0, 9), st.none() | st.integers(1, 15))
def test_blocks_do_not_depend_on_the_loaders_batches(
    count: int, loaded: int, block: int, first: int, limit: int | None
) -> None:
    whole = images(count)
    own = OwnImages(cut(whole, loaded), TASKS, limit)
    if first:
        own.first(first)
    blocks = list(own.blocks(block))
    kept = count if limit is None else min(count, limit)
    assert [len(b) for b in blocks] == [block] * (kept // block) + ([kept % block] if kept % block else [])
    assert torch.equal(torch.cat([b.input for b in blocks]), whole[0][:kept])
    assert [name for b in blocks for name in b.names] == [str(n) for n in range(kept)]
    other = OwnImages(whole, TASKS, limit)
    list(other.blocks(16))
    assert own.fingerprint == other.fingerprint
    assert own.images == kept


def test_the_fingerprint_tells_images_targets_masks_order_and_tasks() -> None:
    def of(item: object, tasks: tuple = TASKS) -> str:
        own = OwnImages(item, tasks)
        list(own.blocks(4))
        return own.fingerprint

    image, targets = images(4)
    masked = {**targets, "depth_mask": torch.ones(4, *SIZE).index_fill(0, torch.tensor([2]), 0)}
    found = [
        of((image, targets)),
        of((image.flip(0), {k: v.flip(0) for k, v in targets.items()})),
        of((image.clamp_min(0.1), targets)),
        of((image, {**targets, "depth": targets["depth"] + 1})),
        of((image, masked)),
        of((image, targets), (segmentation(5), depth())),
    ]
    assert len(set(found)) == len(found)
    assert of((image, targets)) == found[0]


def test_every_form_of_a_batch() -> None:
    image, targets = images(2)
    forms = [(image, targets), [image, targets], {"image": image, **targets}, [(image, targets)]]
    firsts = [OwnImages(form, TASKS).first(2) for form in forms]
    for found in firsts:
        assert found.targets["segmentation"].shape == (2, 1, *SIZE)
        assert found.masks["depth"].shape == (2, 1, *SIZE)
        assert torch.equal(found.targets["depth"], firsts[0].targets["depth"])


def test_masks_come_from_the_ignored_value_and_from_the_loader() -> None:
    image, targets = images(2)
    targets["segmentation"][0, 0, 0] = 255
    targets["depth"][0, 0, 1] = 0
    targets["depth"][0, 0, 2] = torch.nan
    own = torch.ones(2, *SIZE)
    own[1, 0, 0] = 0
    batch = OwnImages((image, {**targets, "depth_mask": own}), TASKS).first(2)
    assert (~batch.masks["segmentation"]).nonzero().tolist() == [[0, 0, 0, 0]]
    assert (~batch.masks["depth"]).nonzero().tolist() == [[0, 0, 0, 1], [0, 0, 0, 2], [1, 0, 0, 0]]
    assert batch.targets["depth"].isfinite().all()


def test_vectors_without_direction_and_unknown_attributes_do_not_count() -> None:
    image = images(2)[0]
    vectors = torch.ones(2, 3, *SIZE)
    vectors[0, :, 1, 1] = 0
    yes = torch.tensor([[1.0, 0, torch.nan], [-1, -1, -1]])
    tasks = (normals(), multilabel(3), regression(outputs=2), classification(3, ignore=9))
    given = {
        "normals": vectors,
        "attributes": yes,
        "regression": torch.rand(2, 2),
        "classification": torch.tensor([9, 2]),
    }
    batch = OwnImages((image, given), tasks).first(2)
    assert (~batch.masks["normals"]).nonzero().tolist() == [[0, 0, 1, 1]]
    assert batch.masks["attributes"].flatten().tolist() == [True, False]
    assert batch.masks["classification"].flatten().tolist() == [False, True]
    assert batch.targets["regression"].shape == (2, 2, 1, 1)


def test_a_loader_is_read_once() -> None:
    dataset = TensorDataset(*images(5)[:1])
    reads = []

    def collate(items: list) -> tuple[Tensor, dict[str, Tensor]]:
        reads.append(len(items))
        return torch.stack([item[0] for item in items]), {k: v[: len(items)] for k, v in images(5)[1].items()}

    own = OwnImages(DataLoader(dataset, 2, collate_fn=collate), TASKS)
    own.first(3)
    assert sum(map(len, own.blocks(4))) == 5
    assert reads == [2, 2, 1]
    assert own.expected == 5


def test_bytes_are_grey_levels() -> None:
    image, targets = images(1)
    found = OwnImages(((image * 255).round().byte(), targets), TASKS).first(1).input
    assert torch.equal(found, (image * 255).round() / 255)


def test_images_of_several_sizes_come_in_blocks_of_one() -> None:
    small, large = (
        images(3),
        (torch.rand(2, 3, 8, 8), {"segmentation": torch.zeros(2, 8, 8), "depth": torch.ones(2, 8, 8)}),
    )
    own = OwnImages([small, large], TASKS)
    assert len(own.first(9)) == 3
    assert [tuple(b.input.shape) for b in own.blocks(2)] == [(2, 3, *SIZE), (1, 3, *SIZE), (2, 3, 8, 8)]


IMAGE, TARGETS = images(2)
REFUSED = {
    "a tensor": ([IMAGE], r"batch 0 of the loader: Tensor, expected \(images, \{task: target\}\)"),
    "no loader": (3, "loader: a int, expected something that gives"),
    "a sample": (
        [(IMAGE[0], TARGETS)],
        r"image \[3, 4, 6\], expected a tensor \[B, 3, H, W\]; a Dataset needs a DataLoader",
    ),
    "normalised": (
        [(IMAGE * 4 - 2, TARGETS)],
        r"values from -\d.*, expected RGB in \[0, 1\]; take Normalize out of the loader",
    ),
    "not a number": ([(IMAGE * torch.nan, TARGETS)], "values from nan to nan"),
    "whole numbers": ([(IMAGE.long(), TARGETS)], "images of torch.int64"),
    "no target": ([(IMAGE, {"seg": 0})], "no target for segmentation, only 'seg'"),
    "no tensor": ([(IMAGE, {**TARGETS, "depth": 3})], "batch 0 of the loader: depth: a int, expected a tensor"),
    "shape": (
        [(IMAGE, {**TARGETS, "depth": torch.ones(2, 2, 4, 6)})],
        r"depth: target \[2, 2, 4, 6\], expected \[2, 1, H, W\]",
    ),
    "class": (
        [(IMAGE, {**TARGETS, "segmentation": TARGETS["segmentation"] - 1})],
        "segmentation: class ids -1, expected 0 to 3, or ignore=255",
    ),
    "mask": ([(IMAGE, {**TARGETS, "depth_mask": torch.ones(2, 2)})], r"depth_mask: \[2, 2\], expected \[2, 1, 4, 6\]"),
    "names": ([{"image": IMAGE, **TARGETS, "name": ["a"]}], "1 names for 2 images"),
    "a name twice": (
        [{"image": IMAGE, **TARGETS, "name": ["a", "b"]}] * 2,
        "batch 1 of the loader: the name 'a' comes twice",
    ),
    "a batch": ([Batch(IMAGE, {}, {}, ("a", "b"))], "batch 0 of the loader: no target for segmentation, only "),
    "nothing": ([], "loader: gives no images"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_loaders_are_refused(case: str) -> None:
    loader, message = REFUSED[case]
    with pytest.raises(DataError, match=message):
        list(OwnImages(loader, TASKS).blocks(2))
