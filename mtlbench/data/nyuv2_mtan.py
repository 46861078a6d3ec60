"""NYUv2 in the format of MTAN, LibMTL and Auto-Lambda: 13 classes, 288 x 384, NumPy files.

<root>/{train,val}/{image,label,depth,normal}/0.npy ...
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mtlbench.data.augment import Augment, View
from mtlbench.data.batch import Sample
from mtlbench.data.files import Array, read_npy
from mtlbench.data.listed import ListedDataset, channels_first, contents, existing_root, files_by_image
from mtlbench.data.nyuv2 import unit_vectors
from mtlbench.errors import DataError, MissingSplitError, UsageError
from mtlbench.tasks import DEPTH, NORMALS, SEGMENTATION, three_tasks

CLASSES = 13
IGNORE = 255
FOLDERS = {"train": "train", "test": "val"}
KINDS = ("image", "label", "normal", "depth")


class NYUv2MTAN(ListedDataset):
    """One split of the preprocessed NYUv2 of MTAN (arXiv 1803.10704).

    Files: image [288, 384, 3] RGB in 0..1; label [288, 384], -1 = ignore; depth [288, 384, 1] in metres,
    0 = invalid; normal [288, 384, 3], unit vectors with x first, zero = invalid. Targets: class ids uint8
    with 255 = ignore, normals of unit length, depth in metres.

    Augmentation (`Augment`) divides depth by the scale and negates x when mirroring, as MTAN does with the scales 1,
    1.2 and 1.5. Padding is black and masked.

    Args:
        root: the folder with train/ and val/.
        split: ``train`` or ``test`` (the folder val/).
        resolution: height and width of a sample; bilinear for the image, nearest for labels.
        augment: augmentation of training images; None disables it.
        seed: of the augmentation.
        limit: keep the first so many images.
        name: as in conf/dataset.
        follow_links: symbolic links may lead out of the root.

    Raises:
        UsageError: an option is out of range.
        DataError: the folder does not have this format, or has no such split.
    """

    def __init__(
        self,
        root: Path | str,
        split: str,
        resolution: Sequence[int] = (288, 384),
        augment: Augment | None = None,
        seed: int = 0,
        limit: int | None = None,
        name: str = "nyuv2_mtan",
        follow_links: bool = False,
    ) -> None:
        folder = existing_root(root, name)
        if split not in FOLDERS:
            raise UsageError(f"dataset.split={split}: expected {' or '.join(FOLDERS)}")
        part = FOLDERS[split]
        files = {kind: files_by_image(folder / part / kind, ".npy") for kind in KINDS}
        numbers = _numbers(folder, part, files)
        super().__init__(
            name=name,
            root=folder,
            split=split,
            listed_in=folder / part,
            entries=[
                tuple(f"{part}/{kind}/{files[kind].get(str(number), f'{number}.npy')}" for kind in KINDS)
                for number in numbers
            ],
            names=[str(number) for number in numbers],
            resolution=resolution,
            augment=augment,
            seed=seed,
            limit=limit,
            follow_links=follow_links,
        )
        self.tasks = three_tasks(CLASSES)
        self.readers = (_read_image, _read_label, partial(_read_float, channels=3), _read_depth)

    def assemble(self, arrays: Sequence[Array], view: View, name: str) -> Sample:
        """Apply `view` to image, label, normals and depth."""
        image, label, normals, depth = arrays
        label = view.labels(label, IGNORE)
        depth = view.labels(depth, 0) / np.float32(view.scale)
        normals = view.labels(normals, 0)
        if view.mirrored:
            normals[..., 0] *= -1
        normals, valid = unit_vectors(normals, view.covered())
        return Sample(
            input=channels_first(np.clip(view.image(image), 0, 1)),
            targets={
                SEGMENTATION: channels_first(label),
                NORMALS: channels_first(normals),
                DEPTH: channels_first(depth),
            },
            masks={
                SEGMENTATION: channels_first(label != IGNORE),
                NORMALS: channels_first(valid),
                DEPTH: channels_first(depth > 0),
            },
            name=name,
        )

    def stored_normals(self, index: int) -> Array:
        """Non-zero vectors, float32 [N, 3]."""
        normals = _read_float(self.named_files(index)[NORMALS], channels=3)
        return normals[normals.any(axis=2)]

    def settings(self) -> dict[str, object]:
        """Resolution; the augmentation if there is one."""
        return {"format": "mtan", **super().settings()}


def _numbers(root: Path, part: str, files: Mapping[str, Mapping[str, str]]) -> list[int]:
    """The image numbers of a split, ascending, from files of any kind, so that reading detects missing files.

    Raises:
        MissingSplitError: there are none, but the other split has some.
        DataError: there are none at all; the message guesses what the folder is.
    """
    folder = root / part / "image"
    numbers = {name for names in files.values() for name in names if _is_number(name)}
    if not numbers and not files["image"]:
        others = [other for other in FOLDERS.values() if files_by_image(root / other / "image", ".npy")]
        if others:
            raise MissingSplitError(
                f"{folder}: no 0.npy, 1.npy, ... here; of this dataset {root} holds {others[0]}/ only"
            )
        adashare = (root / "nyu_v2_3task.json").is_file()
        hint = "this is the format of AdaShare: use dataset=nyuv2" if adashare else f"{root} holds {contents(root)}"
        raise DataError(f"{folder}: no 0.npy, 1.npy, ... here; {hint}")
    strange = [file for name, file in files["image"].items() if not _is_number(name)]
    if strange:
        raise DataError(f"{folder / strange[0]}: expected numbered files 0.npy, 1.npy, ...")
    return sorted(map(int, numbers))


def _is_number(name: str) -> bool:
    return name.isdecimal() and name == str(int(name))


def _read_float(path: Path, channels: int) -> Array:
    """Values [H, W, channels], float32."""
    values = read_npy(path, ndim=3, channels=channels)
    if values.dtype.kind != "f":
        raise DataError(f"{path}: values of type {values.dtype}; expected floating point")
    return np.array(values, dtype=np.float32, order="C")


def _read_image(path: Path) -> Array:
    image = _read_float(path, channels=3)
    low, high = float(image.min()), float(image.max())
    if low < -1e-3 or high > 1 + 1e-3:
        raise DataError(f"{path}: image values {low:g}..{high:g}; expected 0..1")
    return image


def _read_depth(path: Path) -> Array:
    depth = _read_float(path, channels=1)[..., 0]
    if depth.min() < 0:
        raise DataError(f"{path}: depth down to {depth.min():g}; expected metres, 0 = invalid")
    return depth


def _read_label(path: Path) -> Array:
    """Class ids, uint8 [H, W], 255 = ignore."""
    label = read_npy(path, ndim=2)
    wrong = (label < -1) | (label >= CLASSES) | (label != np.rint(label))
    if wrong.any():
        raise DataError(
            f"{path}: labels {np.unique(label[wrong])[:10].tolist()}; "
            f"expected whole numbers from -1 (ignore) to {CLASSES - 1}"
        )
    return np.where(label < 0, IGNORE, label).astype(np.uint8)
