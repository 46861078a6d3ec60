"""nyu_depth_v2_labeled.mat, the original NYUv2 of Silberman et al. (ECCV 2012): MATLAB v7.3, which is HDF5.

It holds images, in-painted depth and 894 classes; no normals, no 40 classes, and no split: the split is in splits.mat,
a separate file on the authors' page.
"""

from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from mtlbench.data.convert.result import Converted
from mtlbench.data.files import MAX_PIXELS
from mtlbench.data.write import new_folder, write_npy, write_png
from mtlbench.errors import DataError
from mtlbench.extras import library
from mtlbench.storage.bounded import read_bytes

PARTS = {"images": (4, "u1"), "depths": (3, "f4"), "labels": (3, "u2")}
"""Name -> axes and type, as HDF5 shows them: the axes of MATLAB reversed."""

SPLITS = {"train": "trainNdxs", "test": "testNdxs"}
SPLITS_FILE = "splits.mat"
MAX_SPLITS = 1_000_000
DESCRIPTION = """# nyu_depth_v2_labeled.mat: depth in metres. labels/ has the 894 classes, 0 = unlabelled; bits: 16
image: {file: "images/{id}.png"}
splits: {%s}
tasks:
  depth: {kind: depth, file: "depth/{id}.npy"}
"""


def convert_mat(source: Path, target: Path, progress: Callable[[int, int], None] | None) -> Converted:
    """Write images, depth and labels as separate files, and a description, see `to_folder`."""
    h5py = library("h5py", "mat", f"source={source}: a MATLAB v7.3 file")
    try:
        with h5py.File(source, "r") as file:
            parts = {name: _part(h5py, file, source, name) for name in PARTS}
            count = len(parts["images"])
            splits, notes = _splits(source.with_name(SPLITS_FILE), count)
            with new_folder(target) as folder:
                for index in range(count):
                    stem = f"{index + 1:04}"
                    write_png(folder / f"images/{stem}.png", parts["images"][index].transpose(2, 1, 0))
                    write_npy(folder / f"depth/{stem}.npy", np.ascontiguousarray(parts["depths"][index].T))
                    write_png(folder / f"labels/{stem}.png", np.ascontiguousarray(parts["labels"][index].T))
                    if progress is not None:
                        progress(index + 1, count)
                for split, numbers in splits.items():
                    (folder / f"{split}.txt").write_text("".join(f"{number:04}\n" for number in numbers))
                (folder / "nyu_depth_v2.yaml").write_text(
                    DESCRIPTION % ", ".join(f"{split}: {split}.txt" for split in splits)
                )
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise  # an error of writing, such as a full disk
        raise DataError(f"{source}: not a sound MATLAB v7.3 file ({error})") from error
    counts = {split: len(numbers) for split, numbers in splits.items()}
    options = {"describe": target / "nyu_depth_v2.yaml", "root": target}
    return Converted(counts, "folder", options, notes)


def _part(h5py: Any, file: Any, source: Path, name: str) -> Any:
    """An HDF5 dataset with the right shape and type, stored in the file itself."""
    if name not in file:
        raise DataError(f"{source}: no {name}; it has {', '.join(list(file)[:12]) or 'nothing'}")
    # HDF5 can refer to other files by path: an untrusted file must not choose which files are read.
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise DataError(f"{source}: {name} is a link; expected the values themselves")
    part = file[name]
    axes, kind = PARTS[name]
    if not isinstance(part, h5py.Dataset) or part.external or part.is_virtual:
        raise DataError(f"{source}: {name} is not stored in the file itself; expected an array")
    size = file["images"].shape
    right = (size[0], *size[2:]) if axes == 3 else (size[0], 3, *size[2:])
    if part.dtype != np.dtype(kind) or part.shape != right or len(part.shape) != axes:
        raise DataError(f"{source}: {name} is {part.dtype} {list(part.shape)}; expected {kind} {list(right)}")
    if np.prod(right[-2:]) > MAX_PIXELS:
        raise DataError(f"{source}: {name} is {list(right)}; expected at most {MAX_PIXELS} pixels an image")
    return part


def _splits(path: Path, count: int) -> tuple[dict[str, list[int]], list[str]]:
    """Image numbers from 1, by split; without a file of splits all are test images."""
    if not path.exists():
        return {"test": list(range(1, count + 1))}, [
            f"{path}: no such file, so all images are test images; the authors' splits.mat, beside the source, says "
            "which 795 are to train and which 654 to test"
        ]
    from scipy.io import loadmat

    try:
        found = loadmat(BytesIO(read_bytes(path, MAX_SPLITS)))
        splits = {split: _numbers(found[name].ravel(), count) for split, name in SPLITS.items()}
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise DataError(f"{path}: expected trainNdxs and testNdxs, numbers from 1 to {count} ({error})") from error
    if set(splits["train"]) & set(splits["test"]):
        raise DataError(f"{path}: images are in both splits; expected each in one")
    return splits, []


def _numbers(values: Iterable[Any], count: int) -> list[int]:
    numbers = [int(value) for value in values]
    if not numbers or min(numbers) < 1 or max(numbers) > count or len(set(numbers)) < len(numbers):
        raise ValueError(f"{len(numbers)} numbers, not each once from 1 to {count}")
    return numbers
