"""Decode every file of a dataset and report all that is wrong with it, and what merely looks odd."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtlbench.data.base import ImageDataset
from mtlbench.data.batch import Sample
from mtlbench.data.files import Array
from mtlbench.data.listed import IMAGE, ListedDataset
from mtlbench.errors import DataError
from mtlbench.tasks import NORMALS

UNIT_TOLERANCE = 0.05


@dataclass(frozen=True)
class Problem:
    """A file that cannot be used, and why; where `file` is None, the problem says which."""

    file: Path | None
    problem: str


@dataclass(frozen=True)
class Note:
    """Something unusual that is no error; `file` is None where it concerns the whole dataset."""

    file: Path | None
    note: str


@dataclass(frozen=True)
class Verification:
    """What `verify` found.

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


def verify(dataset: ImageDataset, progress: Callable[[int, int], None] | None = None) -> Verification:
    """Decode every file of every image of `dataset` (of its first `limit` ones, where it has a limit).

    Args:
        dataset: any; of a `ListedDataset` every damaged file is reported, of others the first of an image.
        progress: called with (images done, images in all) after each image.
    """
    problems: list[Problem] = []
    notes = [Note(None, f"{what} left out: {why}") for what, why in dataset.skipped]
    files, shares, normals = 0, _Shares(), _Normals()
    for index in range(len(dataset)):
        try:
            sample, paths = dataset.sample(index), _named_files(dataset, index)
        except DataError as error:
            found = _problems(dataset, index, error)
            problems.extend(found)
            files += len(dataset.readers) if isinstance(dataset, ListedDataset) else len(found)
        else:
            files += len(paths)
            shares.add(sample)
            notes.extend(_odd_targets(dataset, sample, paths))
            if isinstance(dataset, ListedDataset):
                normals.add(dataset.stored_normals(index), paths.get(NORMALS, paths[IMAGE]))
        if progress is not None:
            progress(index + 1, len(dataset))
    notes.extend(normals.notes(dataset))
    return Verification(len(dataset), files, tuple(problems), tuple(notes), shares.invalid())


def _problems(dataset: ImageDataset, index: int, error: DataError) -> list[Problem]:
    if isinstance(dataset, ListedDataset):
        found = [Problem(file, text) for file, text in dataset.problems(index)]
        if found:
            return found
    return [Problem(None, str(error))]


def _named_files(dataset: ImageDataset, index: int) -> dict[str, Path]:
    """The files of an image by what they hold; those that the dataset has no name for by their own."""
    if isinstance(dataset, ListedDataset):
        return dataset.named_files(index)
    files = tuple(dataset.files(index)) or (dataset.root,)
    return {IMAGE: files[0], **{str(path): path for path in files[1:]}}


def _odd_targets(dataset: ImageDataset, sample: Sample, paths: Mapping[str, Path]) -> Iterator[Note]:
    """Targets without a valid pixel, and targets that are the same at every valid pixel."""
    for task in dataset.tasks:
        file = paths.get(task.name, paths[IMAGE])
        valid = sample.targets[task.name][:, sample.masks[task.name][0]]
        if valid.numel() == 0:
            yield Note(file, f"no valid pixel for {task.name}")
        elif bool((valid == valid[:, :1]).all()):
            yield Note(file, f"{task.name} is {valid[:, 0].tolist()} at every valid pixel")


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
    """Probes whether stored normals are unit vectors in the expected order of channels."""

    def __init__(self) -> None:
        self._sum, self._count = np.zeros(3), 0
        self._odd_lengths: list[Note] = []

    def add(self, vectors: Array, file: Path) -> None:
        if len(vectors) == 0:
            return
        self._sum += vectors.sum(axis=0, dtype=np.float64)
        self._count += len(vectors)
        length = float(np.median(np.linalg.norm(vectors, axis=1)))
        if abs(length - 1) > UNIT_TOLERANCE:
            self._odd_lengths.append(Note(file, f"normals have a median length of {length:.3f}; expected 1"))

    def notes(self, dataset: ImageDataset) -> Iterator[Note]:
        yield from self._odd_lengths
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
