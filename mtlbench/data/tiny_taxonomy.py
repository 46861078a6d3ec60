"""Tiny-Taxonomy (Tiny-Taskonomy) with five tasks, as MTLAttack-DGBA (the reference) and AdaShare read it."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from mtlbench.data.augment import Augment, View, resize_nearest
from mtlbench.data.batch import Sample
from mtlbench.data.files import Array, inside, read_gray8, read_gray16, read_npy, read_rgb
from mtlbench.data.listed import ListedDataset, channels_first, existing_root
from mtlbench.data.taxonomy_lists import list_images
from mtlbench.errors import DataError
from mtlbench.options import whole
from mtlbench.tasks import DEPTH, EDGE_TEXTURE, KEYPOINTS2D, NORMALS, SEGMENTATION, Task, five_tasks

WEIGHTS_FILE = "semseg_prior_factor.npy"
# The published factors (taskonomy: taskbank/lib/data/semseg_prior_factor.npy), background first.
CLASS_WEIGHTS = (
    0.54241015, 9.16744426, 7.33098964, 7.16203488, 8.72288504, 7.61330311, 8.23692385, 9.14858036,
    8.82202253, 9.08579179, 8.91407327, 9.17723224, 9.03539023, 8.60391777, 9.16991691, 9.14673021,
    9.13736169,
)  # fmt: skip
IGNORE = 255
# The constants of the Taskonomy configurations (rgb2depth, keypoint2d, edge2d).
DEPTH_END, KEYPOINTS_TOP, EDGES_TOP = 64500, 0.005, 0.08


class TinyTaxonomy(ListedDataset):
    """One split of Tiny-Taxonomy; both formats of `mtlbench.data.taxonomy_lists` are detected.

    Every file is first resized to `base` x `base` by the nearest rule (the RGB image too, as in the reference). Test
    images are then resized to `resolution`, bilinearly in floating point, labels nearest. Training images are scaled,
    mirrored and cropped (`Augment`) from `base`. Padding is black and masked.

    Targets:
        segmentation: class v - 1 of the stored v, uint8. Stored 0 ("uncertain") becomes background and is
            *valid*: the reference computes a mask for it but never uses it.
        normals: v / 127.5 - 1, float32, (x right, y down, z away); mirroring negates x. Valid where depth is.
        depth: log(1 + v) / log(2^16) of v in 1/512 m, float32; valid where v < 64500.
        keypoints2d, edge_texture: clipped at 0.005 and 0.08 of 65536, scaled to -1..1; valid everywhere.

    Args:
        root: the folder, in either format.
        split: a key of taskonomy.json, or ``train``, ``test``; the official download also has ``val``.
        resolution: height and width of a sample.
        base: side of the intermediate size, or None to skip that step.
        augment: augmentation of training images; None disables it.
        seed: of the augmentation.
        limit: keep the first so many images.
        name: as in conf/dataset.
        follow_links: symbolic links may lead out of the root.

    Attributes:
        class_weights: from semseg_prior_factor.npy in the root, else the published ones; one per class.
        skipped: (image or building, reason) for each missing one.

    Raises:
        UsageError: an option is out of range.
        DataError: no known format, a malformed list, or malformed weights.
    """

    away_axis = 2
    depth_stored_in = "1/512 m"

    def __init__(
        self,
        root: Path | str,
        split: str,
        resolution: Sequence[int] = (224, 224),
        base: int | None = 256,
        augment: Augment | None = None,
        seed: int = 0,
        limit: int | None = None,
        name: str = "tiny_taxonomy",
        follow_links: bool = False,
    ) -> None:
        folder = existing_root(root, name)
        listing = list_images(folder, split, follow_links)
        super().__init__(
            name=name,
            root=folder,
            split=split,
            listed_in=listing.source,
            entries=listing.entries,
            names=listing.names,
            resolution=resolution,
            augment=augment,
            seed=seed,
            limit=limit,
            follow_links=follow_links,
        )
        self.base, self.skipped = base if base is None else whole(base, "dataset.base"), listing.skipped
        self.class_weights = _class_weights(folder, follow_links)
        self.tasks = five_tasks(self.class_weights)
        read_ids = partial(read_uncertain_classes, classes=len(self.class_weights))
        self.readers = (read_rgb, read_ids, read_rgb, read_gray16, read_gray16, read_gray16)

    @classmethod
    def tasks_of(cls, options: Mapping[str, object]) -> tuple[Task, ...]:
        """Five tasks, with the published class weights: a folder may have others."""
        return five_tasks(CLASS_WEIGHTS)

    def decode(self, index: int) -> list[Array]:
        """The checked arrays of image `index`, resized to `base` if it is set."""
        arrays = super().decode(index)
        if self.base is None:
            return arrays
        return [resize_nearest(array, (self.base, self.base)) for array in arrays]

    def assemble(self, arrays: Sequence[Array], view: View, name: str) -> Sample:
        """Apply `view` to the stored values, then convert them."""
        image, classes, normals, depth, keypoints, edges = arrays
        covered = view.covered()
        classes, normals, depth, keypoints, edges = (
            view.labels(array, 0) for array in (classes, normals, depth, keypoints, edges)
        )
        valid = covered & (depth < DEPTH_END)
        normals = normals.astype(np.float32) / np.float32(127.5) - 1
        if view.mirrored:
            normals[..., 0] *= -1
        everywhere = channels_first(covered)
        return Sample(
            # Bilinear weights may sum to a rounding error above one.
            input=channels_first(np.minimum(view.image(image.astype(np.float32)) / np.float32(255), 1)),
            targets={
                SEGMENTATION: channels_first(np.where(covered, np.maximum(classes, 1) - 1, IGNORE)),
                NORMALS: channels_first(np.where(covered[..., None], normals, 0)),
                DEPTH: channels_first(_log_depth(depth)),
                KEYPOINTS2D: channels_first(np.where(covered, _stretched(keypoints, KEYPOINTS_TOP), 0)),
                EDGE_TEXTURE: channels_first(np.where(covered, _stretched(edges, EDGES_TOP), 0)),
            },
            masks={
                SEGMENTATION: everywhere,
                NORMALS: channels_first(valid),
                DEPTH: channels_first(valid),
                KEYPOINTS2D: everywhere,
                EDGE_TEXTURE: everywhere,
            },
            name=name,
        )

    def stored_normals(self, index: int) -> Array:
        """Vectors of the pixels with valid depth, float32 [N, 3]."""
        files = self.named_files(index)
        normals, depth = read_rgb(files[NORMALS]), read_gray16(files[DEPTH])
        return normals[depth < DEPTH_END].astype(np.float32) / np.float32(127.5) - 1

    def metres(self, depth: Tensor) -> Tensor:
        """Depth in metres, the inverse of the logarithm in the targets."""
        return (2 ** (16 * depth.double()) - 1) / 512

    def settings(self) -> dict[str, object]:
        """Resolution, base, class weights; the augmentation if there is one."""
        weights = list(self.class_weights)
        return {"format": "taxonomy", "base": self.base, "class_weights": weights, **super().settings()}


def read_uncertain_classes(path: Path, classes: int) -> Array:
    """Stored class ids, uint8 [H, W]: 0 = uncertain, 1..classes.

    Raises:
        DataError: not an 8-bit grey-scale PNG, or with larger values.
    """
    ids = read_gray8(path)
    if ids.max() > classes:
        wrong = np.unique(ids[ids > classes])[:10].tolist()
        raise DataError(
            f"{path}: class ids {wrong}; expected 0 (uncertain) to {classes}, one class per entry of {WEIGHTS_FILE}"
        )
    return ids


def _class_weights(root: Path, follow_links: bool) -> tuple[float, ...]:
    path = root / WEIGHTS_FILE
    if not os.path.lexists(path):  # a broken link is an error; the published weights are not used instead
        return CLASS_WEIGHTS
    weights = read_npy(inside(root, WEIGHTS_FILE, path, follow_links), ndim=1)
    if not 2 <= len(weights) < IGNORE or weights.min() <= 0:
        raise DataError(f"{path}: {len(weights)} weights from {weights.min():g}; expected one above 0 for each class")
    return tuple(float(weight) for weight in weights)


def _log_depth(stored: Array) -> Array:
    """0..65535 to 0..1, float32 [H, W]."""
    return (np.log1p(stored.astype(np.float64)) / np.log(2.0**16)).astype(np.float32)


def _stretched(stored: Array, top: float) -> Array:
    """Clip at `top` (a fraction of 65536) and map 0..top to -1..1, float32 [H, W]."""
    return (np.minimum(stored / 65536, top) / top * 2 - 1).astype(np.float32)
