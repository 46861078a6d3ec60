"""Decode every file of a dataset and report all errors, and values that look suspicious."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from mtlbench.data.base import MultiTaskDataset
from mtlbench.data.batch import Sample
from mtlbench.data.files import Array
from mtlbench.data.listed import IMAGE, ListedDataset
from mtlbench.errors import DataError
from mtlbench.tasks import DEPTH, NORMALS

UNIT_TOLERANCE = 0.05
ZERO = 0.05
"""Stored normals shorter than this have no direction; rounding shortens a unit vector by less."""

INDOORS = (0.3, 20.0)
"""Plausible range of the median depth of an indoor dataset, in metres."""

OF_ONE_IMAGE = (0.03, 200.0)
"""The same for a single image, which may show a wall at close range."""

USUAL = 2.5
"""Metres: the median of NYUv2."""


@dataclass(frozen=True)
class Problem:
    """An unusable file and the reason; if `file` is None, the problem names it."""

    file: Path | None
    problem: str


@dataclass(frozen=True)
class Note:
    """Something unusual that is no error; `file` is None if it concerns the whole dataset."""

    file: Path | None
    note: str


@dataclass(frozen=True)
class Verification:
    """The result of `verify`.

    Attributes:
        images: images checked.
        files: files decoded, damaged ones included.
        problems: every damaged, missing or out-of-range file.
        notes: oddities.
        invalid_share: task name -> share of masked pixels over the readable images, 0..1; empty if none is.
    """

    images: int
    files: int
    problems: tuple[Problem, ...]
    notes: tuple[Note, ...]
    invalid_share: dict[str, float]

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.problems


def verify(dataset: MultiTaskDataset, progress: Callable[[int, int], None] | None = None) -> Verification:
    """Decode every file of every image of `dataset` (of its first `limit` ones, if it has a limit).

    Args:
        dataset: any dataset; for a `ListedDataset` every damaged file is reported, for others the first of each image.
        progress: called with (images done, images in all) after each image.
    """
    problems: list[Problem] = []
    notes = [Note(None, f"{what} left out: {why}") for what, why in dataset.skipped]
    files, shares, normals, depths = 0, _Shares(), _Normals(), _Depths()
    together = set[Path]()
    for index in range(len(dataset)):
        try:
            sample, paths = dataset.sample(index), _named_files(dataset, index)
        except DataError as error:
            found = _problems(dataset, index, error)
            problems.extend(found)
            files += len(dataset.readers) if isinstance(dataset, ListedDataset) else len(found)
        else:
            # All sentences of a split lie in the same files.
            files += len(paths) if dataset.space.form == "image" else len(set(paths.values()) - together)
            together |= set(paths.values())
            shares.add(sample)
            notes.extend(_odd_targets(dataset, sample, paths))
            if DEPTH in sample.targets and dataset.depth_stored_in:
                valid = sample.targets[DEPTH][sample.masks[DEPTH]]
                depths.add(dataset.metres(valid), paths.get(DEPTH, paths[IMAGE]))
            if isinstance(dataset, ListedDataset):
                normals.add(dataset.stored_normals(index), paths.get(NORMALS, paths[IMAGE]))
        if progress is not None:
            progress(index + 1, len(dataset))
    notes.extend(normals.notes(dataset))
    notes.extend(depths.notes(dataset))
    return Verification(len(dataset), files, tuple(problems), tuple(notes), shares.invalid())


def _problems(dataset: MultiTaskDataset, index: int, error: DataError) -> list[Problem]:
    if isinstance(dataset, ListedDataset):
        found = [Problem(file, text) for file, text in dataset.problems(index)]
        if found:
            return found
    return [Problem(None, str(error))]


def _named_files(dataset: MultiTaskDataset, index: int) -> dict[str, Path]:
    """The files of an image by kind; files without a kind by their own name."""
    if isinstance(dataset, ListedDataset):
        return dataset.named_files(index)
    files = tuple(dataset.files(index)) or (dataset.root,)
    return {IMAGE: files[0], **{str(path): path for path in files[1:]}}


def _odd_targets(dataset: MultiTaskDataset, sample: Sample, paths: Mapping[str, Path]) -> Iterator[Note]:
    """Notes on targets without a valid pixel and on constant targets."""
    for task in dataset.tasks:
        if _is_filled_in(dataset, task.name, paths):
            continue
        file = paths.get(task.name, paths[IMAGE])
        valid = sample.targets[task.name][:, sample.masks[task.name][0]]
        if valid.numel() == 0:
            yield Note(file, f"no valid pixel for {task.name}")
        elif dataset.space.form == "image" and not task.per_image and bool((valid == valid[:, :1]).all()):
            yield Note(file, f"{task.name} is {valid[:, 0].tolist()} at every valid pixel")


def _is_filled_in(dataset: MultiTaskDataset, task: str, paths: Mapping[str, Path]) -> bool:
    """Whether an image lacks the file of a task, so that its target was filled in as the dataset defines."""
    return isinstance(dataset, ListedDataset) and task in dataset.kinds and task not in paths


class _Shares:
    """Counts valid pixels of each task."""

    def __init__(self) -> None:
        self._valid: Counter[str] = Counter()
        self._all: Counter[str] = Counter()

    def add(self, sample: Sample) -> None:
        for task, mask in sample.masks.items():
            self._valid[task] += int(mask.sum())
            self._all[task] += mask.numel()

    def invalid(self) -> dict[str, float]:
        return {task: 1 - self._valid[task] / total for task, total in self._all.items()}


class _Normals:
    """Checks whether stored normals are non-zero unit vectors in the expected channel order."""

    def __init__(self) -> None:
        self._sum, self._count, self._zero, self._least = np.zeros(3), 0, 0, 0.0
        self._odd_lengths: list[Note] = []

    def add(self, vectors: Array, file: Path) -> None:
        lengths = np.linalg.norm(vectors, axis=1)
        directed = lengths >= ZERO
        self._zero += int((~directed).sum())
        if not directed.any():
            return
        self._sum += vectors[directed].sum(axis=0, dtype=np.float64)
        self._count += int(directed.sum())
        self._least = min(self._least, float(vectors[directed].min()))
        length = float(np.median(lengths[directed]))
        if abs(length - 1) > UNIT_TOLERANCE:
            self._odd_lengths.append(Note(file, f"normals have a median length of {length:.3f}; expected 1"))

    def notes(self, dataset: MultiTaskDataset) -> Iterator[Note]:
        yield from self._odd_lengths
        if self._count and self._least == 0:
            yield Note(None, "no normal has a negative component: are they stored uncentred, or as absolute values?")
        if self._zero and isinstance(dataset, ListedDataset):
            share = 100 * self._zero / (self._zero + self._count)
            zero = f"{share:.1f} % of the valid normals are zero vectors, which have no direction"
            yield Note(None, f"{zero}: {dataset.zero_normals}")
        axis = dataset.away_axis if isinstance(dataset, ListedDataset) else None
        if axis is None or not self._count:
            return
        mean = self._sum / self._count
        if mean[axis] > 0:
            yield Note(
                None,
                f"the mean normal is ({mean[0]:.2f}, {mean[1]:.2f}, {mean[2]:.2f}), but channel {axis} "
                "points away from the camera, so should be negative: are the channels in another order?",
            )


class _Depths:
    """Checks whether depth is in metres by its medians, because units differ only by a scale."""

    def __init__(self) -> None:
        self._medians: list[tuple[float, Path]] = []

    def add(self, metres: Tensor, file: Path) -> None:
        if metres.numel():
            self._medians.append((float(np.median(metres.numpy())), file))

    def notes(self, dataset: MultiTaskDataset) -> Iterator[Note]:
        if not self._medians:
            return
        median = float(np.median([value for value, _ in self._medians]))
        if not INDOORS[0] <= median <= INDOORS[1]:
            yield Note(None, _odd_depth(dataset, median))
            return
        for value, file in self._medians:
            if not OF_ONE_IMAGE[0] <= value <= OF_ONE_IMAGE[1]:
                yield Note(file, _odd_depth(dataset, value))


def _odd_depth(dataset: MultiTaskDataset, median: float) -> str:
    low, high = INDOORS
    if dataset.depth_stored_in != "metres":
        guess = f"stored in {dataset.depth_stored_in}"
    elif median < low:
        guess = "scaled to 0..1"
    else:
        units = {"centimetres": 100, "millimetres": 1000}
        guess = "in " + min(units, key=lambda unit: abs(math.log(median / units[unit] / USUAL)))
    return f"depth has a median of {median:.4g} metres; expected {low:g} to {high:g} indoors: is it {guess}?"
