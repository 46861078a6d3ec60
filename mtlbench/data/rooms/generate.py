"""Generate a whole dataset into a folder, which is there complete or not at all."""

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mtlbench.data.rooms.picture import SPLITS, render
from mtlbench.data.rooms.write import FORMS, Entries, Form
from mtlbench.errors import DataError, UsageError
from mtlbench.storage.bounded import read_json
from mtlbench.storage.claims import claimed
from mtlbench.storage.files import remove_leftovers, sync, temporary

VERSION = 1
"""Counts up whenever the same parameters give other files."""

MANIFEST = "rooms.json"
SMALLEST = 16
LARGEST = (480, 640)
TEST_SHARE = 13
"""One image in 13 is for testing: 200 of 2600."""

Progress = Callable[[int, int], None]
Parameters = dict[str, object]


def default_root(folder: Path, form: str, images: int, resolution: tuple[int, int] | int, seed: int) -> Path:
    """Where the dataset with these parameters belongs in `folder`."""
    wanted = _parameters(form, images, resolution, seed)
    height, width = _size(resolution)
    kind = "rooms" if form == "nyuv2" else "rooms5"
    return folder / f"{kind}-v{VERSION}-{images}x{height}x{width}-s{wanted['seed']}"


def split_sizes(images: int) -> dict[str, int]:
    """How many of `images` each split gets: one in 13, but at least one, for testing."""
    test = max(1, images // TEST_SHARE)
    return {"train": images - test, "test": test}


def make(
    root: Path,
    form: str,
    images: int,
    resolution: tuple[int, int] | int,
    seed: int,
    progress: Progress | None = None,
) -> None:
    """Generate rooms below `root`; do nothing if they are there already.

    Image i of a split depends on `seed`, split, i and resolution only. The files are written beside `root`
    and moved there at the end, so a killed run leaves nothing that looks like a dataset.

    Args:
        root: the dataset's folder.
        form: ``nyuv2`` (three tasks) or ``tiny_taxonomy`` (five tasks).
        images: training and test images together, at least 2.
        resolution: n for n x n pixels, or (height, width), from 16 x 16 to 480 x 640.
        seed: from 0 to 2**32 - 1.
        progress: called with (images done, images in all) after each image.

    Raises:
        UsageError: a parameter is out of range.
        DataError: `root` holds something else, or cannot be written.
        BusyError: another process is making it.
    """
    wanted = _parameters(form, images, resolution, seed)
    if _complete(root, wanted):
        return
    part = temporary(root)
    try:
        with claimed(root, f"generating {root.name}"):
            if _complete(root, wanted):  # by another process, before we had the claim
                return
            remove_leftovers(root.parent)
            try:
                part.mkdir()
                _fill(part, FORMS[form], split_sizes(images), _size(resolution), seed, progress)
                (part / MANIFEST).write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
                os.sync()  # thousands of small files: all at once, before the name says that they are there
                part.replace(root)
                sync(root.parent)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise DataError(f"{root}: cannot write the dataset: {error}") from error


def _fill(
    root: Path,
    form: Form,
    sizes: dict[str, int],
    resolution: tuple[int, int],
    seed: int,
    progress: Progress | None,
) -> None:
    entries: Entries = {split: [] for split in SPLITS}
    jobs = [(split, index) for split in SPLITS for index in range(sizes[split])]

    def write(job: tuple[str, int]) -> list[str]:
        return form.write(root, *job, render(seed, *job, *resolution))

    # NumPy lets threads run side by side only while it works on large arrays.
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


def _parameters(form: str, images: int, resolution: tuple[int, int] | int, seed: int) -> Parameters:
    """What the manifest records.

    Raises:
        UsageError: one of them is out of range.
    """
    if form not in FORMS:
        raise UsageError(f"form={form!r}: expected one of {', '.join(FORMS)}")
    if images < 2:
        raise UsageError(f"dataset.images={images}: expected at least 2, one to train and one to test")
    if not 0 <= seed < 2**32:
        raise UsageError(f"dataset.seed={seed}: expected 0 to {2**32 - 1}")
    return {
        "version": VERSION,
        "form": form,
        "images": images,
        "resolution": list(_size(resolution)),
        "seed": seed,
    }


def _size(resolution: tuple[int, int] | int) -> tuple[int, int]:
    """Height and width.

    Raises:
        UsageError: they are too small or too large.
    """
    height, width = (resolution, resolution) if isinstance(resolution, int) else resolution
    if not (SMALLEST <= height <= LARGEST[0] and SMALLEST <= width <= LARGEST[1]):
        raise UsageError(
            f"dataset.resolution={height}x{width}: expected height x width from {SMALLEST}x{SMALLEST} "
            f"to {LARGEST[0]}x{LARGEST[1]}"
        )
    return height, width


def _complete(root: Path, wanted: Parameters) -> bool:
    """Whether `root` holds the wanted dataset; an absent or empty folder is a no.

    Raises:
        DataError: it holds something else.
    """
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    manifest = root / MANIFEST
    try:
        found = read_json(manifest)
    except DataError as error:
        raise DataError(
            f"{root}: not a generated dataset ({error}); remove the folder or choose another dataset.root"
        ) from error
    if found != wanted:
        raise DataError(
            f"{manifest}: the folder holds rooms with {found}, not {wanted}; "
            "remove the folder or choose another dataset.root"
        )
    return True
