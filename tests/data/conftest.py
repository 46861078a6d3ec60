"""Small generated datasets in the on-disk formats that users have."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

DOMAINS = ("rgb", "segment_semantic", "normal", "depth_zbuffer", "keypoints2d", "edge_texture")


def save(path: Path, array: np.ndarray) -> None:
    """Write a PNG (RGB order) or a .npy file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        assert cv2.imwrite(str(path), array[..., ::-1] if array.ndim == 3 else array)


def vectors(rng: np.random.Generator, size: tuple[int, int], away: int) -> np.ndarray:
    """Unit vectors that face a camera whose viewing direction is axis `away`."""
    normals = rng.normal(size=(*size, 3))
    normals[..., away] = -np.abs(normals[..., away])
    return normals / np.linalg.norm(normals, axis=2, keepdims=True)


@pytest.fixture
def make_nyuv2(tmp_path: Path) -> Callable[..., Path]:
    """A folder in AdaShare's format, with an ignored border and a few zero normals."""

    def make(images: int = 3, size: tuple[int, int] = (24, 32), classes: int = 13, root: str = "nyu") -> Path:
        rng, folder, entries = np.random.default_rng(0), tmp_path / root, []
        for i in range(images):
            entry = [f"img/{i:04}.png", f"seg/{i:04}.png", f"normal_mask/{i:04}.png", f"depth/{i:04}.npy"]
            entries.append(entry)
            seg = rng.integers(0, classes, size, np.uint8)
            normals = np.floor(127.5 * vectors(rng, size, away=1) + 127.5).clip(0, 254).astype(np.uint8)
            seg[:2], normals[:2], normals[2, :4] = 255, 255, 127
            depth = np.asfortranarray(rng.uniform(0.5, 9.5, size).astype(np.float32))
            image = rng.integers(0, 256, (*size, 3), np.uint8)
            arrays: tuple[np.ndarray, ...] = (image, seg, normals, depth)
            for path, array in zip(entry, arrays, strict=True):
                save(folder / path, array)
        (folder / "nyu_v2_3task.json").write_text(json.dumps({"train": entries, "test": entries}))
        return folder

    return make


@pytest.fixture
def make_taxonomy(tmp_path: Path) -> Callable[..., Path]:
    """Six files for each (building, view), at `template`; ``{split}`` is test. No list file."""

    def make(
        views: dict[str, list[str]],
        template: str = "test/{building}/{domain}/{view}_domain_{suffix}.png",
        size: int = 32,
        root: str = "taxonomy",
    ) -> Path:
        rng, folder = np.random.default_rng(0), tmp_path / root
        for building, view in ((b, v) for b, names in views.items() for v in names):
            depth = rng.integers(200, 4000, (size, size), np.uint16)
            depth[0] = 65535
            normals = np.rint(127.5 * vectors(rng, (size, size), away=2) + 127.5).astype(np.uint8)
            normals[0] = 128
            arrays = (
                rng.integers(0, 256, (size, size, 3), np.uint8),
                rng.integers(0, 18, (size, size), np.uint8),
                normals,
                depth,
                rng.integers(0, 500, (size, size), np.uint16),
                rng.integers(0, 9000, (size, size), np.uint16),
            )
            for domain, array in zip(DOMAINS, arrays, strict=True):
                names = {"building": building, "domain": domain, "view": view}
                suffix = domain.replace("segment_semantic", "segmentsemantic")
                save(folder / template.format(suffix=suffix, **names), array)
        return folder

    return make


@pytest.fixture
def make_mtan(tmp_path: Path) -> Callable[..., Path]:
    """A folder in MTAN's format."""

    def make(images: int = 3, size: tuple[int, int] = (24, 32)) -> Path:
        rng, folder = np.random.default_rng(0), tmp_path / "mtan"
        for i, part in ((i, part) for i in range(images) for part in ("train", "val")):
            normal = vectors(rng, size, away=2).astype(np.float32)
            depth = rng.uniform(0.5, 9.5, (*size, 1)).astype(np.float32)
            normal[0], depth[0] = 0, 0
            save(folder / part / "image" / f"{i}.npy", rng.random((*size, 3), np.float32))
            save(folder / part / "label" / f"{i}.npy", rng.integers(-1, 13, size).astype(np.float32))
            save(folder / part / "normal" / f"{i}.npy", normal)
            save(folder / part / "depth" / f"{i}.npy", depth)
        return folder

    return make
