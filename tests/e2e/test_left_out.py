"""A test set that shrinks says so: at every command, beside every number."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

SMALL = (
    *("dataset.resolution=32", "+dataset.reader.base=null", "training.iterations=1", "training.batch_size=2"),
    *("attack=total", "attack.step.steps=1", "eps=4"),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, run: Callable) -> Path:
    """Generated images in the layout of Tiny-Taxonomy without a list: two buildings, two test images."""
    folder = tmp_path_factory.mktemp("made")
    options = ("dataset=rooms5", "dataset.images=26", "dataset.resolution=32")
    assert run("data", "action=make", f"outputs={folder}", *options).status == 0
    (root,) = (folder / "datasets").glob("rooms5-*")
    (root / "taskonomy.json").unlink()
    return root


@pytest.fixture
def taxonomy(made: Path, tmp_path: Path) -> Path:
    """A copy to be broken."""
    return Path(shutil.copytree(made, tmp_path / "taxonomy"))


def test_a_missing_file_is_said_and_kept(call: Callable, taxonomy: Path) -> None:
    lost = sorted((taxonomy / "test").rglob("*_domain_keypoints2d.png"))[0]
    lost.unlink()
    image = f"{lost.parent.parent.name}/{lost.name.partition('_domain_')[0]}"
    options = ("dataset=tiny_taxonomy", f"dataset.root={taxonomy}", *SMALL)
    said = f"mtlbench: tiny_taxonomy test: 1 of 2 images left out: no keypoints2d file ({image})\n"
    done = call("train", *(option for option in options if not option.startswith(("attack", "eps"))))
    assert (done.status, done.err.count(said)) == (0, 1), done.err
    done = call("attack", "-m", *options, "attack=total,dgba")
    assert (done.status, done.err.count(said)) == (0, 1), "once, not for every point of a sweep"
    keys = [path.stem for path in (Path("outputs") / "store").glob("*.npz")]
    assert len(keys) == 3
    for key in keys:
        shown = yaml.safe_load(call("report", f"cell={key}").out)
        assert shown["identity"]["n_images"] == 1
        left_out = {"images": 1, "of": 2, "first": [f"{image}: no keypoints2d file"], "more": 0}
        assert shown["made"]["left_out"] == left_out
    found = call("data", "action=info", *options[:3])
    assert said.removeprefix("mtlbench: ") in found.out


def test_a_training_image_is_missed_too(call: Callable, taxonomy: Path) -> None:
    lost = sorted((taxonomy / "train").rglob("*_domain_rgb.png"))[0]
    lost.rename(lost.with_suffix(".png.part"))
    options = ("dataset=tiny_taxonomy", f"dataset.root={taxonomy}", *SMALL[:4])
    done = call("train", *options)
    assert done.status == 0
    assert "mtlbench: tiny_taxonomy train: 1 of 24 images left out: no rgb file (" in done.err
    assert "tiny_taxonomy test" not in done.err


def test_a_whole_dataset_says_nothing(call: Callable, taxonomy: Path) -> None:
    for file in sorted((taxonomy / "test").rglob("*_domain_keypoints2d.png")):
        file.rename(file.with_suffix(".PNG"))
    done = call("train", "dataset=tiny_taxonomy", f"dataset.root={taxonomy}", *SMALL[:4])
    assert done.status == 0
    assert "left out" not in done.err
