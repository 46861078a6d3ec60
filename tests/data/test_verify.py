"""Fingerprint, verification and description of a dataset."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mtlbench.data.describe import LOG_UNITS, METRES, describe
from mtlbench.data.fingerprint import fingerprint
from mtlbench.data.nyuv2 import NYUv2
from mtlbench.data.nyuv2_mtan import NYUv2MTAN
from mtlbench.data.tiny_taxonomy import TinyTaxonomy
from mtlbench.data.verify import verify
from mtlbench.errors import DataError

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
    assert len(json.loads(cache.read_text())) == 4


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
    problems = {problem.file.relative_to(root).as_posix(): problem.problem for problem in found.problems}
    assert list(problems) == ["img/0000.png", "depth/0000.npy", "img/0002.png", "seg/0003.png"]
    assert "cut short" in problems["img/0000.png"]
    assert problems["depth/0000.npy"] == "no such file"
    assert "3x3 pixels, but its image" in problems["img/0002.png"]
    assert "outside the root" in problems["seg/0003.png"]
    assert (found.images, found.files, found.ok) == (5, 20, False)
    assert calls == [(i, 5) for i in range(1, 6)]


def test_verify_of_sound_datasets(make_nyuv2: Maker, make_taxonomy: Maker, make_mtan: Maker) -> None:
    size = (24, 32)
    for dataset, files in (
        (nyuv2(make_nyuv2()), 4),
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
    notes = {(note.file.name if note.file else None): note.note for note in verify(nyuv2(root)).notes}
    assert notes["0000.png"] == "segmentation is [3] at every valid pixel"
    assert notes["0001.png"] == "no valid pixel for segmentation"
    assert notes["0002.png"] == "normals have a median length of 1.725; expected 1"
    assert "are the channels in another order" in notes[None]
    views = {"muleshoe": ["point_399_view_5", "point_1_view_1"]}
    (note,) = verify(TinyTaxonomy(make_taxonomy(views), "test", (32, 32), None)).notes
    assert note.note.startswith("muleshoe/point_399_view_5 left out: ")


def test_describe_counts_what_the_files_hold(make_nyuv2: Maker) -> None:
    root = make_nyuv2()
    found = describe(nyuv2(root))
    seg = np.stack([np.asarray(cv2.imread(str(root / f"seg/{i:04}.png"), cv2.IMREAD_UNCHANGED)) for i in range(3)])
    depth = np.stack([np.load(root / f"depth/{i:04}.npy") for i in range(3)])
    assert (found.name, found.split, found.images, found.size) == ("nyuv2", "test", 3, (24, 32))
    assert found.class_share == pytest.approx([(seg == c).sum() / (seg != 255).sum() for c in range(13)])
    assert found.depth_edges == METRES
    assert found.depth_counts[4] == ((depth >= 2) & (depth < 2.5)).sum()
    assert sum(found.depth_counts) == depth.size
    assert found.valid_share == pytest.approx({"segmentation": 22 / 24, "normals": 22 / 24, "depth": 1})


def test_describe_counts_depth_beyond_the_last_edge_and_in_log_units(make_nyuv2: Maker, make_taxonomy: Maker) -> None:
    root = make_nyuv2(images=1)
    np.save(root / "depth/0000.npy", np.full((24, 32), 50, np.float32))
    assert describe(nyuv2(root)).depth_counts[-1] == 24 * 32
    taxonomy = describe(TinyTaxonomy(make_taxonomy({"a": ["point_0_view_0"]}), "test", (32, 32), None))
    assert taxonomy.depth_edges == LOG_UNITS
    assert sum(taxonomy.depth_counts) == 31 * 32
    assert sum(taxonomy.class_share) == pytest.approx(1)
