"""Tiny datasets in six layouts, as their makers publish them, and the few lines that describe each."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from tests.data.conftest import save, vectors

SIZE = (24, 32)
IDS = ("0001", "0002", "0007")


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def image(random: np.random.Generator) -> np.ndarray:
    return random.integers(0, 256, (*SIZE, 3), np.uint8)


def adashare(root: Path) -> str:
    random, entries = rng(), []
    for name in IDS:
        normals = np.floor(127.5 * vectors(random, SIZE, away=1) + 127.5).clip(0, 254).astype(np.uint8)
        classes = random.integers(0, 13, SIZE, np.uint8)
        normals[:2], normals[2, :4], classes[:2] = 255, 127, 255
        entries.append([f"img/{name}.png", f"seg/{name}.png", f"normal_mask/{name}.png", f"depth/{name}.npy"])
        depth = np.asfortranarray(random.uniform(0.5, 9.5, SIZE).astype(np.float32))
        arrays: list[np.ndarray] = [image(random), classes, normals, depth]
        for path, array in zip(entries[-1], arrays, strict=True):
            save(root / path, array)
    (root / "nyu_v2_3task.json").write_text(json.dumps({"train": entries, "test": entries}))
    return """
image: {column: 0}
splits: {train: nyu_v2_3task.json, test: nyu_v2_3task.json}
tasks:
  segmentation: {kind: classes, column: 1, classes: 13, ignore: [255]}
  normals: {kind: normals, column: 2, scale: 2/255, offset: -254/255, any_ignore: 255}
  depth: {kind: depth, column: 3}
"""


def nyud_mt(root: Path) -> str:
    random = rng()
    for name in IDS:
        normals = vectors(random, SIZE, away=2).astype(np.float32)
        normals[0] = 0
        (root / "images").mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(root / f"images/{name}.jpg"), image(random))
        save(root / f"segmentation/{name}.png", random.integers(0, 41, SIZE, np.uint8))
        save(root / f"normals/{name}.npy", normals)
        save(root / f"depth/{name}.npy", random.uniform(0.5, 9.5, SIZE).astype(np.float32))
    (root / "gt_sets").mkdir()
    (root / "gt_sets/train.txt").write_text("\n".join(IDS[:2]) + "\n")
    (root / "gt_sets/val.txt").write_text(IDS[2])
    return "nyud_mt"


def cityscapes_mtan(root: Path) -> str:
    random = rng()
    for part, number in (("train", 0), ("train", 1), ("val", 0), ("val", 2), ("val", 10)):
        depth = random.uniform(0.01, 0.49, (*SIZE, 1)).astype(np.float32)
        depth[0] = 0
        save(root / part / "image" / f"{number}.npy", random.random((*SIZE, 3), np.float32))
        save(root / part / "label" / f"{number}.npy", random.integers(-1, 7, SIZE).astype(np.float32))
        save(root / part / "depth" / f"{number}.npy", depth)
    return "cityscapes_mtan"


def cityscapes(root: Path) -> str:
    random = rng()
    for part, city in (("train", "aachen"), ("val", "lindau"), ("val", "munster")):
        stem = f"{part}/{city}/{city}_000000_000019"
        disparity = random.integers(256, 30000, SIZE, np.uint16)
        disparity[0] = 0
        save(root / f"leftImg8bit/{stem}_leftImg8bit.png", image(random))
        save(root / f"gtFine/{stem}_gtFine_labelIds.png", random.integers(0, 34, SIZE, np.uint8))
        save(root / f"gtFine/{stem}_gtFine_instanceIds.png", random.integers(0, 34, SIZE, np.uint16))
        save(root / f"disparity/{stem}_disparity.png", disparity)
    return "cityscapes"


def mvtec_ad(root: Path) -> str:
    random = rng()
    for split, defect in (("train", "good"), ("test", "good"), ("test", "hole"), ("test", "scratch")):
        for name in ("000", "001"):
            save(root / split / defect / f"{name}.png", image(random))
            if defect != "good":
                mask = 255 * random.integers(0, 2, SIZE, np.uint8)
                save(root / "ground_truth" / defect / f"{name}_mask.png", mask)
    return "mvtec_ad"


def celeba(root: Path) -> str:
    random, names = rng(), ["5_o_Clock_Shadow", "Male", "Smiling", "Young"]
    ids = [f"{number:06}.jpg" for number in range(1, 7)]
    (root / "img_align_celeba").mkdir(parents=True)
    for name in ids:
        assert cv2.imwrite(str(root / "img_align_celeba" / name), image(random))
    rows = [f"{name} {' '.join(f'{v:2}' for v in random.choice([-1, 1], 4))}" for name in ids]
    (root / "list_attr_celeba.txt").write_text("\n".join([str(len(ids)), " ".join(names) + " ", *rows]) + "\n")
    parts = (0, 0, 0, 1, 2, 2)
    (root / "list_eval_partition.txt").write_text("\n".join(f"{n} {p}" for n, p in zip(ids, parts, strict=True)))
    return "celeba"


LAYOUTS: dict[str, Callable[[Path], str]] = {
    made.__name__: made for made in (adashare, nyud_mt, cityscapes_mtan, cityscapes, mvtec_ad, celeba)
}
"""Name -> what writes the layout below a root and returns its description: yaml, or the name of a ready one."""


def describe(root: Path, text: str) -> Path | str:
    """The file of a description; names of ready ones as they are."""
    if "\n" not in text:
        return text
    file = root.parent / f"{root.name}.yaml"
    file.write_text(text)
    return file
