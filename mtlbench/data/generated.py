"""Generate a whole dataset into a folder, which is created atomically."""

import json
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Generic, TypeVar

from mtlbench.errors import DataError, UsageError
from mtlbench.storage.bounded import read_json
from mtlbench.storage.claims import claimed
from mtlbench.storage.files import remove_leftovers, sync, temporary

SPLITS = ("train", "test")
SMALLEST = 16
LARGEST = (480, 640)
TEST_SHARE = 13
"""One image in 13 is for testing: 200 of 2600."""

Progress = Callable[[int, int], None]
Parameters = dict[str, object]
Entries = dict[str, list[list[str]]]
"""Split -> the entry of each image in the dataset's list."""

P = TypeVar("P")
"""An image with its targets."""


class Form(ABC, Generic[P]):
    """A generator of images and their on-disk format.

    A form writes one picture at a time and returns its entry of the list; at the end it writes the list.

    Attributes:
        name: in ``dataset.make.form``.
        folder: prefix of its folder's name.
        version: increment it whenever the same parameters give different files.
        manifest: the file that describes the content of the folder.
        counted: what it makes, as its number is called in configuration.
        sized: whether they are images, which have a height and a width.
    """

    name: str
    folder: str
    version: int
    manifest: str
    counted: str = "images"
    sized: bool = True

    @abstractmethod
    def render(self, seed: int, split: str, index: int, height: int, width: int) -> P:
        """Picture `index` of `split`, a pure function of the arguments."""

    @abstractmethod
    def write(self, root: Path, split: str, index: int, picture: P) -> list[str]:
        """Write the files of one picture; return its entry of the list."""

    @abstractmethod
    def finish(self, root: Path, entries: Entries) -> None:
        """Write the list of all pictures and the other files of the dataset."""


def default_root(folder: Path, form: Form[Any], images: int, resolution: tuple[int, int] | int, seed: int) -> Path:
    """The path in `folder` of the dataset with these parameters."""
    wanted = _parameters(form, images, resolution, seed)
    size = "".join(f"x{side}" for side in _size(form, resolution)) if form.sized else ""
    return folder / f"{form.folder}-v{form.version}-{images}{size}-s{wanted['seed']}"


def split_sizes(images: int) -> dict[str, int]:
    """How many of `images` each split gets: one in 13, but at least one, for testing."""
    test = max(1, images // TEST_SHARE)
    return {"train": images - test, "test": test}


def make(
    root: Path,
    form: Form[Any],
    images: int,
    resolution: tuple[int, int] | int,
    seed: int,
    progress: Progress | None = None,
) -> None:
    """Generate a dataset below `root`; do nothing if it exists.

    Image i of a split depends on `seed`, split, i and resolution only. The files are written beside `root`
    and moved there at the end, so a killed run leaves nothing that looks like a dataset.

    Args:
        root: the dataset's folder.
        form: what to generate.
        images: training and test images together, at least 2.
        resolution: n for n x n pixels, or (height, width), from 16 x 16 to 480 x 640; of images only.
        seed: from 0 to 2**32 - 1.
        progress: called with (images done, images in all) after each image.

    Raises:
        UsageError: a parameter is out of range.
        DataError: `root` holds something else, or cannot be written.
        BusyError: another process is making it.
    """
    wanted = _parameters(form, images, resolution, seed)
    if _complete(root, form, wanted):
        return
    part = temporary(root)
    try:
        with claimed(root, f"generating {root.name}"):
            if _complete(root, form, wanted):  # by another process, before this one held the claim
                return
            remove_leftovers(root.parent)
            try:
                part.mkdir()
                _fill(part, form, split_sizes(images), _size(form, resolution), seed, progress)
                (part / form.manifest).write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
                os.sync()  # thousands of small files: sync all at once, before the rename
                part.replace(root)
                sync(root.parent)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise DataError(f"{root}: cannot write the dataset: {error}") from error


def _fill(
    root: Path,
    form: Form[Any],
    sizes: dict[str, int],
    resolution: tuple[int, int],
    seed: int,
    progress: Progress | None,
) -> None:
    entries: Entries = {split: [] for split in SPLITS}
    jobs = [(split, index) for split in SPLITS for index in range(sizes[split])]

    def write(job: tuple[str, int]) -> list[str]:
        return form.write(root, *job, form.render(seed, *job, *resolution))

    # NumPy releases the interpreter lock only while it works on large arrays.
    large = resolution[0] * resolution[1] > 128 * 128
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            written = pool.map(write, jobs) if large else map(write, jobs)
            for done, (job, entry) in enumerate(zip(jobs, written, strict=True), start=1):
                entries[job[0]].append(entry)
                if progress:
                    progress(done, len(jobs))
        finally:
            pool.shutdown(cancel_futures=True)
    form.finish(root, entries)


def _parameters(form: Form[Any], images: int, resolution: tuple[int, int] | int, seed: int) -> Parameters:
    """The parameters that the manifest records.

    Raises:
        UsageError: one of them is out of range.
    """
    if images < 2:
        raise UsageError(f"dataset.{form.counted}={images}: expected at least 2, one to train and one to test")
    if not 0 <= seed < 2**32:
        raise UsageError(f"dataset.seed={seed}: expected 0 to {2**32 - 1}")
    return {
        "version": form.version,
        "form": form.name,
        form.counted: images,
        **({"resolution": list(_size(form, resolution))} if form.sized else {}),
        "seed": seed,
    }


def _size(form: Form[Any], resolution: tuple[int, int] | int) -> tuple[int, int]:
    """Height and width; those of what is no image are of no interest.

    Raises:
        UsageError: they are too small or too large.
    """
    height, width = (resolution, resolution) if isinstance(resolution, int) else resolution
    if form.sized and not (SMALLEST <= height <= LARGEST[0] and SMALLEST <= width <= LARGEST[1]):
        raise UsageError(
            f"dataset.resolution={height}x{width}: expected height x width from {SMALLEST}x{SMALLEST} "
            f"to {LARGEST[0]}x{LARGEST[1]}"
        )
    return height, width


def _complete(root: Path, form: Form[Any], wanted: Parameters) -> bool:
    """Whether `root` holds the wanted dataset; false for an absent or empty folder.

    Raises:
        DataError: it holds something else.
    """
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    manifest = root / form.manifest
    try:
        found = read_json(manifest)
    except DataError as error:
        raise DataError(
            f"{root}: not a generated dataset ({error}); remove the folder or choose another dataset.root"
        ) from error
    if found != wanted:
        raise DataError(
            f"{manifest}: the folder holds {manifest.stem} with {found}, not {wanted}; "
            "remove the folder or choose another dataset.root"
        )
    return True
