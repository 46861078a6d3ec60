"""The two on-disk forms of rooms: the AdaShare packings of NYUv2 and of Tiny-Taxonomy."""

import json
from pathlib import Path

import numpy as np

from mtlbench.data.generated import Entries, Form
from mtlbench.data.rooms.derived import edge_texture, keypoints2d
from mtlbench.data.rooms.picture import Picture, class_weights, render
from mtlbench.data.write import write_npy, write_png

VERSION = 1
"""Counts up whenever the same parameters give other files."""

DEPTH_UNIT = 512
"""Steps of a depth_zbuffer file per metre."""


class RoomsForm(Form[Picture]):
    """What both have in common."""

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
        normal = np.rint(127.5 * picture.normal + 127.5).clip(0, 255).astype(np.uint8)
        images = {
            "rgb": picture.rgb,
            "segment_semantic": picture.label + np.uint8(1),
            "normal": normal.transpose(1, 2, 0),
            "depth_zbuffer": np.rint(picture.depth * DEPTH_UNIT).astype(np.uint16),
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


FORMS: dict[str, Form[Picture]] = {form.name: form for form in (NYUv2Form(), TinyTaxonomyForm())}


def _json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
