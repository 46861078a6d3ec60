"""`mtlbench data` on folders: verify, info, baseline; and what goes wrong on the command line."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.data.folder.layouts import LAYOUTS, SIZE, describe

USAGE, ENVIRONMENT = 2, 3


def options(name: str, root: Path) -> tuple[str, ...]:
    said = describe(root, LAYOUTS[name](root))
    return (
        "dataset=folder",
        f"dataset.describe={said}",
        f"dataset.root={root}",
        f"dataset.resolution={SIZE[0]}x{SIZE[1]}",
    )


@pytest.mark.parametrize("name", LAYOUTS)
def test_verify_and_info(call: Callable, tmp_path: Path, name: str) -> None:
    given = options(name, tmp_path / name)
    done = call("data", "action=verify", *given)
    assert done.status == 0, done.err
    assert f"{name}, train" in done.out, "called as the file of its description"
    assert f"{name}, test" in done.out
    shown = call("data", "action=info", *given)
    assert shown.status == 0, shown.err
    assert f"images of {SIZE[0]}x{SIZE[1]} pixels" in shown.out
    for text in {
        "adashare": ("normals: ", " depth"),
        "mvtec_ad": ("defect: 100.0 % of the images are valid", "defective"),
        "celeba": ("attributes: 100.0 % of the images are valid", "Smiling"),
    }.get(name, ()):
        assert text in shown.out


@pytest.mark.parametrize(("name", "metric"), [("mvtec_ad", "balanced_accuracy"), ("celeba", "label_accuracy")])
def test_a_constant_prediction_is_scored_for_whole_images(
    call: Callable, tmp_path: Path, name: str, metric: str
) -> None:
    done = call("data", "action=baseline", *options(name, tmp_path / name))
    assert done.status == 0, done.err
    assert metric in done.out


def test_verify_names_every_bad_file(call: Callable, tmp_path: Path) -> None:
    root = tmp_path / "adashare"
    given = options("adashare", root)
    np.save(root / "depth/0001.npy", np.full(SIZE, 4000, np.float32))
    (root / "seg/0007.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = call("data", "action=verify", *given)
    assert done.status == ENVIRONMENT
    for text in ("depth/0001.npy: depth has a median of 4000", "seg/0007.png: PNG without a header"):
        assert done.out.count(text) == 2, "in both splits"
    assert "4 files cannot be used" in done.err


def test_the_root_may_stand_in_the_description(call: Callable, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    text = LAYOUTS["adashare"](tmp_path / "data" / "nyu")
    (tmp_path / "data" / "mine.yaml").write_text(f"root: nyu\n{text}")
    given = ("dataset=folder", "dataset.describe=data/mine.yaml", "dataset.resolution=16", "dataset.name=my_own")
    done = call("data", *given)
    assert done.status == 0, done.err
    assert "my_own, test: 3 images" in done.out
    elsewhere = call("data", *given, "dataset.root=nowhere")
    assert (elsewhere.status, "dataset.root=nowhere: no such folder" in elsewhere.err) == (ENVIRONMENT, True)


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        ((), USAGE, "dataset.describe=null: expected a yaml file of yours, or one of celeba, cityscapes, "),
        (("dataset.describe=celeba",), USAGE, "dataset.root=null, and "),
        (("dataset.describe=cityscape",), USAGE, "did you mean cityscapes?"),
        (("dataset.describe=absent.yaml",), USAGE, "absent.yaml: no such file"),
        (("dataset.describe={image: 1}",), USAGE, "expected a name; one that begins with a bracket is quoted"),
        (
            ("dataset.describe=~no-such-user-here/x.yaml",),
            USAGE,
            "dataset.describe=~no-such-user-here/x.yaml: no such user",
        ),
        (("dataset.describe=celeba", "dataset.root=."), ENVIRONMENT, "list_eval_partition.txt: no such file"),
    ],
)
def test_mistakes_on_the_command_line(call: Callable, given: tuple[str, ...], status: int, message: str) -> None:
    done = call("data", "dataset=folder", *given)
    assert done.status == status, done.err
    assert message in done.err
    assert "Traceback" not in done.err
    assert len([line for line in done.err.splitlines() if line.startswith("mtlbench: ")]) == 1


def test_a_description_cannot_build_anything(call: Callable, tmp_path: Path) -> None:
    """It is read as data: a `_target_` in it is a misspelled key."""
    canary = tmp_path / "canary"
    text = LAYOUTS["adashare"](tmp_path / "nyu")
    for evil in (f"_target_: os.mkdir\npath: {canary}\n", f"x: ${{oc.env:{canary}}}\n"):
        (tmp_path / "evil.yaml").write_text(f"{text}{evil}")
        done = call(
            "data", "dataset=folder", f"dataset.describe={tmp_path / 'evil.yaml'}", f"dataset.root={tmp_path / 'nyu'}"
        )
        assert (done.status, "no such key" in done.err) == (USAGE, True)
    assert not canary.exists()
    assert "canary" not in os.environ
