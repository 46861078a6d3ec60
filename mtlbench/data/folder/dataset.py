"""A folder of files in any layout, given by a description."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtlbench.data.augment import Augment, View
from mtlbench.data.batch import Sample
from mtlbench.data.files import Array
from mtlbench.data.folder.decode import IGNORE, absent, read_image, read_target
from mtlbench.data.folder.description import (
    ATTRIBUTES,
    CLASSES,
    DEPTH,
    NORMALS,
    UNNAMED,
    Description,
    Target,
    read_description,
)
from mtlbench.data.folder.labels import Labels, from_folders, from_table
from mtlbench.data.folder.listing import Listing, list_images
from mtlbench.data.folder.places import Place
from mtlbench.data.folder.tasks import task_of
from mtlbench.data.listed import IMAGE, ListedDataset, channels_first, existing_root
from mtlbench.errors import UsageError
from mtlbench.tasks import Task, select


class FolderDataset(ListedDataset):
    """One split of a dataset described in yaml, see `mtlbench.data.folder`.

    Targets of maps: class ids uint8 with 255 = ignore; normals of unit length; depth and other numbers float32.
    Invalid values are masked and set to 0 (classes: 255). Targets of whole images are maps of one pixel: a class id
    int64 [1, 1, 1], numbers or attributes float32 [k, 1, 1], NaN for unknown attributes.

    Augmentation (`Augment`) divides depth by the scale, multiplies inverse depth by it, and negates the channel
    `mirror` (of normals the first one) when mirroring. Padding is black and masked.

    Args:
        root: the folder of the data.
        split: a name in the description.
        describe: a yaml file, the name of a ready description, or its content.
        resolution: height and width of a sample; bilinear for the image, nearest for targets.
        augment: augmentation of training images; None disables it.
        seed: of the augmentation.
        limit: keep the first so many images.
        name: as in conf/dataset; ``folder`` is replaced by the name of the description's file, to distinguish
            datasets.
        follow_links: symbolic links may lead out of the root.
        tasks: names of the described tasks that it has; None for all. `chosen` says which: ``-t3`` is the first three,
            ``-only_depth`` any others.

    Raises:
        UsageError: the description or another option is wrong.
        DataError: the folder, a list or a table is missing or malformed, or ids do not match.
    """

    def __init__(
        self,
        root: Path | str,
        split: str,
        describe: Any,
        resolution: Sequence[int] = (224, 224),
        augment: Augment | None = None,
        seed: int = 0,
        limit: int | None = None,
        name: str = UNNAMED,
        follow_links: bool = False,
        tasks: Sequence[str] | None = None,
    ) -> None:
        described = read_description(describe)
        self.description = _with(described, tasks)
        self.tasks = _tasks(self.description)
        self.chosen = _suffix(described.targets, self.description.targets)
        name = described.name if name == UNNAMED else name
        folder = existing_root(root, name)
        listing = list_images(self.description, split, folder, follow_links)
        self._maps = tuple(target for target in self.description.targets if not target.per_image)
        super().__init__(
            name=name,
            root=folder,
            split=split,
            listed_in=listing.source,
            entries=_entries(self._maps, self.description.image.place, listing, folder),
            names=listing.images,
            resolution=resolution,
            augment=augment,
            seed=seed,
            limit=limit,
            follow_links=follow_links,
        )
        source = self.description.source
        self.readers = (
            partial(read_image, image=self.description.image, source=source),
            *(partial(read_target, target=target, source=source) for target in self._maps),
        )
        self._labels = {t.name: self._whole(t) for t in self.description.targets if t.per_image}
        if any(target.kind == DEPTH and (target.unit or target.inverse) for target in self._maps):
            self.depth_stored_in = ""

    @classmethod
    def tasks_of(cls, options: Mapping[str, Any]) -> tuple[Task, ...]:
        """See `MultiTaskDataset.tasks_of`."""
        return _tasks(_with(read_description(options["describe"]), options.get("tasks")))

    @property
    def kinds(self) -> tuple[str, ...]:
        """The image, then one file for each task of maps."""
        return (IMAGE, *(target.name for target in self._maps))

    def sources(self, index: int) -> list[tuple[str, str, Callable[[Path], Array]]]:
        """Without optional files that are missing."""
        return [part for part in super().sources(index) if part[1]]

    def decode(self, index: int) -> list[Array]:
        """The arrays of image `index`, with missing files filled in as described; raises like the base class."""
        found = dict(zip([kind for kind, _, _ in self.sources(index)], super().decode(index), strict=True))
        size, source = found[IMAGE].shape[:2], self.description.source
        return [
            found[IMAGE],
            *(found[t.name] if t.name in found else absent(size, t, source) for t in self._maps),
        ]

    def assemble(self, arrays: Sequence[Array], view: View, name: str) -> Sample:
        """Apply `view` to the image and the maps, and add what is known of the whole image."""
        shown = view.image(arrays[0])
        image = np.divide(shown, 255, dtype=np.float32) if shown.dtype == np.uint8 else np.clip(shown, 0, 1)
        targets, masks = {}, {}
        for target, array in zip(self._maps, arrays[1:], strict=True):
            targets[target.name], masks[target.name] = _shown(target, array, view)
        for target in self.description.targets:
            if target.per_image:
                targets[target.name], masks[target.name] = _of_image(self._labels[target.name][name], target)
        order = [task.name for task in self.tasks]
        return Sample(
            input=channels_first(image),
            targets={task: targets[task] for task in order},
            masks={task: masks[task] for task in order},
            name=name,
        )

    def stored_normals(self, index: int) -> Array:
        """Valid vectors of the first task of normals, float32 [N, 3]."""
        for target in self._maps:
            file = self.named_files(index).get(target.name)
            if target.kind == NORMALS and file is not None:
                vectors = target.encoding.values(target.encoding.stored(file, 3)).reshape(-1, 3)
                return vectors[np.nan_to_num(vectors).any(axis=1)]
        return super().stored_normals(index)

    def values(self, index: int) -> list[object]:
        """What is known of the whole image `index`."""
        return [labels[self._names[index]].tolist() for labels in self._labels.values()]

    def settings(self) -> dict[str, object]:
        """The description without paths, resolution and augmentation."""
        tasks = {task.name: task.described() for task in self.tasks}
        return {"format": "folder", "description": self.description.settings(), "tasks": tasks, **super().settings()}

    def _whole(self, target: Target) -> Labels:
        source = self.description.source
        if target.table is None:
            return from_folders(target, self._names, [entry[0] for entry in self._entries], source)
        return from_table(target, self._names, self.root, source, self.follow_links)


def described_root(describe: Any) -> Path:
    """The root that a description names.

    Raises:
        UsageError: it names none.
    """
    description = read_description(describe)
    if description.root is None:
        raise UsageError(
            f"dataset.root=null, and {description.source} names no root: expected one of them, the folder of the data"
        )
    return description.root


def _with(description: Description, tasks: Sequence[str] | None) -> Description:
    """The description with these tasks alone."""
    names = [tasks] if isinstance(tasks, str) else tasks
    return replace(description, targets=select(description.targets, names, "dataset.tasks"))


def _tasks(description: Description) -> tuple[Task, ...]:
    return tuple(task_of(target, description.source) for target in description.targets)


def _suffix(described: Sequence[Target], chosen: Sequence[Target]) -> str:
    """What tells a dataset with some of the described tasks from the one with all."""
    if len(chosen) == len(described):
        return ""
    first = tuple(described[: len(chosen)]) == tuple(chosen)
    return f"-t{len(chosen)}" if first else f"-only_{'+'.join(target.name for target in chosen)}"


def _entries(maps: Sequence[Target], image: Place, listing: Listing, root: Path) -> list[tuple[str, ...]]:
    """Per image, relative paths; empty for a missing optional file."""
    entries = []
    for index in range(len(listing.images)):
        entry = [listing.path(image, index, root)]
        for target in maps:
            assert target.place is not None
            path = listing.path(target.place, index, root)
            there = target.missing is None or os.path.lexists(root / path)
            entry.append(path if there else "")
        entries.append(tuple(entry))
    return entries


def _shown(target: Target, array: Array, view: View) -> tuple[torch.Tensor, torch.Tensor]:
    """Target and mask of a map in a view."""
    if target.kind == CLASSES:
        classes = view.labels(array, IGNORE)
        return channels_first(classes), channels_first(classes != IGNORE)
    values = view.labels(array, np.nan)
    values = values.reshape(*values.shape[:2], -1)  # OpenCV drops the axis of a single channel
    if target.kind == DEPTH:
        values = values * np.float32(view.scale) if target.inverse else values / np.float32(view.scale)
    if view.mirrored and target.mirror is not None:
        values[..., target.mirror] *= -1
    valid = np.asarray(np.isfinite(values).all(axis=2))
    return channels_first(np.where(valid[..., None], values, np.float32(0))), channels_first(valid)


def _of_image(label: Array, target: Target) -> tuple[torch.Tensor, torch.Tensor]:
    """Target and mask of a whole image; of attributes some may be unknown."""
    values = torch.from_numpy(label)[:, None, None]
    if target.kind == CLASSES:
        return values.clamp_min(0), values >= 0
    known = ~values.isnan()
    if target.kind == ATTRIBUTES:
        return values, known.any(0, keepdim=True)
    return values.nan_to_num(0), known.all(0, keepdim=True)
