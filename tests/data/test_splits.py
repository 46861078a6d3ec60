"""A dataset without its training split: weights that are given can be attacked, and verify checks what is there."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mtlbench.data.augment import Augment
from mtlbench.data.base import MultiTaskDataset
from mtlbench.data.nyuv2 import NYUv2
from mtlbench.data.nyuv2_mtan import NYUv2MTAN
from mtlbench.data.tiny_taxonomy import TinyTaxonomy
from mtlbench.errors import DataError, MissingSplitError

Maker = Callable[..., Path]
TINY = ("model=tiny", "training.iterations=1", "training.batch_size=2")
ATTACK = ("attack=total", "attack.step.steps=1", "eps=4")


def drop_key(root: Path, split: str) -> None:
    """Take a split out of the list file."""
    (file,) = root.glob("*.json")
    file.write_text(json.dumps({name: part for name, part in json.loads(file.read_text()).items() if name != split}))


def empty_key(root: Path, split: str) -> None:
    """Leave a split in the list file, but nothing in it."""
    (file,) = root.glob("*.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {split: []}))


def drop_folder(root: Path, split: str) -> None:
    """Remove the folder of a split."""
    folder = root / split
    shutil.rmtree(folder if folder.is_dir() else root / "val")


def empty_folder(root: Path, split: str) -> None:
    """Leave the folder of a split, but nothing in it."""
    drop_folder(root, split)
    folder = "val" if split == "test" and (root / "train" / "image").is_dir() else split
    (root / folder).mkdir()


def drop_building(root: Path, split: str) -> None:
    """Remove the buildings of a split from the official download."""
    building = {"train": "hanson", "test": "ihlen"}[split]
    for folder in root.glob(f"*/taskonomy/{building}"):
        shutil.rmtree(folder)


@dataclass
class Case:
    """A dataset with both splits, and how to take one away."""

    dataset: str
    root: Path
    drop: Callable[[Path, str], None]
    open: Callable[..., MultiTaskDataset]

    @property
    def options(self) -> tuple[str, ...]:
        more = {
            "nyuv2": ("dataset.classes=13", "dataset.resolution=24x32"),
            "nyuv2_mtan": ("dataset.resolution=24x32",),
            "tiny_taxonomy": ("dataset.resolution=32", "+dataset.reader.base=null"),
        }
        return (f"dataset={self.dataset}", f"dataset.root={self.root}", *more[self.dataset])


CASES = [
    *("nyuv2/drop_key", "nyuv2/empty_key", "nyuv2_mtan/drop_folder", "nyuv2_mtan/empty_folder"),
    *("listed/drop_key", "searched/drop_folder", "searched/empty_folder", "official/drop_building"),
]
each_reader = pytest.mark.parametrize(
    "case", ["nyuv2/drop_key", "nyuv2_mtan/drop_folder", "listed/drop_key", "official/drop_building"], indirect=True
)


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, make_nyuv2: Maker, make_mtan: Maker, make_taxonomy: Maker) -> Case:
    packing, how = request.param.split("/")
    drop = globals()[how]
    if packing == "nyuv2":
        return Case(packing, make_nyuv2(), drop, lambda root, split, **more: NYUv2(root, split, (24, 32), 13, **more))
    if packing == "nyuv2_mtan":
        return Case(packing, make_mtan(), drop, lambda root, split, **more: NYUv2MTAN(root, split, (24, 32), **more))

    def open_taxonomy(root: Path, split: str, **more: Any) -> TinyTaxonomy:
        return TinyTaxonomy(root, split, (32, 32), None, **more)

    views = ["point_0_view_0", "point_1_view_0"]
    if packing == "official":
        template = "{domain}/taskonomy/{building}/{view}_domain_{suffix}.png"
        root = make_taxonomy({"hanson": views, "ihlen": views}, template)
    else:
        for split in ("train", "test"):
            template = split + "/{building}/{domain}/{view}_domain_{suffix}.png"
            root = make_taxonomy({f"{split}a": views}, template)
    if packing == "listed":
        entries = {
            split: [
                [path.relative_to(root / split).as_posix() for path in open_taxonomy(root, split).files(index)]
                for index in range(2)
            ]
            for split in ("train", "test")
        }
        (root / "taskonomy.json").write_text(json.dumps(entries))
    return Case("tiny_taxonomy", root, drop, open_taxonomy)


def test_a_missing_split_is_told_from_a_broken_one(case: Case) -> None:
    settings = {split: case.open(case.root, split, augment=Augment()).settings() for split in ("train", "test")}
    assert settings["train"] == settings["test"], "what was trained can be told from the test split"
    case.drop(case.root, "train")
    with pytest.raises(MissingSplitError, match=r"train"):
        case.open(case.root, "train")
    assert case.open(case.root, "test", augment=Augment()).settings() == settings["train"]


def test_a_root_without_any_split_is_something_else(case: Case) -> None:
    for split in ("train", "test"):
        case.drop(case.root, split)
    with pytest.raises(DataError):
        case.open(case.root, "test")


@each_reader
def test_given_weights_need_the_test_split_only(case: Case, call: Callable, tmp_path: Path) -> None:
    trained = call("train", *case.options, *TINY)
    assert trained.status == 0, trained.err
    whole = call("attack", *case.options, *TINY, *ATTACK)
    assert whole.status == 0, whole.err
    (weights,) = (tmp_path / "outputs" / "checkpoints").glob("*/model.safetensors")
    case.drop(case.root, "train")
    given = call("attack", *case.options, *TINY, *ATTACK, f"checkpoint={weights}")
    assert given.status == 0, given.err
    again = call("attack", *case.options, *TINY, *ATTACK)
    assert again.status == 0, "a model that is trained is found without the images that it was trained on"
    assert again.out == whole.out
    retrained = call("train", *case.options, *TINY, "seed=1")
    assert retrained.status == 3
    assert "train" in retrained.err.splitlines()[-1]


@each_reader
def test_verify_checks_the_splits_that_are_there(case: Case, call: Callable) -> None:
    case.drop(case.root, "train")
    done = call("data", "action=verify", *case.options)
    assert done.status == 0, done.err
    (note,) = (line for line in done.out.splitlines() if line.startswith("note: no train split is checked: "))
    assert str(case.root) in note
    assert f"{case.dataset}, test" in done.out
    assert f"{case.dataset}, train" not in done.out


@each_reader
def test_verify_without_a_test_split_fails_after_all_else(case: Case, call: Callable) -> None:
    case.drop(case.root, "test")
    done = call("data", "action=verify", *case.options)
    assert done.status == 3
    assert f"{case.dataset}, train" in done.out
    (message,) = (line for line in done.err.splitlines() if line.startswith("mtlbench: "))
    assert "test" in message
    assert str(case.root) in message


@each_reader
def test_info_describes_the_splits_that_are_there(case: Case, call: Callable) -> None:
    case.drop(case.root, "train")
    done = call("data", "action=info", *case.options)
    assert done.status == 0, done.err
    assert f"{case.dataset}, test: " in done.out
    assert "note: no train split is described: " in done.out


@each_reader
def test_a_baseline_without_training_images_says_where_it_is_from(case: Case, call: Callable) -> None:
    both = call("data", "action=baseline", *case.options)
    assert both.status == 0, both.err
    assert "constants of the test images" not in both.out
    case.drop(case.root, "train")
    done = call("data", "action=baseline", *case.options)
    assert done.status == 0, done.err
    assert "constants of the test images themselves: " in done.out
    assert "best constant" in done.out


def test_verify_goes_on_after_a_list_that_is_broken(make_nyuv2: Maker, call: Callable) -> None:
    root = make_nyuv2()
    lists = json.loads((root / "nyu_v2_3task.json").read_text())
    lists["train"][1][0] = "../img/0001.png"
    (root / "nyu_v2_3task.json").write_text(json.dumps(lists))
    done = call("data", "action=verify", "dataset=nyuv2", f"dataset.root={root}", "dataset.resolution=24x32")
    assert done.status == 3
    assert f"bad: {root / 'nyu_v2_3task.json'}: entry '../img/0001.png' may leave the root" in done.out
    assert "nyuv2, test" in done.out
    assert f"{root}: 1 files cannot be used; they are listed above" in done.err


def test_another_format_is_said_once(make_mtan: Maker, call: Callable) -> None:
    done = call("data", "action=verify", "dataset=nyuv2", f"dataset.root={make_mtan()}")
    assert (done.status, done.out) == (3, "")
    assert done.err.count("use dataset=nyuv2_mtan") == 1
