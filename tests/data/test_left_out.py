"""Images that a split should have but has not are said, counted and recorded."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mtlbench.data.left_out import LeftOut, NotThere, line, record
from mtlbench.data.nyuv2 import NYUv2
from mtlbench.data.nyuv2_mtan import NYUv2MTAN
from mtlbench.data.taxonomy_lists import DOMAINS
from mtlbench.data.tiny_taxonomy import TinyTaxonomy
from mtlbench.errors import DataError
from tests.data.conftest import save
from tests.fakes import FakeDataset

Maker = Callable[..., Path]
VIEWS = {"ihlen": ["point_0_view_0", "point_1_view_0"]}
OFFICIAL = "{domain}/taskonomy/{building}/{view}_domain_{suffix}.png"
LAYOUTS = ["test/{building}/{domain}/{view}_domain_{suffix}.png", OFFICIAL]


def open_native(root: Path, **options: object) -> TinyTaxonomy:
    return TinyTaxonomy(root, "test", resolution=(32, 32), base=None, **options)  # type: ignore[arg-type]


def file_of(root: Path, domain: str, view: str = "point_0_view_0") -> Path:
    (found,) = (path for path in root.rglob(f"{view}_*") if domain in path.parts)
    return found


def with_skipped(*skipped: LeftOut) -> FakeDataset:
    dataset = FakeDataset(7)
    dataset.skipped = skipped
    return dataset


def test_nothing_left_out_is_nothing_to_say(make_nyuv2: Maker, make_mtan: Maker) -> None:
    for dataset in (
        FakeDataset(),
        NYUv2(make_nyuv2(), "test", (24, 32), 13),
        NYUv2MTAN(make_mtan(), "test", (24, 32)),
    ):
        assert tuple(dataset.skipped) == ()
        assert line(dataset) == ""
        assert record(dataset) == {}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("domain", DOMAINS)
def test_a_file_too_few(make_taxonomy: Maker, layout: str, domain: str) -> None:
    """Whichever domain lacks it: an image without an rgb file is an image that is missing, too."""
    root = make_taxonomy(VIEWS, layout)
    file_of(root, domain).unlink()
    dataset = open_native(root)
    assert len(dataset) == 1
    said = f"tiny_taxonomy test: 1 of 2 images left out: no {domain} file (ihlen/point_0_view_0)"
    assert line(dataset).startswith(said)
    assert record(dataset)["left_out"]["images"] == 1
    assert f"ihlen/point_0_view_0: no {domain} file" in record(dataset)["left_out"]["first"]
    assert line(open_native(root, limit=1)).startswith(said), "of the split, not of what a limit leaves"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("domain", DOMAINS)
def test_a_suffix_in_capitals_is_the_same_suffix(make_taxonomy: Maker, layout: str, domain: str) -> None:
    root = make_taxonomy(VIEWS, layout)
    before = open_native(root)
    sample = before.sample(0)
    file_of(root, domain).rename(file_of(root, domain).with_suffix(".PNG"))
    dataset = open_native(root)
    assert len(dataset) == len(before) == 2
    assert file_of(root, domain) in dataset.files(0)
    assert all(bool((dataset.sample(0).targets[task] == value).all()) for task, value in sample.targets.items())


def test_two_files_that_differ_in_case_are_refused(make_taxonomy: Maker, make_mtan: Maker) -> None:
    root = make_taxonomy(VIEWS)
    file = file_of(root, "normal")
    file.with_suffix(".PNG").write_bytes(file.read_bytes())
    with pytest.raises(DataError, match=r"normal: both .* and .* are the image point_0_view_0") as error:
        open_native(root)
    assert file.name in str(error.value)
    assert file.with_suffix(".PNG").name in str(error.value)
    mtan = make_mtan()
    (mtan / "val/label/1.NPY").write_bytes((mtan / "val/label/1.npy").read_bytes())
    with pytest.raises(DataError, match=r"val/label: both 1\.(npy and 1\.NPY|NPY and 1\.npy) are the image 1"):
        NYUv2MTAN(mtan, "test", (24, 32))


def test_hidden_files_are_no_images(make_taxonomy: Maker, make_mtan: Maker) -> None:
    """Macs leave such beside every file that they copy."""
    root = make_taxonomy(VIEWS)
    for file in list(root.rglob("*.png")):
        (file.parent / f"._{file.name}").write_bytes(b"resource fork")
    assert line(open_native(root)) == ""
    assert len(open_native(root)) == 2
    mtan = make_mtan()
    (mtan / "val/image/._1.npy").touch()
    assert len(NYUv2MTAN(mtan, "test", (24, 32))) == 3


@pytest.mark.parametrize("kind", ["image", "label", "depth", "normal"])
def test_mtan_in_capitals_and_with_a_file_too_few(make_mtan: Maker, kind: str) -> None:
    """Its images are numbered, so that one which is missing is known, and an error, as where a list names it."""
    root = make_mtan()
    (root / "val" / kind / "1.npy").rename(root / "val" / kind / "1.NPY")
    dataset = NYUv2MTAN(root, "test", (24, 32))
    assert [dataset.sample(i).name for i in range(3)] == ["0", "1", "2"]
    assert root / "val" / kind / "1.NPY" in dataset.files(1)
    (root / "val" / kind / "1.NPY").unlink()
    dataset = NYUv2MTAN(root, "test", (24, 32))
    assert len(dataset) == 3
    with pytest.raises(DataError, match=rf"val/{kind}/1\.npy: no such file"):
        dataset.sample(1)


def test_other_files_beside_mtan_targets_are_no_images(make_mtan: Maker) -> None:
    root = make_mtan()
    save(root / "val" / "label" / "mean.npy", np.zeros(3))
    assert len(NYUv2MTAN(root, "test", (24, 32))) == 3


def test_a_building_that_is_not_there_counts_as_such(make_taxonomy: Maker) -> None:
    root = make_taxonomy(VIEWS, OFFICIAL)
    dataset = open_native(root)
    assert len(dataset) == 2
    absent = (
        "tiny_taxonomy test: 4 parts are missing: building not downloaded (muleshoe, uvalda, noxapater and 1 more)"
    )
    assert line(dataset) == absent
    assert record(dataset)["left_out"] == {
        "images": 0,
        "of": 2,
        "first": [f"{name}: building not downloaded" for name in ("muleshoe", "uvalda", "noxapater", "mcdade")],
        "more": 0,
    }


def test_long_lists_are_counted_and_kept_in_part() -> None:
    many = [LeftOut(f"b/{i}", "no rgb file") for i in range(180)]
    dataset = with_skipped(*many, LeftOut("c/1", "damaged"), NotThere("d", "gone"), NotThere("e", "gone"))
    assert line(dataset) == (
        "fake train: 181 of 188 images left out: no rgb file (b/0, b/1, b/2 and 177 more), damaged (c/1); "
        "2 parts are missing: gone (d, e)"
    )
    kept = record(dataset)["left_out"]
    assert (kept["images"], kept["of"], kept["more"], len(kept["first"])) == (181, 188, 83, 100)
    assert kept["first"][0] == "b/0: no rgb file"
