"""Fingerprint, verification and description of a dataset."""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from mtlbench.data.augment import View
from mtlbench.data.batch import Sample
from mtlbench.data.describe import LOG_UNITS, METRES, describe
from mtlbench.data.files import Array, read_npy, read_rgb
from mtlbench.data.fingerprint import fingerprint
from mtlbench.data.listed import ListedDataset, channels_first
from mtlbench.data.nyuv2 import NYUv2
from mtlbench.data.nyuv2_mtan import NYUv2MTAN
from mtlbench.data.tiny_taxonomy import TinyTaxonomy
from mtlbench.data.verify import verify
from mtlbench.errors import DataError
from mtlbench.report.datasets import show_verification
from mtlbench.tasks import NORMALS, Task
from tests.data.conftest import save
from tests.fakes import FakeDataset

Maker = Callable[..., Path]


def nyuv2(root: Path, **options: object) -> NYUv2:
    return NYUv2(root, **({"split": "test", "resolution": (24, 32), "classes": 13} | options))  # type: ignore[arg-type]


def test_fingerprint_ignores_the_root_and_sees_every_byte(make_nyuv2: Maker, tmp_path: Path) -> None:
    root = make_nyuv2()
    original = fingerprint(nyuv2(root))
    shutil.copytree(root, tmp_path / "copy")
    assert fingerprint(nyuv2(tmp_path / "copy")) == original
    assert fingerprint(nyuv2(root, name="rooms")) == original
    assert fingerprint(nyuv2(root, limit=2)) != original
    assert fingerprint(nyuv2(root, normals="decoded")) != original
    depth = tmp_path / "copy" / "depth" / "0002.npy"
    data = bytearray(depth.read_bytes())
    data[-1] ^= 1
    depth.write_bytes(data)
    assert fingerprint(nyuv2(tmp_path / "copy")) != original
    assert fingerprint(nyuv2(tmp_path / "copy", limit=2)) == fingerprint(nyuv2(root, limit=2))


def test_a_second_fingerprint_reads_no_image(
    make_nyuv2: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, cache = make_nyuv2(), tmp_path / "cache" / "hashes.json"
    first = fingerprint(nyuv2(root), cache)
    assert [path.name for path in cache.parent.iterdir()] == ["hashes.json"]
    hashed = []
    real = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda f, n: hashed.append(f.name) or real(f, n))
    assert fingerprint(nyuv2(root), cache) == first
    assert hashed == []
    depth = np.load(root / "depth/0001.npy")
    np.save(root / "depth/0001.npy", depth + 1)
    assert fingerprint(nyuv2(root), cache) != first
    assert [Path(name).name for name in hashed] == ["0001.npy"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "[" * 100_000, '{"a": 1}', '{"a": [1, 2]}', '{"a": [1, 2, "short"]}', "\xff"]
)
def test_a_damaged_cache_is_rebuilt(make_nyuv2: Maker, tmp_path: Path, text: str) -> None:
    dataset, cache = nyuv2(make_nyuv2(images=1)), tmp_path / "hashes.json"
    cache.write_bytes(text.encode("latin-1"))
    assert fingerprint(dataset, cache) == fingerprint(dataset)
    assert len(json.loads(cache.read_text())) == 4 + 1, "the files of the image, and a checksum"


def test_fingerprint_of_a_missing_file(make_nyuv2: Maker) -> None:
    dataset = nyuv2(make_nyuv2())
    dataset.files(0)[1].unlink()
    with pytest.raises(DataError, match=r"seg/0000.png: cannot be read"):
        fingerprint(dataset)


def test_verify_reports_every_problem_and_goes_on(make_nyuv2: Maker, tmp_path: Path) -> None:
    root = make_nyuv2(images=5)
    (root / "img/0000.png").write_bytes((root / "img/0000.png").read_bytes()[:100])
    (root / "depth/0000.npy").unlink()
    np.save(root / "depth/0002.npy", np.ones((3, 3)))
    (root / "seg/0003.png").rename(tmp_path / "0003.png")
    (root / "seg/0003.png").symlink_to(tmp_path / "0003.png")
    calls: list[tuple[int, int]] = []
    found = verify(nyuv2(root), lambda done, total: calls.append((done, total)))
    problems = {str(problem.file).removeprefix(f"{root}/"): problem.problem for problem in found.problems}
    assert list(problems) == ["img/0000.png", "depth/0000.npy", "depth/0002.npy", "seg/0003.png"]
    assert "cut short" in problems["img/0000.png"]
    assert problems["depth/0000.npy"] == "no such file"
    assert problems["depth/0002.npy"] == f"3x3 pixels, but its image {root / 'img/0002.png'} has 24x32"
    assert "outside the root" in problems["seg/0003.png"]
    assert (found.images, found.files, found.ok) == (5, 20, False)
    assert calls == [(i, 5) for i in range(1, 6)]


def test_verify_of_sound_datasets(make_nyuv2: Maker, make_taxonomy: Maker, make_mtan: Maker) -> None:
    size = (24, 32)
    for dataset, files in (
        (nyuv2(make_nyuv2(), normals="decoded"), 4),
        (TinyTaxonomy(make_taxonomy({"a": ["point_0_view_0"]}), "test", (32, 32), None), 6),
        (NYUv2MTAN(make_mtan(), "test", size), 4),
    ):
        found = verify(dataset)
        assert found.ok
        assert found.notes == ()
        assert found.files == files * len(dataset)
        assert set(found.invalid_share) == {task.name for task in dataset.tasks}
    assert verify(nyuv2(make_nyuv2())).invalid_share["segmentation"] == pytest.approx(2 / 24)


class FromFiles(ListedDataset):
    """A folder of image/*.png beside what each task is read from: <task>/*.npy."""

    def __init__(self, root: Path, tasks: tuple[Task, ...], *files: str) -> None:
        self.tasks, self.from_files = tasks, files
        stems = sorted(path.stem for path in (root / "image").iterdir())
        super().__init__(
            name="files",
            root=root,
            split="test",
            listed_in=root,
            entries=[(f"image/{stem}.png", *(f"{name}/{stem}.npy" for name in files)) for stem in stems],
            names=stems,
            resolution=(4, 6),
            augment=None,
            seed=0,
            limit=None,
        )
        self.readers = (read_rgb, *(partial(read_npy, ndim=3) for _ in files))

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("image", *self.from_files)

    def assemble(self, arrays: Sequence[Array], view: View, name: str) -> Sample:
        views = [channels_first(view.labels(array, 0).copy()) for array in arrays]
        found = dict(zip(self.kinds, views, strict=True))
        image = found["image"].float() / 255
        targets = {task.name: found.get(task.name, found["image"]) for task in self.tasks}
        return Sample(image, targets, {name: target[:1] >= 0 for name, target in targets.items()}, name)


HEIGHT = Task("height", 1, "l1", ("keypoint_err",))
SEVEN = tuple(replace(HEIGHT, name=f"height{i}") for i in range(7))


@pytest.mark.parametrize(
    ("tasks", "files"),
    [
        ((HEIGHT,), ("height",)),
        ((Task("copy", 3, "l1", ("keypoint_err",)),), ()),  # a task that is read from the image itself
        ((HEIGHT, Task(NORMALS, 3, "cosine", ("angle_mean",))), (NORMALS, "height")),
        (SEVEN, tuple(task.name for task in SEVEN)),
    ],
)
def test_verify_of_any_number_of_tasks(tmp_path: Path, tasks: tuple[Task, ...], files: tuple[str, ...]) -> None:
    """Which file is which is said by the dataset; notes name the file of their task, whatever its position."""
    rng = np.random.default_rng(0)
    for stem in ("a", "b"):
        save(tmp_path / "image" / f"{stem}.png", rng.integers(0, 256, (4, 6, 3), np.uint8))
        for task in tasks:
            if task.name in files:
                save(tmp_path / task.name / f"{stem}.npy", rng.random((4, 6, task.channels)))
    dataset = FromFiles(tmp_path, tasks, *files)
    found = verify(dataset)
    assert (found.ok, found.files, found.notes) == (True, 2 * (1 + len(files)), ())
    assert set(found.invalid_share) == {task.name for task in tasks}
    named = dataset.named_files(1)
    assert list(named) == ["image", *files]
    assert all(path.parts[-2:] == (kind, "b.npy" if kind in files else "b.png") for kind, path in named.items())
    if files:
        np.save(named[files[-1]], np.ones_like(np.load(named[files[-1]])))
        (note,) = verify(dataset).notes
        assert (note.file, "at every valid pixel" in note.note) == (named[files[-1]], True)
    description = describe(dataset)
    assert (description.class_share, description.depths) == ({}, {})


def test_verify_notes_what_looks_odd(make_nyuv2: Maker, make_taxonomy: Maker) -> None:
    root = make_nyuv2(images=4)
    stored = cv2.imread(str(root / "normal_mask/0003.png"))
    for i in range(4):  # channels in another order: y, which points away from the camera, comes first
        normals = cv2.imread(str(root / f"normal_mask/{i:04}.png"))
        assert normals is not None
        cv2.imwrite(str(root / f"normal_mask/{i:04}.png"), 254 - np.minimum(np.roll(normals, 1, axis=2), 254))
    cv2.imwrite(str(root / "seg/0000.png"), np.full((24, 32), 3, np.uint8))
    cv2.imwrite(str(root / "seg/0001.png"), np.full((24, 32), 255, np.uint8))
    cv2.imwrite(str(root / "normal_mask/0002.png"), np.full_like(stored, 254))
    found = verify(nyuv2(root, normals="decoded"))
    notes = {(note.file.name if note.file else None): note.note for note in found.notes}
    assert notes["0000.png"] == "segmentation is [3] at every valid pixel"
    assert notes["0001.png"] == "no valid pixel for segmentation"
    assert notes["0002.png"] == "normals have a median length of 1.725; expected 1"
    assert "are the channels in another order" in notes[None]
    views = {"muleshoe": ["point_399_view_5", "point_1_view_1"]}
    (note,) = verify(TinyTaxonomy(make_taxonomy(views), "test", (32, 32), None)).notes
    assert note.note.startswith("muleshoe/point_399_view_5 left out: ")


def only_note(dataset: ListedDataset) -> str:
    found = verify(dataset)
    assert found.ok
    (note,) = found.notes
    assert note.file is None, "of the dataset, not of every file"
    return note.note


@pytest.mark.parametrize(
    ("factor", "note"),
    [
        (1000, "depth has a median of {:.4g} metres; expected 0.3 to 20 indoors: is it in millimetres?"),
        (100, "depth has a median of {:.4g} metres; expected 0.3 to 20 indoors: is it in centimetres?"),
        (0.01, "depth has a median of {:.4g} metres; expected 0.3 to 20 indoors: is it scaled to 0..1?"),
    ],
)
def test_depth_in_another_unit_is_noted(make_nyuv2: Maker, make_mtan: Maker, factor: float, note: str) -> None:
    cases: list[tuple[ListedDataset, str, float]] = [
        (nyuv2(make_nyuv2(), normals="decoded"), "depth/*.npy", 0.0),
        (NYUv2MTAN(make_mtan(), "test", (24, 32)), "val/depth/*.npy", 0.0),
    ]
    for dataset, files, invalid in cases:
        assert verify(dataset).notes == ()
        medians = []
        for file in dataset.root.glob(files):
            depth = (np.load(file) * factor).astype(np.float32)
            np.save(file, depth)
            medians.append(float(np.median(depth[depth > invalid])))
        assert only_note(dataset) == note.format(np.median(medians))


def test_depth_of_taxonomy_is_judged_in_metres(make_taxonomy: Maker) -> None:
    """It is stored in 1/512 m, and its targets are logarithms."""
    root = make_taxonomy({"a": ["point_0_view_0"]})
    dataset = TinyTaxonomy(root, "test", (32, 32), None)
    assert verify(dataset).notes == ()
    (file,) = root.rglob("*_depth_zbuffer.png")
    stored = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    for factor in (6, 1 / 16):
        other = np.where(stored == 65535, 65535, stored * factor).astype(np.uint16)
        cv2.imwrite(str(file), other)
        median = f"{np.median(other[other < 65535]) / 512:.4g} metres"
        expected = f"depth has a median of {median}; expected 0.3 to 20 indoors: is it stored in 1/512 m?"
        assert only_note(dataset) == expected


def test_one_image_in_another_unit_is_named(make_nyuv2: Maker) -> None:
    root = make_nyuv2(images=5)
    np.save(root / "depth/0003.npy", np.load(root / "depth/0003.npy") * 1000)
    (note,) = verify(nyuv2(root, normals="decoded")).notes
    assert note.file == root / "depth/0003.npy"
    assert "metres; expected 0.3 to 20 indoors: is it in millimetres?" in note.note


def test_zero_normals_that_are_scored_are_noted(make_nyuv2: Maker) -> None:
    """A rectangle of (127, 127, 127): raw bytes that count as a direction, nothing once they are decoded."""
    root = make_nyuv2()
    scored = zero = 0
    for file in (root / "normal_mask").iterdir():
        normals = cv2.imread(str(file))
        assert normals is not None
        normals[2:8, 5:20] = 127
        cv2.imwrite(str(file), normals)
        valid = (normals != 255).all(axis=2)
        scored += int(valid.sum())
        zero += int((normals[valid] == 127).all(axis=1).sum())
    assert only_note(nyuv2(root)) == (
        f"{100 * zero / scored:.1f} % of the valid normals are zero vectors, which have no direction: "
        "dataset.normals=raw trains on them and scores them, decoded masks them"
    )
    decoded = verify(nyuv2(root, normals="decoded"))
    assert decoded.notes == ()
    assert decoded.invalid_share["normals"] == pytest.approx(1 - (scored - zero) / (3 * 24 * 32))


def test_zero_normals_where_taxonomy_has_depth_are_noted(make_taxonomy: Maker) -> None:
    """Its files say (128, 128, 128) where there is no depth; elsewhere such pixels are scored."""
    root = make_taxonomy({"a": ["point_0_view_0"]})
    (file,) = root.rglob("*_domain_normal.png")
    normals = cv2.imread(str(file))
    assert normals is not None
    normals[1:9] = 128
    cv2.imwrite(str(file), normals)
    assert only_note(TinyTaxonomy(root, "test", (32, 32), None)) == (
        "25.8 % of the valid normals are zero vectors, which have no direction: they are trained on and scored"
    )


def test_what_verify_says_of_real_images(nyuv2_images: Path) -> None:
    """True things only: the published files do hold zero vectors, and their depth is in metres."""
    found = verify(NYUv2(nyuv2_images, "test"))
    assert found.ok
    (note,) = found.notes
    assert note.note.startswith("1.4 % of the valid normals are zero vectors")
    assert verify(NYUv2(nyuv2_images, "test", normals="decoded")).notes == ()


def test_what_verify_says_of_the_taxonomy_fixture() -> None:
    fixture = verify(TinyTaxonomy(Path(__file__).parent / "taxonomy", "test"))
    assert fixture.ok
    # Its normals are drawn at random, so that half of them face away from the camera.
    assert ["are the channels in another order" in note.note for note in fixture.notes] == [True]


def test_describe_counts_what_the_files_hold(make_nyuv2: Maker) -> None:
    root = make_nyuv2()
    found = describe(nyuv2(root))
    seg = np.stack([np.asarray(cv2.imread(str(root / f"seg/{i:04}.png"), cv2.IMREAD_UNCHANGED)) for i in range(3)])
    depth = np.stack([np.load(root / f"depth/{i:04}.npy") for i in range(3)])
    assert (found.name, found.split, found.images, found.shape) == ("nyuv2", "test", 3, (3, 24, 32))
    assert list(found.class_share) == ["segmentation"]
    shares = [(seg == c).sum() / (seg != 255).sum() for c in range(13)]
    assert list(found.class_share["segmentation"].values()) == pytest.approx(shares)
    assert found.depths["depth"].edges == METRES
    counts = found.depths["depth"].counts
    assert counts[4] == ((depth >= 2) & (depth < 2.5)).sum()
    assert sum(counts) == depth.size
    assert found.valid_share == pytest.approx({"segmentation": 22 / 24, "normals": 22 / 24, "depth": 1})


def test_describe_counts_depth_beyond_the_last_edge_and_in_log_units(make_nyuv2: Maker, make_taxonomy: Maker) -> None:
    root = make_nyuv2(images=1)
    np.save(root / "depth/0000.npy", np.full((24, 32), 50, np.float32))
    assert describe(nyuv2(root)).depths["depth"].counts[-1] == 24 * 32
    taxonomy = describe(TinyTaxonomy(make_taxonomy({"a": ["point_0_view_0"]}), "test", (32, 32), None))
    assert taxonomy.depths["depth"].edges == LOG_UNITS
    assert sum(taxonomy.depths["depth"].counts) == 31 * 32
    assert sum(taxonomy.class_share["segmentation"].values()) == pytest.approx(1)


class Broken(FakeDataset):
    """Not from a list of files: it only raises."""

    def sample(self, index: int, draw: int | None = None) -> Sample:
        raise DataError(f"/data/{index}.tif: damaged")


def test_what_a_dataset_without_a_list_says_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    found = verify(Broken(2))
    assert [problem.problem for problem in found.problems] == ["/data/0.tif: damaged", "/data/1.tif: damaged"]
    show_verification("broken", "test", found)
    assert capsys.readouterr().out.splitlines()[-2:] == ["bad: /data/0.tif: damaged", "bad: /data/1.tif: damaged"]
