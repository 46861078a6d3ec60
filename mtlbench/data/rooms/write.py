"""The on-disk forms of rooms: the AdaShare packings of NYUv2 and of Tiny-Taxonomy, and a folder with eight tasks."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtlbench.data.files import Array
from mtlbench.data.generated import Entries, Form
from mtlbench.data.rooms.derived import edge_texture, instance_edges, keypoints2d
from mtlbench.data.rooms.picture import Picture, class_weights, render
from mtlbench.data.tiny_taxonomy import EDGES_TOP, KEYPOINTS_TOP
from mtlbench.data.write import write_npy, write_png

VERSION = 1
"""Counts up whenever the same parameters give other files."""

DEPTH_UNIT = 512
"""Steps of a depth_zbuffer file per metre."""

BRIGHTEST = 2
"""The value of a shading file's 255; the square root of the light is below it."""


class RoomsForm(Form[Picture]):
    """What they have in common."""

    version = VERSION
    manifest = "rooms.json"

    def render(self, seed: int, split: str, index: int, height: int, width: int) -> Picture:
        """See `render`; an entry holds the paths of the picture's files."""
        return render(seed, split, index, height, width)


class NYUv2Form(RoomsForm):
    """img, seg, normal_mask, depth; classes 0..12; normals x right, y away, z up; metres."""

    name, folder = "nyuv2", "rooms"

    def write(self, root: Path, split: str, index: int, picture: Picture) -> list[str]:
        """File names start with the split, so they depend neither on the other split nor on its size."""
        stem = f"{split}_{index:05d}"
        entry = [f"img/{stem}.png", f"seg/{stem}.png", f"normal_mask/{stem}.png", f"depth/{stem}.npy"]
        right, down, away = picture.normal
        axes = np.stack([right, away, -down], axis=-1)
        # 255 in all channels means invalid, so the largest valid value is 254.
        normal = np.clip(np.floor(127.5 * axes + 127.5), 0, 254).astype(np.uint8)
        images = (picture.rgb, picture.label, normal)
        for path, image in zip(entry[:3], images, strict=True):
            write_png(root / path, image)
        write_npy(root / entry[3], np.asfortranarray(picture.depth))
        return entry

    def finish(self, root: Path, entries: Entries) -> None:
        """The list is nyu_v2_3task.json."""
        _json(root / "nyu_v2_3task.json", entries)


class TinyTaxonomyForm(RoomsForm):
    """Six domains in a folder per building; classes 1..13; normals x right, y down, z away; 1/512 m."""

    name, folder = "tiny_taxonomy", "rooms5"
    per_building = 100

    def write(self, root: Path, split: str, index: int, picture: Picture) -> list[str]:
        """A hundred pictures make a building; the point is the picture's index."""
        images = {
            "rgb": picture.rgb,
            "segment_semantic": picture.label + np.uint8(1),
            "normal": _normal(picture),
            "depth_zbuffer": _depth(picture),
            "keypoints2d": keypoints2d(picture.rgb),
            "edge_texture": edge_texture(picture.rgb),
        }
        building = f"{split}_{index // self.per_building:03d}"
        entry = []
        for domain, image in images.items():
            suffix = "segmentsemantic" if domain == "segment_semantic" else domain
            path = f"{building}/{domain}/point_{index}_view_0_domain_{suffix}.png"
            write_png(root / split / path, image)
            entry.append(path)
        return entry

    def finish(self, root: Path, entries: Entries) -> None:
        """The list is taskonomy.json; the class weights lie beside it."""
        np.save(root / "semseg_prior_factor.npy", class_weights())
        _json(root / "taskonomy.json", entries)


class EightTasksForm(RoomsForm):
    """A folder per task, and a list per split; `mtlbench/data/folder/known/rooms8.yaml` says what the values mean.

    The image and the first five tasks are those of `TinyTaxonomyForm`, keypoints2d and edge_texture clipped and
    stretched as its reader does. Albedo and shading are square roots, as the image is: their product is the image.
    """

    name, folder = "eight_tasks", "rooms8"

    def write(self, root: Path, split: str, index: int, picture: Picture) -> list[str]:
        """The entry is the picture's id."""
        images: dict[str, Array] = {
            "rgb": picture.rgb,
            "segmentation": picture.label,
            "normals": _normal(picture),
            "depth": _depth(picture),
            "keypoints2d": _stretched(keypoints2d(picture.rgb), KEYPOINTS_TOP),
            "edge_texture": _stretched(edge_texture(picture.rgb), EDGES_TOP),
            "instance_edges": np.where(instance_edges(picture.surface), np.uint8(255), np.uint8(0)),
            "albedo": _root(picture.albedo, 1),
            "shading": _root(picture.light, BRIGHTEST),
        }
        name = f"{split}_{index:05d}"
        for task, image in images.items():
            write_png(root / split / task / f"{name}.png", image)
        return [name]

    def finish(self, root: Path, entries: Entries) -> None:
        """An id in each line."""
        for split, rows in entries.items():
            (root / f"{split}.txt").write_text("".join(f"{name}\n" for (name,) in rows), encoding="utf-8")


FORMS: dict[str, Form[Picture]] = {form.name: form for form in (NYUv2Form(), TinyTaxonomyForm(), EightTasksForm())}


def _normal(picture: Picture) -> NDArray[np.uint8]:
    """-1..1 as 0..255, [H, W, 3]."""
    return np.rint(127.5 * picture.normal + 127.5).clip(0, 255).astype(np.uint8).transpose(1, 2, 0)


def _depth(picture: Picture) -> NDArray[np.uint16]:
    return np.rint(picture.depth * DEPTH_UNIT).astype(np.uint16)


def _stretched(stored: NDArray[np.uint16], top: float) -> NDArray[np.uint16]:
    """Clipped at `top`, a fraction of 65536, which becomes 65535."""
    return np.rint(65535 * np.minimum(stored / 65536, top) / top).astype(np.uint16)


def _root(values: NDArray[np.float32], top: float) -> NDArray[np.uint8]:
    """The square root, 0..top as 0..255; [3, H, W] to [H, W, 3]."""
    return np.rint(255 / top * np.sqrt(values)).clip(0, 255).astype(np.uint8).transpose(1, 2, 0)


def _json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
