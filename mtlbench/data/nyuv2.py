"""NYUv2 in the format of AdaShare, TreeMTL and MTLAttack-DGBA (the reference): three tasks, 40 classes.

<root>/nyu_v2_3task.json         {"train": [[img, seg, normal, depth], ...], "test": [...]}
<root>/img/0061.png              RGB
<root>/seg/0061.png              class ids, 255 = ignore
<root>/normal_mask/0061.png      normals as RGB bytes, (255, 255, 255) = invalid
<root>/depth/0061.npy            metres, float
"""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from mtlbench.data.augment import Augment, View
from mtlbench.data.batch import Sample
from mtlbench.data.files import Array, read_gray8, read_npy, read_rgb
from mtlbench.data.listed import ListedDataset, channels_first, contents, existing_root, read_split
from mtlbench.errors import DataError
from mtlbench.options import one_of, whole
from mtlbench.tasks import DEPTH, NORMALS, SEGMENTATION, Task, three_tasks

LIST_FILE = "nyu_v2_3task.json"
IGNORE = 255
MIN_DEPTH = 3e-5  # metres; the reference's threshold


class NYUv2(ListedDataset):
    """One split of NYUv2 as the reference reads it; the generated rooms use the same format.

    Test images and labels are resized to `resolution`, ignoring the aspect ratio (bilinear on uint8, labels nearest).
    Training images are scaled, mirrored and cropped (`Augment`) from the stored size; depth is *not* divided by the
    scale, as in the reference and the paper's recipe. Padding is black and masked.

    Normals: the file holds n = (x right, y away from the camera, z up) as bytes v = floor(127.5 n + 127.5).
    ``raw`` gives the bytes, uncentred, as the reference trains and scores them, uint8 in the file's order
    (x, y, z); the reference has the same bytes in the order (z, y, x), which changes no cosine as long as
    predictions are compared in one order. A pixel is invalid if a channel is 255, and the zero vector
    (127, 127, 127) counts as valid. ``decoded`` gives unit vectors (v - 127) / 127.5, float32, and masks zero
    vectors too.

    Deviation: mirroring negates the x component, as is geometrically correct. The reference omits this on NYUv2.

    Args:
        root: the folder with nyu_v2_3task.json.
        split: a key of that file: ``train``, ``test``, or AdaShare's ``train1``, ``train2``.
        resolution: height and width of a sample.
        classes: segmentation classes; ids from `classes` to 254 are an error.
        normals: ``raw`` or ``decoded``.
        augment: augmentation of training images; None disables it.
        seed: of the augmentation.
        limit: keep the first so many images.
        name: as in conf/dataset.
        follow_links: symbolic links may lead out of the root.

    Raises:
        UsageError: an option is out of range.
        DataError: the folder or its list is missing or malformed.
    """

    away_axis = 1

    def __init__(
        self,
        root: Path | str,
        split: str,
        resolution: Sequence[int] = (321, 321),
        classes: int = 40,
        normals: str = "raw",
        augment: Augment | None = None,
        seed: int = 0,
        limit: int | None = None,
        name: str = "nyuv2",
        follow_links: bool = False,
    ) -> None:
        self.tasks = _checked_tasks(classes, normals)
        folder = existing_root(root, name)
        if not os.path.lexists(folder / LIST_FILE):
            raise DataError(_missing_list(folder))
        entries = read_split(folder / LIST_FILE, split, width=4, follow_links=follow_links)
        super().__init__(
            name=name,
            root=folder,
            split=split,
            listed_in=folder / LIST_FILE,
            entries=entries,
            names=[PurePosixPath(entry[0]).name for entry in entries],
            resolution=resolution,
            augment=augment,
            seed=seed,
            limit=limit,
            follow_links=follow_links,
        )
        self.classes, self.normals = classes, normals
        if normals == "raw":
            self.zero_normals = "dataset.normals=raw trains on them and scores them, decoded masks them"
        self.readers = (read_rgb, partial(read_classes, classes=classes), read_rgb, read_depth)

    @classmethod
    def tasks_of(cls, options: Mapping[str, object]) -> tuple[Task, ...]:
        """Three tasks; refuses a wrong number of classes or encoding of normals."""
        return _checked_tasks(options.get("classes", 40), options.get("normals", "raw"))

    def assemble(self, arrays: Sequence[Array], view: View, name: str) -> Sample:
        """Apply `view` to image, classes, normal bytes and depth."""
        image, classes, normals, depth = arrays
        classes = view.labels(classes, IGNORE)
        normals = view.labels(normals, IGNORE)
        depth = view.labels(depth, 0)
        valid = is_normal(normals)
        if view.mirrored:
            normals[..., 0] = np.where(valid, 254 - normals[..., 0], normals[..., 0])
        if self.normals == "decoded":
            normals, valid = unit_vectors(decode_normals(normals), valid)
        return Sample(
            input=channels_first(np.divide(view.image(image), 255, dtype=np.float32)),
            targets={
                SEGMENTATION: channels_first(classes),
                NORMALS: channels_first(normals),
                DEPTH: channels_first(depth),
            },
            masks={
                SEGMENTATION: channels_first(classes != IGNORE),
                NORMALS: channels_first(valid),
                DEPTH: channels_first(depth > MIN_DEPTH),
            },
            name=name,
        )

    def stored_normals(self, index: int) -> Array:
        """Decoded vectors of valid pixels, float32 [N, 3]; zero vectors are valid only with ``raw``."""
        raw = read_rgb(self.named_files(index)[NORMALS])
        vectors = decode_normals(raw[is_normal(raw)])
        return vectors if self.normals == "raw" else vectors[vectors.any(axis=1)]

    def settings(self) -> dict[str, object]:
        """Resolution, classes, normals; the augmentation if there is one."""
        return {"format": "adashare", "classes": self.classes, "normals": self.normals, **super().settings()}


def _checked_tasks(classes: object, normals: object) -> tuple[Task, ...]:
    one_of(normals, "dataset.normals", ("raw", "decoded"))
    return three_tasks(whole(classes, "dataset.classes", 2, IGNORE - 1))


def is_normal(raw: Array) -> Array:
    """Mask of the bytes [H, W, 3] that hold a normal, by the reference's rule that no channel is 255: bool [H, W]."""
    x, y, z = raw[..., 0], raw[..., 1], raw[..., 2]
    return (x != IGNORE) & (y != IGNORE) & (z != IGNORE)


def decode_normals(raw: Array) -> Array:
    """Bytes [..., 3] to vectors (v - 127) / 127.5, float32: the unbiased inverse of the file's truncation."""
    return (raw.astype(np.float32) - 127) / np.float32(127.5)


def unit_vectors(vectors: Array, valid: Array) -> tuple[Array, Array]:
    """Normalise vectors [H, W, 3]; zero vectors become invalid, and invalid vectors become zero.

    Returns:
        Vectors of length 1 or 0, float32 [H, W, 3], and the mask [H, W] of those of length 1.
    """
    length = np.sqrt(np.einsum("hwc,hwc->hw", vectors, vectors))
    valid = valid & (length > 1e-3)
    scale = np.divide(1, length, out=np.zeros_like(length), where=valid)
    return (vectors * scale[..., None]).astype(np.float32), valid


def read_classes(path: Path, classes: int) -> Array:
    """Class ids, uint8 [H, W], each below `classes` or 255 = ignore.

    Raises:
        DataError: not an 8-bit grey-scale PNG, or with other values.
    """
    ids = read_gray8(path)
    wrong = (ids >= classes) & (ids != IGNORE)
    if wrong.any():
        raise DataError(f"{path}: class ids {np.unique(ids[wrong])[:10].tolist()}; expected 0..{classes - 1} or 255")
    return ids


def read_depth(path: Path) -> Array:
    """Depth in metres, float32 [H, W].

    Raises:
        DataError: not a .npy file of finite floating-point values with two axes, or with negative values.
    """
    depth = read_npy(path, ndim=2)
    if depth.dtype.kind != "f":
        raise DataError(f"{path}: depth of type {depth.dtype}; expected float32 metres")
    if depth.min() < 0:
        raise DataError(f"{path}: depth down to {depth.min():g}; expected metres, 0 or more")
    return np.array(depth, dtype=np.float32, order="C")


def _missing_list(root: Path) -> str:
    """Raise the error of a missing list, with a guess of what the folder is."""
    parts = [part for part in ("img", "seg", "normal_mask", "depth") if (root / part).is_dir()]
    if (root / "train" / "image").is_dir() or (root / "val" / "image").is_dir():
        hint = "this looks like the MTAN format (train/image/0.npy): use dataset=nyuv2_mtan"
    elif (root / "gt_sets").is_dir():
        hint = "this looks like NYUD_MT (gt_sets, images, ...): use dataset=folder dataset.describe=nyud_mt"
    elif (root / "nyu_depth_v2_labeled.mat").is_file():
        hint = "the .mat file holds no normals; mtlbench data action=convert makes a folder of its images and depth"
    elif parts:
        hint = f"{', '.join(parts)} are here, only the list of splits is missing; it comes with the download"
    else:
        hint = f"expected also img/, seg/, normal_mask/ and depth/; the folder holds {contents(root)}"
    return f"{root / LIST_FILE}: no such file; {hint}"
