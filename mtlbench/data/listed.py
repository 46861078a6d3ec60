"""Base of the on-disk formats: a list of entries, each with the files of one image."""

import os
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtlbench.data.augment import Augment, View, squash
from mtlbench.data.base import MultiTaskDataset
from mtlbench.data.batch import Sample
from mtlbench.data.files import Array, check_relative, inside
from mtlbench.errors import DataError, MissingSplitError, UsageError
from mtlbench.options import flag
from mtlbench.storage.bounded import broken_link, read_json

Entry = tuple[str, ...]
IMAGE = "image"


class ListedDataset(MultiTaskDataset):
    """Images whose files are given by a list of paths relative to the root.

    A subclass sets `tasks` and `readers` and implements `assemble`.

    Args:
        name: as in conf/dataset.
        root: the folder of the dataset.
        split: the part of it.
        listed_in: the list file, or the folder that the list was built from; named in messages.
        entries: per image, relative paths of the files in the order of `kinds`.
        names: per image, a name unique within the split.
        resolution: height and width of every sample.
        augment: augmentation of training images; None disables it.
        seed: of the augmentation.
        limit: keep the first so many images; None keeps all.
        follow_links: symbolic links may lead out of the root. It changes no sample and no setting.

    Attributes:
        readers: per file of an entry, the function that decodes and checks it.
        away_axis: the component of a stored normal vector that points away from the camera, so that it is
            negative on visible surfaces; None if the format does not define it.
        zero_normals: the treatment of unmasked pixels whose stored normal is the zero vector.

    Raises:
        UsageError: an option is out of range.
        DataError: two images of the split would have the same name.
    """

    readers: tuple[Callable[[Path], Array], ...]
    away_axis: int | None = None
    zero_normals: str = "they are trained on and scored"

    def __init__(
        self,
        *,
        name: str,
        root: Path,
        split: str,
        listed_in: Path,
        entries: Sequence[Entry],
        names: Sequence[str],
        resolution: Sequence[int],
        augment: Augment | None,
        seed: int,
        limit: int | None,
        follow_links: bool = False,
    ) -> None:
        if len(resolution) != 2 or min(resolution) < 1:
            raise UsageError(f"dataset.resolution={list(resolution)}: expected height and width, both at least 1")
        if limit is not None and limit < 1:
            raise UsageError(f"limit={limit}: expected at least 1 image, or null for all")
        flag(follow_links, "dataset.follow_links")
        if seed < 0:
            raise UsageError(f"dataset.seed={seed}: expected 0 or more")
        repeated = [name for name, count in Counter(names).items() if count > 1]
        if repeated:
            raise DataError(f"{listed_in}: image names of split {split!r} occur more than once: {repeated[:3]}")
        self.name, self.root, self.split = name, root, split
        self.resolution = (int(resolution[0]), int(resolution[1]))
        self.augment, self.seed, self.follow_links = augment, seed, follow_links
        self._listed_in = listed_in
        self._listed = len(entries)
        self._entries, self._names = list(entries[:limit]), list(names[:limit])

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def listed(self) -> int:
        """Images of the whole split."""
        return self._listed

    @property
    def kinds(self) -> tuple[str, ...]:
        """What each file of an entry holds, in the order of the entries and of `readers`.

        The image, then one file per task; overridden if tasks share a file or the order differs.
        """
        return (IMAGE, *(task.name for task in self.tasks))

    def named_files(self, index: int) -> dict[str, Path]:
        """The files of image `index` by their `kinds`; raises as `files`."""
        return {kind: self._inside(relative) for kind, relative, _ in self.sources(index)}

    def files(self, index: int) -> tuple[Path, ...]:
        """Absolute paths of the files of image `index`, in the order of `kinds`.

        Raises:
            DataError: an entry leaves the root through a symbolic link that may not be followed.
        """
        return tuple(self._inside(relative) for _, relative, _ in self.sources(index))

    def sources(self, index: int) -> list[tuple[str, str, Callable[[Path], Array]]]:
        """Kind, relative path and reader of each file of image `index`, image first."""
        return list(zip(self.kinds, self._entry(index), self.readers, strict=True))

    def _inside(self, relative: str) -> Path:
        return inside(self.root, relative, self._listed_in, self.follow_links)

    def sample(self, index: int, draw: int | None = None) -> Sample:
        """Decode image `index`; see `MultiTaskDataset.sample`."""
        arrays = self.decode(index)
        if draw is None or self.augment is None:
            view = squash(self.resolution)
        else:
            view = self.augment.view(arrays[0].shape[:2], self.resolution, self.seed, index, draw)
        return self.assemble(arrays, view, self._names[index])

    def decode(self, index: int) -> list[Array]:
        """The checked arrays of image `index`, all of one height and width.

        Raises:
            DataError: a file is missing, damaged or out of range, or differs from the image in size.
        """
        files = self.files(index)
        arrays = [read(file) for (_, _, read), file in zip(self.sources(index), files, strict=True)]
        for file, array in zip(files, arrays, strict=True):
            if array.shape[:2] != arrays[0].shape[:2]:
                raise DataError(f"{file}: {_size(array)} pixels, but its image {files[0]} has {_size(arrays[0])}")
        return arrays

    @abstractmethod
    def assemble(self, arrays: Sequence[Array], view: View, name: str) -> Sample:
        """Apply `view` to the decoded arrays and return the sample."""

    def stored_normals(self, index: int) -> Array:
        """The unmasked normals of image `index`, as stored, before any normalisation: float32 [N, 3].

        They include unmasked zero vectors. None by default.
        """
        return np.empty((0, 3), np.float32)

    def problems(self, index: int) -> list[tuple[Path, str]]:
        """All problems with the files of image `index`: (file, problem) pairs."""
        found = []
        for _, relative, read in self.sources(index):
            try:
                read(self._inside(relative))
            except DataError as error:
                found.append((self.root / relative, str(error)))
        if not found:
            try:
                self.decode(index)
            except DataError as error:
                named = (self.root / relative for _, relative, _ in self.sources(index))
                file = next((file for file in named if str(error).startswith(f"{file}: ")), None)
                found.append((file or self.root / self._entry(index)[0], str(error)))
        return [(file, text.removeprefix(f"{file}: ")) for file, text in found]

    def settings(self) -> dict[str, object]:
        """Resolution, and the augmentation if there is one."""
        settings: dict[str, object] = {"resolution": list(self.resolution)}
        if self.augment is not None:
            settings |= {"augment": self.augment.settings(), "seed": self.seed}
        return settings

    def _entry(self, index: int) -> Entry:
        if not 0 <= index < len(self._entries):
            raise IndexError(f"image {index} of {len(self._entries)}")
        return self._entries[index]


def read_split(list_file: Path, split: str, width: int, follow_links: bool = False) -> list[Entry]:
    """Read one split of a JSON list file ``{"train": [[path, ...], ...], "test": ...}``.

    Args:
        list_file: the file, which lies in the dataset's root.
        split: the key.
        width: paths in an entry.
        follow_links: the list itself may be a symbolic link that leads out of the root.

    Returns:
        At least one entry of `width` relative paths, none of which may leave the root by its spelling.

    Raises:
        MissingSplitError: the split is not in it, or empty.
        DataError: unreadable, not of this structure, or with an unsafe path.
    """
    lists = read_json(inside(list_file.parent, list_file.name, list_file, follow_links))
    if not isinstance(lists, dict):
        raise DataError(f"{list_file}: holds a {type(lists).__name__}; expected an object with the splits as keys")
    entries = lists.get(split)
    if entries is None:
        raise MissingSplitError(f"{list_file}: no split {split!r}; it has {', '.join(map(repr, lists)) or 'none'}")
    if entries == []:
        raise MissingSplitError(f"{list_file}: split {split!r} is empty; expected a list of images")
    if not isinstance(entries, list):
        raise DataError(f"{list_file}: split {split!r} is {str(entries)[:40]}; expected a list of images")
    for number, entry in enumerate(entries):
        if not isinstance(entry, list) or len(entry) != width or not all(isinstance(p, str) for p in entry):
            raise DataError(
                f"{list_file}: entry {number} of {split!r} is {str(entry)[:120]}; expected {width} relative paths"
            )
        for relative in entry:
            check_relative(relative, list_file.parent, list_file)
    return [tuple(entry) for entry in entries]


def existing_root(root: Path | str, name: str) -> Path:
    """The dataset's folder, made absolute.

    Raises:
        DataError: there is no such folder.
    """
    path = Path(root).expanduser()
    if not path.is_dir():
        raise DataError(f"dataset.root={root}: no such folder; expected the folder of the {name} files")
    return path.resolve()


def files_by_image(folder: Path, suffix: str, end: str = ".") -> dict[str, str]:
    """Image -> file name, of the files in a folder with a suffix in lower or upper case.

    Hidden files are ignored: macOS leaves ``._a.png`` beside every ``a.png`` that it copies.

    Args:
        folder: a missing one counts as empty.
        suffix: in lower case, with its dot.
        end: what follows the name of the image; files without it are left out.

    Raises:
        DataError: two files belong to one image, or the folder is a broken symbolic link.
    """
    if not is_folder(folder):
        return {}
    found: dict[str, str] = {}
    with os.scandir(folder) as entries:  # a million files: half the time of a `Path` for each
        names = [entry.name for entry in entries]
    for name in names:
        image, ended, _ = name.partition(end) if end != "." else name.rpartition(end)
        if not ended or name.startswith(".") or not name.lower().endswith(suffix):
            continue
        if image in found:
            raise DataError(f"{folder}: both {found[image]} and {name} are the image {image}; expected one of them")
        found[image] = name
    return found


def is_folder(path: Path) -> bool:
    """Whether there is a folder.

    Raises:
        DataError: it is a broken symbolic link, which must not count as a missing folder.
    """
    if path.is_dir():
        return True
    problem = broken_link(path)
    if problem:
        raise DataError(f"{path}: {problem}")
    return False


def contents(folder: Path) -> str:
    """The first names in a folder, for messages."""
    names = sorted(child.name + "/" * child.is_dir() for child in folder.iterdir())
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") or "nothing"


def channels_first(array: Array) -> Tensor:
    """[H, W] or [H, W, C] to a tensor [C, H, W] (C = 1 for the former) of the same type."""
    if array.ndim == 2:
        array = array[..., None]
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))


def _size(array: Array) -> str:
    return f"{array.shape[0]}x{array.shape[1]}"
