"""Saved images: clean and attacked images with their predictions, as floats, a few of each cell.

They are kept in ``outputs/images/<set>/<key>.safetensors``. A *set* is the result of one choice of images, so all
cells of a set show the same images; `key` is that of the cell. The file of a clean cell also holds targets and masks.
Nothing is derived from these files but pictures: they may be deleted at any time, and are no part of a cell.

Arrays, n images each: ``image`` [n, 3, H, W] float32; ``prediction/<task>`` [n, C, h, w], of class maps the ids
[n, 1, h, w]; of the clean cell ``target/<task>`` [n, c, H, W] and ``mask/<task>`` [n, 1, H, W].
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from mtlbench.errors import DataError
from mtlbench.storage.bounded import read_bytes
from mtlbench.storage.files import remove_leftovers, write_atomically
from mtlbench.storage.images_header import ABOUT, LENGTH, MAX_HEADER, REMEDY, SCHEMA, lacking, read_about

SUFFIX = ".safetensors"
MAX_BYTES = 2**32


@dataclass(frozen=True)
class SavedImages:
    """The images of one cell.

    Attributes:
        key: of the cell.
        about: JSON values: ``clean`` (key of the clean cell), ``names``, ``roles`` and ``ranks`` of the images, see
            `mtlbench.experiment.chosen`, ``tasks``, and what was measured on them.
        arrays: see the module.
    """

    key: str
    about: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]


class Images:
    """The folder of saved images.

    Args:
        folder: created on first use.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, chosen: str, key: str) -> Path:
        """The path of the images of cell `key` in the set `chosen`, existing or not."""
        return self.folder / chosen / f"{key}{SUFFIX}"

    def sets(self) -> dict[str, set[str]]:
        """Set -> keys of its cells."""
        found = {}
        for folder in sorted(self.folder.glob("[!.]*")):
            if keys := {path.stem for path in folder.glob(f"[!.]*{SUFFIX}")}:
                found[folder.name] = keys
        return found

    def save(self, chosen: str, saved: SavedImages) -> Path:
        """Write the images of a cell, atomically; the same images give the same bytes."""
        path = self.path(chosen, saved.key)
        about = {**saved.about, "schema": SCHEMA, "cell": saved.key, "sha256": _checksum(saved.arrays)}
        arrays = {name: np.ascontiguousarray(array) for name, array in sorted(saved.arrays.items())}
        write_atomically(path, save(arrays, {ABOUT: json.dumps(about, sort_keys=True, allow_nan=False)}))
        return path

    def about(self, chosen: str, key: str) -> Mapping[str, Any]:
        """What a file says of the images of a cell, without reading the images; raises like `load`."""
        path = self.path(chosen, key)
        try:
            with path.open("rb") as file:
                start = file.read(LENGTH)
                return read_about(start + file.read(min(int.from_bytes(start, "little"), MAX_HEADER)), path)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from error

    def load(self, chosen: str, key: str) -> SavedImages:
        """Read the images of a cell.

        Raises:
            DataError: the file is missing, damaged or of a newer version.
        """
        path = self.path(chosen, key)
        content = read_bytes(path, MAX_BYTES)
        about = read_about(content, path)
        try:
            arrays = load(content)
            intact = about["cell"] == key and about["sha256"] == _checksum(arrays)
            wrong = lacking(about, arrays)
        except (SafetensorError, LookupError, TypeError, ValueError) as error:
            raise DataError(f"{path}: not readable ({error}); {REMEDY}") from error
        if not intact:
            raise DataError(f"{path}: content does not match its checksum; {REMEDY}")
        if wrong:
            raise DataError(f"{path}: lacks {wrong}; {REMEDY}")
        return SavedImages(key, about, arrays)

    def add(self, others: "ImageSets") -> None:
        """Save the images of other sets that are not here."""
        for chosen, keys in others.sets().items():
            for key in sorted(keys):
                if not self.path(chosen, key).is_file():
                    self.save(chosen, others.load(chosen, key))

    def tidy(self) -> None:
        """Remove leftovers of killed runs."""
        for folder in self.folder.glob("[!.]*"):
            if folder.is_dir():
                remove_leftovers(folder)


class ImageSets(Protocol):
    """Sets of saved images, on disk (`Images`) or in memory (`KeptImages`)."""

    def sets(self) -> dict[str, set[str]]:
        """Set -> keys of its cells."""

    def about(self, chosen: str, key: str) -> Mapping[str, Any]:
        """What is said of the images of a cell."""

    def load(self, chosen: str, key: str) -> SavedImages:
        """The images of a cell."""


@dataclass(frozen=True)
class KeptImages:
    """One set of images in memory.

    Attributes:
        chosen: name of the set.
        cells: key of a cell -> its images.
    """

    chosen: str
    cells: Mapping[str, SavedImages]

    def sets(self) -> dict[str, set[str]]:
        """The set -> keys of its cells."""
        return {self.chosen: set(self.cells)}

    def about(self, chosen: str, key: str) -> Mapping[str, Any]:
        """What is said of the images of a cell."""
        return self.load(chosen, key).about

    def load(self, chosen: str, key: str) -> SavedImages:
        """The images of a cell."""
        return self.cells[key]


def set_name(keys: Iterable[str], number: int) -> str:
    """The name of the set of `number` images that are chosen from the results of the cells `keys`."""
    return hashlib.sha256(json.dumps([sorted(keys), number]).encode()).hexdigest()[:16]


def _checksum(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
