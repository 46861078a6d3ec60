"""Six published layouts, each read by a description of a few lines, to the tensors that their files stand for."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml

from mtlbench.data.augment import Augment
from mtlbench.data.fingerprint import fingerprint
from mtlbench.data.folder.dataset import FolderDataset
from mtlbench.data.folder.description import KNOWN, known, read_description
from mtlbench.data.loader import in_order
from mtlbench.data.nyuv2 import NYUv2
from mtlbench.data.verify import verify
from mtlbench.metrics import PixelMean
from tests.data.folder.layouts import IDS, LAYOUTS, SIZE, adashare, describe


def made(name: str, tmp_path: Path, split: str = "test", **options: object) -> FolderDataset:
    """A split of a layout, at the stored size."""
    root = tmp_path / name
    text = LAYOUTS[name](root) if not root.is_dir() else (tmp_path / f"{name}.said").read_text()
    (tmp_path / f"{name}.said").write_text(text)
    return FolderDataset(root, split, describe(root, text), **({"resolution": SIZE} | options))  # type: ignore[arg-type]


def same(a: FolderDataset, b: NYUv2, index: int, draw: int | None = None, but: str = "") -> bool:
    x, y = a.sample(index, draw), b.sample(index, draw)
    tasks = [task for task in y.targets if task != but]
    return torch.equal(x.input, y.input) and all(
        torch.equal(x.targets[t], y.targets[t]) and torch.equal(x.masks[t], y.masks[t]) for t in tasks
    )


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_split_reads_verifies_and_makes_batches(name: str, tmp_path: Path) -> None:
    for split in ("train", "test"):
        dataset = made(name, tmp_path, split)
        found = verify(dataset)
        assert found.ok, found.problems
        assert found.notes == (), "neither made-up masks nor values of whole images look odd"
        (batch,) = in_order(dataset, 32)
        assert batch.input.shape == (len(dataset), 3, *SIZE)
        assert list(batch.targets) == list(batch.masks) == [task.name for task in dataset.tasks]
        assert 0 <= batch.input.min() <= batch.input.max() <= 1
        for task in dataset.tasks:
            size = (1, 1) if task.per_image else SIZE
            prediction = (len(batch), task.channels, *size)
            task.check_shapes(prediction, batch.targets[task.name].shape, batch.masks[task.name].shape)
            assert batch.masks[task.name].any(), task.name
        assert len(fingerprint(dataset)) == 64


def test_it_can_be_sent_to_worker_processes(tmp_path: Path) -> None:
    dataset = made("mvtec_ad", tmp_path, augment=Augment())
    sent = pickle.loads(pickle.dumps(dataset))
    ours, theirs = dataset.sample(3, 1), sent.sample(3, 1)
    assert torch.equal(ours.input, theirs.input)
    assert all(torch.equal(ours.targets[task], theirs.targets[task]) for task in ours.targets)


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_training_form_is_reproducible_and_masks_padding(name: str, tmp_path: Path) -> None:
    dataset = made(name, tmp_path, "train", augment=Augment(0.5, 0.5))
    first, again = dataset.sample(0, 1), dataset.sample(0, 1)
    assert torch.equal(first.input, again.input)
    padding = torch.ones(SIZE, dtype=torch.bool)
    padding[6:18, 8:24] = False
    assert first.input[:, padding].max() == 0
    for task in dataset.tasks:
        if not task.per_image:
            assert not first.masks[task.name][0, padding].any(), task.name
        assert torch.equal(first.targets[task.name].nan_to_num(9), again.targets[task.name].nan_to_num(9))


@pytest.mark.parametrize("name", known())
def test_a_ready_description_is_short_and_says_what_it_is(name: str) -> None:
    first, *lines = (KNOWN / f"{name}.yaml").read_text().splitlines()
    assert first.startswith("# ")
    described = read_description(name)
    assert 4 <= len(lines) <= 6 + len(described.targets)
    assert described.settings() == read_description(yaml.safe_load("\n".join(lines))).settings()


def test_adashare_is_read_as_nyuv2_reads_it(tmp_path: Path) -> None:
    dataset = made("adashare", tmp_path)
    native = NYUv2(tmp_path / "adashare", "test", SIZE, 13, "decoded")
    assert [dataset.sample(i).name for i in range(3)] == [f"img/{name}.png" for name in IDS]
    for index in range(3):
        assert same(dataset, native, index)
    options = {"augment": Augment(), "resolution": (20, 20)}
    ours = made("adashare", tmp_path, "train", **options)
    theirs = NYUv2(tmp_path / "adashare", "train", (20, 20), 13, "decoded", Augment())
    for draw in range(8):  # mirrored and not; depth is divided by the scale here, as in MTAN
        assert same(ours, theirs, 1, draw, but="depth")
        view = Augment().view(SIZE, (20, 20), 0, 1, draw)
        expected = theirs.sample(1, draw).targets["depth"] / view.scale
        torch.testing.assert_close(ours.sample(1, draw).targets["depth"], expected)


@pytest.mark.parametrize("size", [(321, 321), (480, 640)])
def test_the_four_real_images_are_read_as_nyuv2_reads_them(nyuv2_images: Path, tmp_path: Path, size: tuple) -> None:
    text = adashare(tmp_path / "unused").replace("classes: 13", "classes: 40")
    dataset = FolderDataset(nyuv2_images, "test", describe(tmp_path / "real", text), size)
    native = NYUv2(nyuv2_images, "test", size, 40, "decoded")
    assert len(dataset) == len(native) == 4
    for index in range(4):
        assert same(dataset, native, index)


def test_nyud_mt(tmp_path: Path) -> None:
    dataset, root = made("nyud_mt", tmp_path), tmp_path / "nyud_mt"
    assert [dataset.sample(i).name for i in range(len(dataset))] == ["0007"]
    assert len(made("nyud_mt", tmp_path, "train")) == 2
    sample = dataset.sample(0)
    stored = cv2.imread(str(root / "segmentation/0007.png"), cv2.IMREAD_UNCHANGED).astype(int)
    np.testing.assert_array_equal(sample.targets["segmentation"][0], np.where(stored == 0, 255, stored - 1))
    np.testing.assert_array_equal(sample.masks["segmentation"][0], stored > 0)
    shown = cv2.imread(str(root / "images/0007.jpg"))[..., ::-1]
    np.testing.assert_array_equal(np.rint(sample.input.permute(1, 2, 0).numpy() * 255), shown)
    np.testing.assert_array_equal(sample.targets["depth"][0], np.load(root / "depth/0007.npy"))
    assert not sample.masks["normals"][0, 0].any()
    expected = torch.from_numpy(np.load(root / "normals/0007.npy")).permute(2, 0, 1)
    torch.testing.assert_close(sample.targets["normals"], expected)


def test_cityscapes_of_mtan_has_inverse_depth(tmp_path: Path) -> None:
    dataset, root = made("cityscapes_mtan", tmp_path), tmp_path / "cityscapes_mtan"
    assert [dataset.sample(i).name for i in range(3)] == ["0", "2", "10"], "in the order of the numbers"
    sample, stored = dataset.sample(1), np.load(root / "val/depth/2.npy")[..., 0]
    np.testing.assert_array_equal(sample.targets["depth"][0], stored)
    np.testing.assert_array_equal(sample.masks["depth"][0], stored > 0)
    np.testing.assert_array_equal(sample.masks["segmentation"][0], np.load(root / "val/label/2.npy") >= 0)
    (depth,) = (task for task in dataset.tasks if task.name == "depth")
    assert (depth.metric_names, depth.unit) == (("abs_err",), "disparity")
    trained = made("cityscapes_mtan", tmp_path, "train", augment=Augment(2, 2, mirror=False))
    row, column = trained.augment.view(SIZE, SIZE, 0, 0, 0).corner
    here = np.load(root / "train/depth/0.npy").repeat(2, 0).repeat(2, 1)[row : row + 24, column : column + 32, 0]
    np.testing.assert_array_equal(trained.sample(0, 0).targets["depth"][0], 2 * here, "twice as near")


def test_cityscapes_as_downloaded(tmp_path: Path) -> None:
    dataset, root = made("cityscapes", tmp_path), tmp_path / "cityscapes"
    sample = dataset.sample(1)
    assert sample.name == "munster/munster_000000_000019"
    ids = cv2.imread(str(root / f"gtFine/val/{sample.name}_gtFine_labelIds.png"), cv2.IMREAD_UNCHANGED)
    of = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12, 26: 13, 27: 14}
    of |= {28: 15, 31: 16, 32: 17, 33: 18}
    np.testing.assert_array_equal(
        sample.targets["segmentation"][0], np.vectorize(lambda i: of.get(i, 255))(ids).astype(np.uint8)
    )
    stored = cv2.imread(str(root / f"disparity/val/{sample.name}_disparity.png"), cv2.IMREAD_UNCHANGED)
    valid = stored > 0
    np.testing.assert_array_equal(sample.masks["depth"][0], valid & (stored > 1))
    np.testing.assert_allclose(sample.targets["depth"][0].numpy()[valid], (stored[valid] - 1.0) / 256)


def test_mvtec_ad_has_a_class_an_image_and_masks_of_defects_alone(tmp_path: Path) -> None:
    dataset = made("mvtec_ad", tmp_path)
    samples = [dataset.sample(i) for i in range(len(dataset))]
    assert [s.name for s in samples] == [f"{d}/{n}" for d in ("good", "hole", "scratch") for n in ("000", "001")]
    assert [int(s.targets["defect"]) for s in samples] == [0, 0, 1, 1, 1, 1]
    assert all(s.masks["defect"].shape == (1, 1, 1) and s.masks["mask"].all() for s in samples)
    assert [bool(s.targets["mask"].any()) for s in samples] == [False, False, True, True, True, True]
    assert [len(dataset.files(i)) for i in range(6)] == [1, 1, 2, 2, 2, 2]
    classes, mask = dataset.tasks
    assert (classes.per_image, classes.labels, mask.per_image) == (True, ("good", "defective"), False)
    assert all(int(s.targets["defect"]) == 0 for s in made("mvtec_ad", tmp_path, "train"))  # type: ignore[attr-defined]


def test_celeba_has_attributes_by_name(tmp_path: Path) -> None:
    dataset = made("celeba", tmp_path)
    assert [dataset.sample(i).name for i in range(2)] == ["000005.jpg", "000006.jpg"]
    rows = [line.split() for line in (tmp_path / "celeba/list_attr_celeba.txt").read_text().splitlines()[2:]]
    for index, row in ((0, rows[4]), (1, rows[5])):
        expected = [float(row[column] == "1") for column in (3, 2, 4)]  # Smiling, Male, Young
        assert dataset.sample(index).targets["attributes"].flatten().tolist() == expected
        assert dataset.values(index) == [expected]
    (task,) = dataset.tasks
    assert (task.per_image, task.channels, task.labels) == (True, 3, ("Smiling", "Male", "Young"))


def test_the_fingerprint_sees_tables_and_not_the_place(tmp_path: Path) -> None:
    dataset = made("celeba", tmp_path)
    before = fingerprint(dataset)
    (tmp_path / "celeba").rename(tmp_path / "elsewhere")
    assert fingerprint(FolderDataset(tmp_path / "elsewhere", "test", "celeba", SIZE)) == before
    table = tmp_path / "elsewhere/list_attr_celeba.txt"
    lines = table.read_text().splitlines()
    words = lines[6].split()
    words[3] = "-1" if words[3] == "1" else "1"
    table.write_text("\n".join([*lines[:6], " ".join(words), *lines[7:]]))
    assert fingerprint(FolderDataset(tmp_path / "elsewhere", "test", "celeba", SIZE)) != before


def test_settings_know_what_changes_a_sample_and_nothing_else(tmp_path: Path) -> None:
    root, text = tmp_path / "adashare", adashare(tmp_path / "adashare")

    def settings(old: str = "", new: str = "", name: str = "a.yaml") -> dict[str, object]:
        (tmp_path / name).write_text(text.replace(old, new))
        return FolderDataset(root, "test", tmp_path / name, SIZE).settings()

    before = settings()
    for old, new in (
        ("depth, column", "depth, scale: 1, layout: hwc, column"),
        ("[255]", "[255.0]"),
        ("2/255", "4/510"),
    ):
        assert settings(old, new, "b.yaml") == before, new
    assert settings("image:", "root: elsewhere\nimage:") == before
    for old, new in (
        ("offset: -254/255", "offset: -1"),
        ("column: 3", "column: 3, scale: 0.5"),
        ("[255]", "[255, 0]"),
        ("any_ignore: 255", "any_ignore: 255, mirror: none"),
        ("train: nyu", "train: other_nyu"),
    ):
        assert settings(old, new) != before, new


OTHER_TASKS: dict[str, dict[str, Any]] = {
    "loss": {"loss": "l2"},
    "attack's loss": {"attack_loss": "l2"},
    "loss of a plugin": {"loss": torch.nn.functional.huber_loss},
    "metrics": {"metrics": ("abs_err",)},
    "metric of a plugin": {
        "metrics": (PixelMean("own", "m", False, statistic="depth_sums", count="count", total="abs"),)
    },
    "class weights": {"class_weights": (1.0, 2.0)},
    "ignore": {"ignore": 7},
    "unit": {"unit": "cm"},
}


@pytest.mark.parametrize("case", OTHER_TASKS)
def test_what_decides_the_numbers_of_a_task_is_in_the_fingerprint(case: str, tmp_path: Path) -> None:
    """The same files, read to the same samples: nothing else would tell the results apart."""
    one, other = made("adashare", tmp_path), made("adashare", tmp_path)
    other.tasks = tuple(replace(t, **OTHER_TASKS[case]) if t.name == "depth" else t for t in other.tasks)
    assert fingerprint(one) != fingerprint(other)


def test_metrics_of_a_description_are_in_the_fingerprint(tmp_path: Path) -> None:
    root, text = tmp_path / "adashare", adashare(tmp_path / "adashare")
    (tmp_path / "one.yaml").write_text(text)
    (tmp_path / "other.yaml").write_text(text.replace("kind: depth,", "kind: depth, metrics: [abs_err],"))
    names = [fingerprint(FolderDataset(root, "test", tmp_path / f"{name}.yaml", SIZE)) for name in ("one", "other")]
    assert names[0] != names[1]
