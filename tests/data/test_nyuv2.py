"""NYUv2 in AdaShare's format: values, masks, augmentation, and errors that say what is wrong."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mtlbench.data.augment import Augment
from mtlbench.data.batch import Sample, collate
from mtlbench.data.nyuv2 import NYUv2, decode_normals
from mtlbench.errors import DataError, UsageError

Maker = Callable[..., Path]
SIZE = (24, 32)


def same(a: Sample, b: Sample) -> bool:
    return a.name == b.name and all(
        torch.equal(x, y)
        for x, y in [
            (a.input, b.input),
            *((a.targets[k], b.targets[k]) for k in a.targets),
            *((a.masks[k], b.masks[k]) for k in a.masks),
        ]
    )


def open_native(root: Path, **options: object) -> NYUv2:
    return NYUv2(root, **({"split": "test", "resolution": SIZE, "classes": 13} | options))  # type: ignore[arg-type]


def draw_with(dataset: NYUv2, mirrored: bool) -> int:
    """A draw of image 0 that is, or is not, mirrored."""
    assert dataset.augment is not None
    views = ((d, dataset.augment.view(SIZE, dataset.resolution, dataset.seed, 0, d)) for d in range(100))
    return next(d for d, view in views if view.mirrored == mirrored)


def test_a_sample_at_the_stored_size_holds_the_stored_values(make_nyuv2: Maker) -> None:
    root = make_nyuv2()
    sample = open_native(root).sample(1)
    stored = {
        "image": cv2.imread(str(root / "img/0001.png"))[..., ::-1],
        "seg": cv2.imread(str(root / "seg/0001.png"), cv2.IMREAD_UNCHANGED),
        "normals": cv2.imread(str(root / "normal_mask/0001.png"))[..., ::-1],
        "depth": np.load(root / "depth/0001.npy"),
    }
    assert sample.name == "0001.png"
    np.testing.assert_array_equal(np.rint(sample.input.permute(1, 2, 0).numpy() * 255), stored["image"])
    np.testing.assert_array_equal(sample.targets["segmentation"][0], stored["seg"])
    np.testing.assert_array_equal(sample.targets["normals"].permute(1, 2, 0), stored["normals"])
    np.testing.assert_array_equal(sample.targets["depth"][0], stored["depth"])  # stored in Fortran order
    np.testing.assert_array_equal(sample.masks["segmentation"][0], stored["seg"] != 255)
    np.testing.assert_array_equal(sample.masks["normals"][0], stored["normals"].max(axis=2) < 255)
    assert sample.masks["depth"].all()


def test_types_and_ranges_are_those_of_the_batch_contract(make_nyuv2: Maker) -> None:
    dataset = open_native(make_nyuv2(), resolution=(21, 17))
    batch = collate([dataset.sample(i) for i in range(3)])
    assert batch.input.shape == (3, 3, 21, 17)
    assert batch.input.dtype == torch.float32
    assert batch.input.min() >= 0
    assert batch.input.max() <= 1
    types = {name: target.dtype for name, target in batch.targets.items()}
    assert types == {"segmentation": torch.uint8, "normals": torch.uint8, "depth": torch.float32}
    assert [task.name for task in dataset.tasks] == list(batch.targets) == list(batch.masks)
    assert all(mask.dtype == torch.bool and mask.shape == (3, 1, 21, 17) for mask in batch.masks.values())
    assert len(set(batch.names)) == 3


def test_zero_vectors_count_as_normals_only_in_raw_form(make_nyuv2: Maker) -> None:
    root = make_nyuv2()
    raw, decoded = open_native(root).sample(0), open_native(root, normals="decoded").sample(0)
    assert raw.masks["normals"][0, 2, :4].all()
    assert not decoded.masks["normals"][0, 2, :4].any()
    assert not decoded.masks["normals"][0, :2].any()
    assert decoded.masks["normals"][0, 2:, 4:].all()
    length = decoded.targets["normals"].norm(dim=0, keepdim=True)
    torch.testing.assert_close(length, decoded.masks["normals"].float())
    vectors = decode_normals(raw.targets["normals"].numpy())
    cosine = (decoded.targets["normals"] * torch.from_numpy(vectors)).sum(dim=0)[decoded.masks["normals"][0]]
    assert cosine.min() > 0.97


def test_mirroring_exchanges_left_and_right_and_negates_x(make_nyuv2: Maker) -> None:
    root = make_nyuv2()
    for normals in ("raw", "decoded"):
        dataset = open_native(root, normals=normals, augment=Augment(1, 1))
        plain, flipped = dataset.sample(0), dataset.sample(0, draw_with(dataset, mirrored=True))
        assert same(dataset.sample(0, draw_with(dataset, mirrored=False)), plain)
        assert torch.equal(flipped.input, plain.input.flip(-1))
        for task in ("segmentation", "depth"):
            assert torch.equal(flipped.targets[task], plain.targets[task].flip(-1))
        for task, mask in plain.masks.items():
            assert torch.equal(flipped.masks[task], mask.flip(-1))
        back = flipped.targets["normals"].flip(-1)
        assert torch.equal(back[1:], plain.targets["normals"][1:])
        if normals == "decoded":
            assert torch.equal(back[0], -plain.targets["normals"][0])
        else:
            valid = plain.masks["normals"][0]
            assert torch.equal(back[0][valid], 254 - plain.targets["normals"][0][valid])
            assert torch.equal(back[0][~valid], plain.targets["normals"][0][~valid])


def test_the_same_draw_is_bit_identical_and_other_draws_differ(make_nyuv2: Maker) -> None:
    root = make_nyuv2()
    options: dict[str, object] = {"split": "train", "augment": Augment(), "seed": 3}
    first, second = open_native(root, **options), open_native(root, **options)
    second.sample(2, draw=9)  # what was drawn before does not matter
    np.random.seed(1)
    assert same(first.sample(0, draw=5), second.sample(0, draw=5))
    assert same(first[0, 5], first.sample(0, draw=5))
    assert not same(first.sample(0, draw=5), first.sample(0, draw=6))
    assert not same(first.sample(0, draw=5), open_native(root, **(options | {"seed": 4})).sample(0, draw=5))
    assert same(first.sample(0), open_native(root).sample(0))
    assert same(open_native(root).sample(0, draw=5), open_native(root).sample(0))


def test_padding_is_black_and_masked_for_every_task(make_nyuv2: Maker) -> None:
    dataset = open_native(make_nyuv2(), augment=Augment(0.5, 0.5, mirror=False), normals="decoded")
    sample = dataset.sample(0, draw=0)
    padding = torch.ones(SIZE, dtype=torch.bool)
    padding[6:18, 8:24] = False
    assert sample.input[:, padding].max() == 0
    for task in sample.masks:
        assert not sample.masks[task][0, padding].any(), task
        assert sample.masks[task][0, ~padding].any(), task
    # Depth keeps its metres when the image shrinks.
    stored = np.load(dataset.files(0)[3])
    inner = sample.targets["depth"][0][~padding].reshape(12, 16)
    np.testing.assert_array_equal(inner, stored[::2, ::2])


def test_limit_keeps_the_first_images(make_nyuv2: Maker) -> None:
    root = make_nyuv2()
    dataset = open_native(root, limit=2)
    assert len(dataset) == 2
    assert len(open_native(root, limit=99)) == 3
    assert same(dataset.sample(1), open_native(root).sample(1))
    for index in (2, -1):
        with pytest.raises(IndexError):
            dataset.sample(index)
    assert len(list(dataset)) == 2  # type: ignore[call-overload]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_worker_processes_give_the_same_samples(make_nyuv2: Maker) -> None:
    dataset = open_native(make_nyuv2(), augment=Augment())
    assert same(pickle.loads(pickle.dumps(dataset)).sample(1, 4), dataset.sample(1, 4))
    loader = DataLoader(dataset, batch_size=3, sampler=[(0, 7), (1, 7), (2, 7)], num_workers=1, collate_fn=collate)
    (batch,) = loader
    assert torch.equal(batch.input, torch.stack([dataset.sample(i, 7).input for i in range(3)]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normals": "unit"}, "dataset.normals=unit: expected raw or decoded"),
        ({"classes": 1}, "dataset.classes=1"),
        ({"resolution": (321,)}, r"dataset.resolution=\[321\]"),
        ({"resolution": (0, 321)}, r"dataset.resolution=\[0, 321\]"),
        ({"limit": 0}, "limit=0"),
        ({"seed": -1}, "dataset.seed=-1"),
    ],
)
def test_options_out_of_range(make_nyuv2: Maker, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_native(make_nyuv2(), **options)


def test_class_ids_out_of_range_are_listed(make_nyuv2: Maker) -> None:
    with pytest.raises(DataError, match=r"seg/0000.png: class ids \[11, 12\]; expected 0..10 or 255"):
        open_native(make_nyuv2(), classes=11).sample(0)


@pytest.mark.parametrize(
    ("depth", "message"),
    [
        (np.full(SIZE, -1.0), "depth down to -1; expected metres"),
        (np.ones(SIZE, np.uint16), "depth of type uint16; expected float32 metres"),
        (np.ones((32, 24)), r"depth/0000.npy: 32x24 pixels, but its image .*img/0000.png has 24x32"),
    ],
)
def test_depth_files_that_are_something_else(make_nyuv2: Maker, depth: np.ndarray, message: str) -> None:
    root = make_nyuv2()
    np.save(root / "depth/0000.npy", depth)
    with pytest.raises(DataError, match=message):
        open_native(root).sample(0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("\xff", "not valid JSON"),
        ("[]", "holds a list; expected an object"),
        ('{"train": [], "val": []}', "no split 'test'; it has 'train', 'val'"),
        ('{"test": []}', "split 'test' is empty; expected a list of images"),
        ('{"test": {"a": 1}}', "expected a list of images"),
        ('{"test": [["a", "b", "c"]]}', "entry 0 of 'test' is .*expected 4 relative paths"),
        ('{"test": [["a", "b", "c", 4]]}', "expected 4 relative paths"),
        ('{"test": ["abcd"]}', "expected 4 relative paths"),
        ('{"test": [["a", "b", "c", "../d"]]}', "entry '../d' may leave the root"),
        ('{"test": [["/a", "b", "c", "d"]]}', "entry '/a' may leave the root"),
        (
            '{"test": [["a/1", "b", "c", "d"], ["b/1", "b", "c", "d"]]}',
            r"names of split 'test' occur more than once: \['1'\]",
        ),
    ],
)
def test_malformed_lists(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "nyu_v2_3task.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=message) as error:
        open_native(tmp_path)
    assert "nyu_v2_3task.json" in str(error.value)


def test_a_missing_list_says_what_the_folder_is_instead(make_nyuv2: Maker, make_mtan: Maker, tmp_path: Path) -> None:
    root = make_nyuv2()
    (root / "nyu_v2_3task.json").unlink()
    shutil.rmtree(root / "depth")
    cases = {root: "img, seg, normal_mask are here, only the list", make_mtan(): "dataset=nyuv2_mtan"}
    for name, hint in {"gt_sets": "NYUD_MT", "other": "holds x.txt"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.txt").touch()
        cases[tmp_path / name] = hint
    (tmp_path / "gt_sets" / "gt_sets").mkdir()
    (tmp_path / "mat").mkdir()
    (tmp_path / "mat" / "nyu_depth_v2_labeled.mat").touch()
    cases[tmp_path / "mat"] = "the .mat file holds no normals"
    for folder, hint in cases.items():
        with pytest.raises(DataError, match=r"nyu_v2_3task\.json: no such file; ") as error:
            open_native(folder)
        assert hint in str(error.value)
    with pytest.raises(DataError, match="absent: no such folder"):
        open_native(tmp_path / "absent")


def test_a_link_out_of_the_root_is_refused_when_read(make_nyuv2: Maker, tmp_path: Path) -> None:
    root = make_nyuv2()
    (root / "img").rename(tmp_path / "elsewhere")
    (root / "img").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="outside the root"):
        open_native(root).sample(0)


def test_settings_are_plain_data_and_name_what_changes_a_sample(make_nyuv2: Maker) -> None:
    root = make_nyuv2()
    variants: list[dict[str, object]] = [
        {},
        {"resolution": (8, 8)},
        {"classes": 14},
        {"normals": "decoded"},
        {"augment": Augment()},
        {"augment": Augment(1, 1)},
        {"augment": Augment(), "seed": 1},
    ]
    assert len({json.dumps(open_native(root, **options).settings()) for options in variants}) == len(variants)
    assert open_native(root, seed=1).settings() == open_native(root).settings()
