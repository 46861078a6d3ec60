"""Parquet files of NYUv2, as Hugging Face has them, to MTAN's format: the same arrays, strict about all others."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mtlbench.data.convert import to_folder
from mtlbench.data.nyuv2_mtan import NYUv2MTAN
from mtlbench.data.verify import verify
from mtlbench.errors import DataError, MachineError, UsageError
from tests.data.conftest import vectors

SIZE = (12, 16)
Row = dict[str, np.ndarray]


def row(seed: int) -> Row:
    random = np.random.default_rng(seed)
    depth = random.uniform(0.5, 9, (1, *SIZE)).astype(np.float32)
    depth[:, 0] = 0
    return {
        "image": random.random((3, *SIZE), np.float32),
        "segmentation": random.integers(-1, 13, SIZE),
        "depth": depth,
        "normal": vectors(random, SIZE, away=2).transpose(2, 0, 1).astype(np.float32),
        "noise": random.random((1, *SIZE), np.float32),
    }


def write(path: Path, rows: list[Row]) -> list[Row]:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {name: [one[name].tolist() for one in rows] for name in rows[0]}
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return rows


def source(root: Path) -> tuple[Path, list[Row], list[Row]]:
    """Two files to train, one to validate."""
    first = write(root / "data/train-00000-of-00002.parquet", [row(0), row(1), row(2)])
    second = write(root / "data/train-00001-of-00002.parquet", [row(3)])
    return root / "data", first + second, write(root / "data/val-00000-of-00001.parquet", [row(4), row(5)])


def test_every_row_becomes_the_files_that_mtan_has(tmp_path: Path) -> None:
    folder, train, val = source(tmp_path)
    seen = []
    done = to_folder(folder, tmp_path / "mtan", lambda *counts: seen.append(counts))
    assert (done.images, done.dataset) == ({"train": 4, "test": 2}, "nyuv2_mtan")
    assert seen == [(n, 6) for n in range(1, 7)]
    for split, rows in (("train", train), ("test", val)):
        dataset = NYUv2MTAN(tmp_path / "mtan", split, SIZE)
        assert verify(dataset).ok
        assert len(dataset) == len(rows)
        for index, one in enumerate(rows):
            sample = dataset.sample(index)
            np.testing.assert_array_equal(sample.input, one["image"])
            np.testing.assert_array_equal(sample.targets["depth"], one["depth"])
            classes = np.where(one["segmentation"] < 0, 255, one["segmentation"])
            np.testing.assert_array_equal(sample.targets["segmentation"][0], classes)
            np.testing.assert_allclose(sample.targets["normals"], one["normal"], atol=1e-6)


def test_the_command(call: Callable, tmp_path: Path) -> None:
    folder, _, _ = source(tmp_path)
    done = call("data", "action=convert", f"source={folder}", "target=new/nyu v2")
    assert done.status == 0, done.err
    assert "new/nyu v2: 4 train and 2 test images" in done.out
    assert "mtlbench data action=verify dataset=nyuv2_mtan dataset.root='new/nyu v2'" in done.out
    checked = call(
        "data", "action=verify", "dataset=nyuv2_mtan", "dataset.root=new/nyu v2", "dataset.resolution=12x16"
    )
    assert checked.status == 0, checked.err
    again = call("data", "action=convert", f"source={folder}", "target=new/nyu v2")
    assert (again.status, "new/nyu v2: holds train/, val/; expected a new or an empty folder" in again.err) == (
        3,
        True,
    )
    for given, status, message in (
        (("target=x",), 2, "action=convert source=null: expected a path"),
        ((f"source={folder}",), 2, "action=convert target=null: expected a path"),
        (("source=absent", "target=x"), 3, "source=absent: no such file or folder"),
        ((f"source={folder}", "target=x", "dataset=rooms"), 2, "action=convert takes source= and target="),
    ):
        wrong = call("data", "action=convert", *given)
        assert (wrong.status, message in wrong.err) == (status, True), wrong.err
    idle = call("data", "action=info", "source=x")
    assert (idle.status, "nothing reads this option here: action=convert has a source" in idle.err) == (2, True)


def without(name: str) -> Callable[[Row], Row]:
    return lambda one: {key: value for key, value in one.items() if key != name}


def replaced(name: str, array: np.ndarray) -> Callable[[Row], Row]:
    return lambda one: one | {name: array}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("normal"), "no column normal; it has image, segmentation, depth, noise"),
        (
            replaced("image", np.zeros((*SIZE, 3))),
            r"row 0, image: array of shape \[12, 16, 3\]; expected \[3, height, wi",
        ),
        (replaced("depth", np.zeros(SIZE)), r"row 0, depth: array of shape \[12, 16\]; expected \[1, height, width\]"),
        (replaced("segmentation", np.array("x")), "row 0 cannot be read.*expected lists of numbers"),
        (replaced("segmentation", np.array([["a"]])), "row 0 cannot be read.*expected numbers"),
        (replaced("depth", np.zeros((1, 1, 1, 1, 1))), "row 0 cannot be read.*expected one length"),
    ],
)
def test_other_columns(tmp_path: Path, change: Callable[[Row], Row], message: str) -> None:
    write(tmp_path / "val-0.parquet", [change(row(0))])
    with pytest.raises(DataError, match=rf"val-0\.parquet: {message}"):
        to_folder(tmp_path / "val-0.parquet", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["val-0.parquet"], "nothing half done is left"


def test_lists_of_unequal_lengths(tmp_path: Path) -> None:
    table = pa.table({name: [[[1.0, 2.0], [3.0]]] for name in ("image", "segmentation", "depth", "normal")})
    pq.write_table(table, tmp_path / "val-0.parquet")
    with pytest.raises(DataError, match=r"row 0 cannot be read.*lists of lengths.*expected one length"):
        to_folder(tmp_path, tmp_path / "out")


def test_files_that_are_something_else(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/notes.txt").touch()
    with pytest.raises(DataError, match=r"no \.parquet file in it; it holds notes\.txt"):
        to_folder(tmp_path / "data", tmp_path / "out")
    with pytest.raises(UsageError, match=r"expected \.parquet files, their folder, or nyu_depth_v2_labeled\.mat"):
        to_folder(tmp_path / "data/notes.txt", tmp_path / "out")
    write(tmp_path / "data/all.parquet", [row(0)])
    with pytest.raises(DataError, match=r"all\.parquet: of which split\? Expected a name that begins with train, val"):
        to_folder(tmp_path / "data", tmp_path / "out")
    path = tmp_path / "train-0.parquet"
    write(path, [row(0)])
    whole = path.read_bytes()
    for damage in (b"", b"PAR1", b"<!doctype html>", whole[: len(whole) // 2]):
        path.write_bytes(damage)
        with pytest.raises(DataError, match=r"train-0\.parquet: not a sound Parquet file"):
            to_folder(path, tmp_path / "out")
    path.write_bytes(whole[:200] + bytes(byte ^ 255 for byte in whole[200:900]) + whole[900:])
    with pytest.raises(DataError, match=r"train-0\.parquet: row 0 cannot be read"):
        to_folder(path, tmp_path / "out")


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _, _ = source(tmp_path)
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        MachineError, match=r"needs pyarrow, which is not installed .*pip install 'mtlbench\[parquet\]'"
    ):
        to_folder(folder, tmp_path / "out")
