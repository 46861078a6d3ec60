"""Datasets of symbolic links: refused where they lead out of the root, followed where one asks for it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mtlbench.data.augment import Augment
from mtlbench.data.files import inside
from mtlbench.data.fingerprint import fingerprint
from mtlbench.data.folder.dataset import FolderDataset
from mtlbench.data.listed import ListedDataset
from mtlbench.data.nyuv2 import NYUv2
from mtlbench.data.nyuv2_mtan import NYUv2MTAN
from mtlbench.data.tiny_taxonomy import TinyTaxonomy
from mtlbench.data.verify import verify
from mtlbench.errors import DataError, UsageError

Maker = Callable[..., Path]
Open = Callable[..., ListedDataset]
ADVICE = r"dataset\.follow_links=true"
LISTED = {
    "image": {"column": 0},
    "splits": {"test": "nyu_v2_3task.json"},
    "tasks": {"segmentation": {"kind": "classes", "column": 1, "classes": 13, "ignore": [255]}},
}
FOUND = {
    "image": {"file": "img/{id}.png"},
    "splits": {"test": "all"},
    "tasks": {"depth": {"kind": "depth", "file": "depth/{id}.npy"}},
}
CONF = Path(__file__).resolve().parents[2] / "conf" / "dataset"


@pytest.fixture(params=["nyuv2", "nyuv2_mtan", "listed", "searched", "official", "folder", "found"])
def packing(
    request: pytest.FixtureRequest, make_nyuv2: Maker, make_mtan: Maker, make_taxonomy: Maker
) -> tuple[Path, Open]:
    """A dataset of each kind, of real files, and how to open it."""
    if request.param == "nyuv2":
        return make_nyuv2(), lambda root, **more: NYUv2(root, "test", (24, 32), 13, **more)
    if request.param in ("folder", "found"):
        described = LISTED if request.param == "folder" else FOUND
        return make_nyuv2(), lambda root, **more: FolderDataset(root, "test", described, (24, 32), **more)
    if request.param == "nyuv2_mtan":
        return make_mtan(), lambda root, **more: NYUv2MTAN(root, "test", (24, 32), **more)

    def taxonomy(root: Path, **more: object) -> TinyTaxonomy:
        return TinyTaxonomy(root, "test", (32, 32), None, **more)  # type: ignore[arg-type]

    official = "{domain}/taskonomy/{building}/{view}_domain_{suffix}.png"
    template = official if request.param == "official" else "test/{building}/{domain}/{view}_domain_{suffix}.png"
    root = make_taxonomy({"ihlen": ["point_0_view_0", "point_1_view_0"]}, template)
    np.save(root / "semseg_prior_factor.npy", np.linspace(1, 2, 17))
    if request.param == "listed":
        files = [taxonomy(root).files(index) for index in range(2)]
        entries = [[path.relative_to(root / "test").as_posix() for path in image] for image in files]
        (root / "taskonomy.json").write_text(json.dumps({"test": entries}))
    return root, taxonomy


def files_as_links(root: Path, elsewhere: Path) -> Path:
    """What a dataset cache makes of `root`: every file is a link to another place with another name."""
    elsewhere.mkdir()
    linked = elsewhere.parent / "linked"
    for number, file in enumerate(sorted(path for path in root.rglob("*") if path.is_file())):
        shutil.copy(file, elsewhere / f"blob{number}")
        link = linked / file.relative_to(root)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(elsewhere / f"blob{number}")
    return linked


def folders_as_links(root: Path, elsewhere: Path) -> Path:
    """The folders of `root` are links; what lies beside them is copied."""
    shutil.copytree(root, elsewhere)
    linked = elsewhere.parent / "linked"
    linked.mkdir()
    for child in elsewhere.iterdir():
        if child.is_dir():
            (linked / child.name).symlink_to(child, target_is_directory=True)
        else:
            shutil.copy(child, linked)
    return linked


@pytest.mark.parametrize("link", [files_as_links, folders_as_links])
def test_links_are_followed_where_one_asks_for_it(
    packing: tuple[Path, Open], tmp_path: Path, link: Callable[[Path, Path], Path]
) -> None:
    root, open_root = packing
    real = open_root(root)
    linked = link(root, tmp_path / "elsewhere")
    with pytest.raises(DataError, match=ADVICE):
        open_root(linked).sample(0)
    dataset = open_root(linked, follow_links=True)
    assert len(dataset) == len(real)
    for index in range(len(real)):
        found, expected = dataset.sample(index), real.sample(index)
        assert found.name == expected.name
        assert torch.equal(found.input, expected.input)
        assert all(torch.equal(found.targets[task], target) for task, target in expected.targets.items())
    assert dataset.settings() == real.settings()
    assert open_root(root, follow_links=True).settings() == real.settings()
    assert fingerprint(dataset) == fingerprint(real), "the same files are the same dataset"
    assert fingerprint(open_root(root, follow_links=True)) == fingerprint(real)
    report = verify(dataset)
    assert report.ok
    assert report.notes == verify(real).notes


def test_links_inside_the_root_need_no_option(make_nyuv2: Maker) -> None:
    root = make_nyuv2()
    (root / "img").rename(root / "pictures")
    (root / "img").symlink_to("pictures")
    NYUv2(root, "test", (24, 32), 13).sample(0)


@pytest.mark.parametrize("entry", ["../a.png", "/etc/passwd", "img/../../a.png", "img\\a.png", "", "a\0.png"])
def test_a_spelling_that_leads_out_stays_refused(make_nyuv2: Maker, entry: str) -> None:
    """Links are what the owner of the folder has put there; a list may come from anybody."""
    root = make_nyuv2()
    with pytest.raises(DataError, match="may leave the root"):
        inside(root, entry, root / "list.json", follow_links=True)
    lists = json.loads((root / "nyu_v2_3task.json").read_text())
    lists["test"][0][2] = entry
    (root / "nyu_v2_3task.json").write_text(json.dumps(lists))
    with pytest.raises(DataError, match="may leave the root"):
        NYUv2(root, "test", (24, 32), 13, follow_links=True)


@pytest.mark.parametrize("follow", [True, False])
def test_a_dangling_link_names_itself_and_where_it_leads(make_nyuv2: Maker, follow: bool) -> None:
    root = make_nyuv2()
    (root / "seg/0001.png").unlink()
    (root / "seg/0001.png").symlink_to(root / "gone.png")
    dataset = NYUv2(root, "test", (24, 32), 13, follow_links=follow)
    message = f"{root}/seg/0001.png: a symbolic link to {root}/gone.png, which is not there"
    with pytest.raises(DataError) as error:
        dataset.sample(1)
    assert str(error.value) == message
    with pytest.raises(DataError) as error:
        fingerprint(dataset)
    assert str(error.value) == message
    (problem,) = verify(dataset).problems
    assert f"{problem.file}: {problem.problem}" == message


def test_a_folder_that_is_a_dangling_link(make_nyuv2: Maker, make_taxonomy: Maker, tmp_path: Path) -> None:
    root = make_nyuv2()
    shutil.rmtree(root / "depth")
    (root / "depth").symlink_to(tmp_path / "gone")
    with pytest.raises(
        DataError, match=r"depth/0000\.npy: .*nyu/depth is a symbolic link to .*gone, which is not there"
    ):
        NYUv2(root, "test", (24, 32), 13, follow_links=True).sample(0)
    taxonomy = make_taxonomy({"ihlen": ["point_0_view_0", "point_1_view_0"]})
    shutil.rmtree(taxonomy / "test/ihlen/normal")
    (taxonomy / "test/ihlen/normal").symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match=r"ihlen/normal: a symbolic link to .*gone, which is not there"):
        TinyTaxonomy(taxonomy, "test", (32, 32), None, follow_links=True)


@pytest.mark.parametrize("follow", [True, False])
def test_a_loop_of_links_ends_with_a_message(make_nyuv2: Maker, follow: bool) -> None:
    root = make_nyuv2()
    (root / "img/0000.png").unlink()
    (root / "img/0000.png").symlink_to(root / "img/other.png")
    (root / "img/other.png").symlink_to(root / "img/0000.png")
    dataset = NYUv2(root, "test", (24, 32), 13, follow_links=follow)
    for read in (lambda: dataset.sample(0), lambda: fingerprint(dataset)):
        with pytest.raises(DataError, match=r"img/0000\.png: .*[Tt]oo many levels of symbolic links"):
            read()
    (problem,) = verify(dataset).problems
    assert problem.file == root / "img/0000.png"


def test_the_refusal_names_file_place_and_option(make_nyuv2: Maker, tmp_path: Path) -> None:
    root = make_nyuv2()
    (root / "img").rename(tmp_path / "elsewhere")
    (root / "img").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError) as error:
        NYUv2(root, "test", (24, 32), 13).sample(0)
    assert str(error.value) == (
        f"{root}/nyu_v2_3task.json: entry 'img/0000.png' leads by a symbolic link to {tmp_path}/elsewhere/0000.png, "
        f"outside the root {root}; dataset.follow_links=true follows links"
    )


@pytest.mark.parametrize(
    "dataset", sorted(path.stem for path in CONF.glob("*.yaml") if "follow_links" in path.read_text())
)
def test_every_dataset_has_the_option(call: Callable, dataset: str) -> None:
    shown = call("attack", f"dataset={dataset}", "dataset.root=/data", "dataset.follow_links=true", "--cfg", "job")
    assert shown.status == 0, shown.err
    assert shown.out.count("follow_links: true") == 1
    wrong = call("attack", f"dataset={dataset}", "dataset.root=/data", "dataset.follow_links=yes")
    assert (wrong.status, "dataset.follow_links=yes: expected true or false" in wrong.err) == (2, True)


def test_linked_and_real_files_share_model_and_cells(call: Callable, make_nyuv2: Maker, tmp_path: Path) -> None:
    root = make_nyuv2()
    linked = folders_as_links(root, tmp_path / "elsewhere")
    options = ("dataset=nyuv2", "dataset.classes=13", "dataset.resolution=24x32", "model=tiny")
    training = ("training.iterations=1", "training.batch_size=2")
    attack = ("attack=total", "attack.step.steps=1", "eps=4")
    assert call("train", *options, *training, f"dataset.root={root}").status == 0
    first = call("attack", *options, *training, *attack, f"dataset.root={root}")
    assert first.status == 0, first.err
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "outputs" / "store").glob("*.npz")}
    refused = call("attack", *options, *training, *attack, f"dataset.root={linked}")
    assert (refused.status, "dataset.follow_links=true" in refused.err) == (3, True)
    followed = call("attack", *options, *training, *attack, f"dataset.root={linked}", "dataset.follow_links=true")
    assert followed.status == 0, followed.err
    assert followed.out == first.out
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert len(list((tmp_path / "outputs" / "store").glob("*.npz"))) == len(written) > 0


def test_links_that_lead_nowhere_are_no_reason_to_take_something_else(make_taxonomy: Maker, tmp_path: Path) -> None:
    """Neither other weights, nor another way of listing, nor fewer buildings."""
    root = make_taxonomy({"ihlen": ["point_0_view_0"], "uvalda": ["point_0_view_0"]})
    for name in ("semseg_prior_factor.npy", "taskonomy.json", "test/mcdade"):
        (root / name).symlink_to(tmp_path / "gone")
        with pytest.raises(DataError, match=rf"{name}: a symbolic link to .*gone, which is not there"):
            TinyTaxonomy(root, "test", (32, 32), None, follow_links=True)
        (root / name).unlink()


@pytest.mark.parametrize("value", [None, 1, "yes", [True]])
def test_the_option_is_yes_or_no(make_nyuv2: Maker, value: object) -> None:
    with pytest.raises(UsageError, match=r"dataset\.follow_links=.*: expected true or false"):
        NYUv2(make_nyuv2(), "test", (24, 32), 13, follow_links=value)  # type: ignore[arg-type]


def test_augmented_settings_do_not_hold_the_option(make_nyuv2: Maker) -> None:
    root = make_nyuv2()
    settings = [
        NYUv2(root, "train", (24, 32), 13, augment=Augment(), follow_links=follow).settings()
        for follow in (True, False)
    ]
    assert settings[0] == settings[1]
    assert "follow" not in json.dumps(settings[0])
