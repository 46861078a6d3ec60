"""Writing the files of a dataset: the same array always gives the same bytes."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from mtlbench.data.files import Array
from mtlbench.data.listed import contents
from mtlbench.errors import DataError
from mtlbench.storage.files import sync, temporary


def write_png(path: Path, image: Array) -> None:
    """Write [H, W] grey or [H, W, 3] RGB of 8 or 16 bits."""
    stored = np.ascontiguousarray(image[..., ::-1]) if image.ndim == 3 else image
    good, data = cv2.imencode(".png", stored, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not good:
        raise OSError(f"{path}: OpenCV could not encode an image of {image.dtype} {image.shape}")
    _ready(path).write_bytes(data.tobytes())


def write_npy(path: Path, array: Array) -> None:
    """Write an array in its own memory order."""
    np.save(_ready(path), array)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Context manager: a temporary folder that is renamed to `target` at the end, or removed after an error.

    Raises:
        DataError: `target` holds something.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        held = f"holds {contents(target)}" if target.is_dir() else "is a file"
        raise DataError(f"{target}: {held}; expected a new or an empty folder")
    beside = temporary(target)
    beside.mkdir(parents=True)
    try:
        yield beside
        sync(beside)
        if target.exists():
            target.rmdir()
        beside.rename(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _ready(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
