"""The original NYUv2 in one HDF5 file: images the right way up, and nothing that the file's maker chose is read."""

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from scipy.io import savemat

from mtlbench.data.convert import to_folder
from mtlbench.data.folder.dataset import FolderDataset
from mtlbench.data.verify import verify
from mtlbench.errors import DataError, MachineError

SIZE = (12, 16)
COUNT = 5
Arrays = dict[str, np.ndarray]


def arrays() -> Arrays:
    """As MATLAB has them: height, width(, channel), image."""
    random = np.random.default_rng(0)
    return {
        "images": random.integers(0, 256, (*SIZE, 3, COUNT), np.uint8),
        "depths": random.uniform(0.7, 9, (*SIZE, COUNT)).astype(np.float32),
        "labels": random.integers(0, 895, (*SIZE, COUNT), np.uint16),
    }


def write(path: Path, values: Arrays) -> Path:
    """As MATLAB writes them: axes reversed, behind a header of 512 bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in values.items():
            file[name] = array.transpose(range(array.ndim)[::-1])
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file".ljust(512))
    return path


def test_images_stand_upright_and_splits_are_the_authors(tmp_path: Path) -> None:
    values = arrays()
    source = write(tmp_path / "in/nyu_depth_v2_labeled.mat", values)
    numbers = {"trainNdxs": np.array([[1], [4]], np.uint16), "testNdxs": np.array([[2], [3], [5]], np.uint16)}
    savemat(tmp_path / "in/splits.mat", numbers)
    done = to_folder(source, tmp_path / "out")
    assert (done.images, done.notes) == ({"train": 2, "test": 3}, [])
    for split, indices in (("train", (0, 3)), ("test", (1, 2, 4))):
        dataset = FolderDataset(tmp_path / "out", split, tmp_path / "out/nyu_depth_v2.yaml", SIZE)
        assert verify(dataset).ok
        assert len(dataset) == len(indices)
        for position, index in enumerate(indices):
            sample = dataset.sample(position)
            assert sample.name == f"{index + 1:04}"
            shown = np.rint(sample.input.permute(1, 2, 0).numpy() * 255)
            np.testing.assert_array_equal(shown, values["images"][..., index])
            np.testing.assert_array_equal(sample.targets["depth"][0], values["depths"][..., index])
            labels = cv2.imread(str(tmp_path / f"out/labels/{sample.name}.png"), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(labels, values["labels"][..., index])


def test_the_command_says_how_to_go_on(call: Callable, tmp_path: Path) -> None:
    source = write(tmp_path / "nyu_depth_v2_labeled.mat", arrays())
    done = call("data", "action=convert", f"source={source}", f"target={tmp_path / 'out'}")
    assert done.status == 0, done.err
    assert "5 test images" in done.out
    assert "splits.mat: no such file, so all images are test images" in done.out
    line = done.out.splitlines()[-1]
    assert line.startswith("mtlbench data action=verify dataset=folder dataset.describe=")
    checked = call(*line.split()[1:], "dataset.resolution=12x16")
    assert checked.status == 0, checked.err


def transposed(values: Arrays) -> Arrays:
    return values | {"depths": values["depths"].transpose(1, 0, 2)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: {k: a for k, a in v.items() if k != "depths"}, "no depths; it has images, labels"),
        (transposed, r"depths is float32 \[5, 12, 16\]; expected f4 \[5, 16, 12\]"),
        (lambda v: v | {"images": v["images"] / 255}, r"images is float64 \[5, 3, 16, 12\]; expected u1"),
        (lambda v: v | {"labels": v["labels"][..., :3]}, r"labels is uint16 \[3, 16, 12\]; expected u2 \[5, 16, 12\]"),
    ],
)
def test_arrays_of_another_form(tmp_path: Path, change: Callable[[Arrays], Arrays], message: str) -> None:
    source = write(tmp_path / "nyu.mat", change(arrays()))
    with pytest.raises(DataError, match=rf"nyu\.mat: {message}"):
        to_folder(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_refers_to_another_one_is_refused(tmp_path: Path) -> None:
    """HDF5 can name any file of the machine in three ways; each would be read as if it were the image."""
    values = arrays()
    secret = write(tmp_path / "secret.h5", values)
    raw = tmp_path / "raw"
    raw.write_bytes(bytes(COUNT * 3 * SIZE[0] * SIZE[1]))
    shape = (COUNT, 3, SIZE[1], SIZE[0])
    layout = h5py.VirtualLayout(shape, np.uint8)
    layout[:] = h5py.VirtualSource(secret, "images", shape)
    poisons: tuple[tuple[str, Callable[[h5py.File], object]], ...] = (
        ("a link", lambda file: file.__setitem__("images", h5py.ExternalLink(str(secret), "images"))),
        (
            "not stored in the file itself",
            lambda file: file.create_dataset("images", shape, np.uint8, external=[(str(raw), 0, h5py.h5f.UNLIMITED)]),
        ),
        ("not stored in the file itself", lambda file: file.create_virtual_dataset("images", layout)),
    )
    for message, poison in poisons:
        source = write(tmp_path / "nyu.mat", {k: a for k, a in values.items() if k != "images"})
        with h5py.File(source, "r+") as file:
            poison(file)
            assert file["images"].shape == shape, "the door that stays closed"
        with pytest.raises(DataError, match=rf"nyu\.mat: images is {message}"):
            to_folder(source, tmp_path / "out")


def test_files_that_are_something_else(tmp_path: Path) -> None:
    source = write(tmp_path / "nyu.mat", arrays())
    whole = source.read_bytes()
    for damage in (b"", b"MATLAB 5.0 MAT-file" * 50, whole[: len(whole) // 2]):
        source.write_bytes(damage)
        with pytest.raises(DataError, match=r"nyu\.mat: not a sound MATLAB v7\.3 file"):
            to_folder(source, tmp_path / "out")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"trainNdxs": [1], "testNdxs": [1, 2]}, "images are in both splits"),
        ({"trainNdxs": [1], "testNdxs": [9]}, "expected trainNdxs and testNdxs, numbers from 1 to 5"),
        ({"trainNdxs": [1]}, "expected trainNdxs and testNdxs, numbers from 1 to 5"),
    ],
)
def test_splits_of_another_form(tmp_path: Path, values: dict[str, list[int]], message: str) -> None:
    source = write(tmp_path / "nyu.mat", arrays())
    savemat(tmp_path / "splits.mat", {name: np.array(numbers) for name, numbers in values.items()})
    with pytest.raises(DataError, match=rf"splits\.mat: {message}"):
        to_folder(source, tmp_path / "out")


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "nyu.mat", arrays())
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MachineError, match=r"needs h5py, which is not installed .*pip install 'mtlbench\[mat\]'"):
        to_folder(source, tmp_path / "out")
