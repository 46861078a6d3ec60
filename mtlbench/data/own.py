"""Batches of the user's own loader, checked, with masks, cut into blocks of the engine's size."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from itertools import count
from typing import Any

import torch
from torch import Tensor

from mtlbench.data.batch import Batch, join
from mtlbench.data.validity import validity
from mtlbench.errors import DataError
from mtlbench.tasks import Task

FORMS = "(images, {task: target}) or {'image': images, task: target}"


class OwnImages:
    """The images and targets of a loader, which is read once, from the beginning to the end or to `limit`.

    Args:
        loader: yields ``(images, {task: target})``, ``{"image": images, task: target, ...}`` or a `Batch`; or is one
            of these. Images are [B, 3, H, W], float in [0, 1] or uint8. The key of a mask is ``<task>_mask``, that of
            image names ``name``; without them, masks follow from the task and names are positions.
        tasks: the tasks that need a target.
        limit: the maximum number of images; None takes all.
    """

    def __init__(self, loader: Any, tasks: Sequence[Task], limit: int | None = None) -> None:
        self.tasks, self.limit = tuple(tasks), limit
        once = isinstance(loader, (Mapping, Batch)) or (isinstance(loader, (tuple, list)) and _is_pair(loader))
        self._size = None if once else _images_of(loader)
        self._once = once
        self._batches = self._read(iter([loader]) if once else _iterator(loader))
        self._ahead: list[Batch] = []
        about = {task.name: task.described() for task in self.tasks}
        self._digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
        self.images = 0

    @property
    def expected(self) -> int:
        """The number of images, 0 if the loader does not provide it."""
        size = sum(map(len, self._ahead)) if self._once else self._size
        return 0 if size is None else size if self.limit is None else min(size, self.limit)

    @property
    def fingerprint(self) -> str:
        """Hash of the tasks and of all images, targets and masks that `blocks` yielded, in order."""
        return self._digest.hexdigest()

    def first(self, images: int) -> Batch:
        """The first images, at most this many and all of one size; `blocks` yields them again."""
        while sum(map(len, self._ahead)) < images:
            following = next(self._batches, None)
            if following is None:
                break
            self._ahead.append(following)
        if not self._ahead:
            raise DataError("loader: gives no images")
        size = self._ahead[0].input.shape[2:]
        return join([batch for batch in self._ahead if batch.input.shape[2:] == size])[:images]

    def blocks(self, size: int) -> Iterator[Batch]:
        """Batches of `size` images; smaller ones if the images' size changes, and at the end."""
        waiting: list[Batch] = []
        for batch in self._all():
            if waiting and waiting[0].input.shape[2:] != batch.input.shape[2:]:
                yield join(waiting)
                waiting = []
            whole = join([*waiting, batch])
            cut = len(whole) - len(whole) % size
            yield from (whole[start : start + size] for start in range(0, cut, size))
            waiting = [whole[cut:]] if cut < len(whole) else []
        if waiting:
            yield join(waiting)
        if not self.images:
            raise DataError("loader: gives no images")

    def _all(self) -> Iterator[Batch]:
        while self._ahead:
            yield self._count(self._ahead.pop(0))
        for batch in self._batches:
            yield self._count(batch)

    def _count(self, batch: Batch) -> Batch:
        self.images += len(batch)
        for image in range(len(batch)):
            self._digest.update(batch.names[image].encode())
            parts = [batch.input, *(kind[task.name] for task in self.tasks for kind in (batch.targets, batch.masks))]
            for part in parts:
                self._digest.update(f"{part.dtype}{list(part.shape[1:])}".encode())
                self._digest.update(part[image].contiguous().numpy().tobytes())
        return batch

    def _read(self, given: Iterator[Any]) -> Iterator[Batch]:
        start, names = 0, set[str]()
        for number in count():
            if self.limit is not None and start >= self.limit:
                return
            try:
                item = next(given)
            except StopIteration:
                return
            batch = as_batch(item, self.tasks, start, f"batch {number} of the loader")
            batch = batch if self.limit is None else batch[: self.limit - start]
            if repeated := [name for name in batch.names if name in names]:
                raise DataError(f"batch {number} of the loader: the name {repeated[0]!r} comes twice")
            names.update(batch.names)
            start += len(batch)
            yield batch


def as_batch(item: Any, tasks: Sequence[Task], start: int, where: str) -> Batch:
    """Convert the output of a loader to a `Batch` on the CPU.

    Args:
        item: see `OwnImages`.
        tasks: the tasks that need a target.
        start: number of the first image.
        where: begins every message.

    Raises:
        DataError: it has another structure, or values out of range.
    """
    if isinstance(item, Batch):
        for task in tasks:
            if task.name not in item.targets:
                raise DataError(f"{where}: no target for {task.name}, only {', '.join(map(repr, item.targets))}")
        return item.to("cpu")
    if _is_pair(item):
        image, rest = item
    elif isinstance(item, Mapping) and "image" in item:
        image, rest = item["image"], item
    else:
        raise DataError(f"{where}: {type(item).__name__}, expected {FORMS}")
    image = _image(image, where)
    targets, masks = {}, {}
    for task in tasks:
        if task.name not in rest:
            raise DataError(f"{where}: no target for {task.name}, only {', '.join(map(repr, rest))}")
        given = rest.get(f"{task.name}_mask")
        targets[task.name], masks[task.name] = _target(rest[task.name], given, task, len(image), where)
    names = rest.get("name")
    return Batch(image, targets, masks, _names(names, start, len(image), where))


def _is_pair(item: Any) -> bool:
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        return False
    return isinstance(item[0], Tensor) and isinstance(item[1], Mapping)


def _iterator(loader: Any) -> Iterator[Any]:
    if not isinstance(loader, Iterable):
        raise DataError(f"loader: a {type(loader).__name__}, expected something that gives {FORMS}")
    return iter(loader)


def _images_of(loader: Any) -> int | None:
    """Size of the split, if the loader knows it."""
    dataset = getattr(loader, "dataset", None)
    return len(dataset) if isinstance(dataset, Sized) else None


def _image(image: Any, where: str) -> Tensor:
    if not isinstance(image, Tensor) or image.ndim != 4 or image.shape[1] != 3:
        found = list(image.shape) if isinstance(image, Tensor) else type(image).__name__
        raise DataError(f"{where}: image {found}, expected a tensor [B, 3, H, W]; a Dataset needs a DataLoader")
    image = image.detach().cpu()
    if image.dtype == torch.uint8:
        return image.float() / 255
    if not image.dtype.is_floating_point:
        raise DataError(f"{where}: images of {image.dtype}, expected float in [0, 1] or uint8")
    image = image.float()
    low, high = float(image.min()), float(image.max())
    if not (low >= 0 and high <= 1):
        raise DataError(
            f"{where}: images hold values from {low:.3g} to {high:.3g}, expected RGB in [0, 1]; take Normalize out of "
            "the loader and say inputs='imagenet' or (mean, std), divide grey levels by 255"
        )
    return image


def _target(target: Any, mask: Any, task: Task, images: int, where: str) -> tuple[Tensor, Tensor]:
    """Target [B, c, H, W] and mask [B, 1, H, W] of a task."""
    name = f"{where}: {task.name}"
    if not isinstance(target, Tensor):
        raise DataError(f"{name}: a {type(target).__name__}, expected a tensor")
    target = _as_map(target.detach().cpu(), task, images, name)
    known = validity(task, target, name)
    if mask is not None:
        own = torch.as_tensor(mask).detach().cpu().bool()
        own = own.reshape(images, 1, *target.shape[2:]) if own.numel() == known.numel() else own
        if own.shape != known.shape:
            raise DataError(f"{name}_mask: {list(own.shape)}, expected {list(known.shape)}")
        known = known & own
    return _plain(target, task), known


def _plain(target: Tensor, task: Task) -> Tensor:
    """Class ids as integers, everything else as float32; non-finite values are masked and set to 0."""
    if task.holds == "classes":
        return target.nan_to_num(0).long() if target.dtype.is_floating_point else target.long()
    return target.float() if task.holds == "attributes" else target.float().nan_to_num(0, 0, 0)


def _as_map(target: Tensor, task: Task, images: int, name: str) -> Tensor:
    """Add the missing axes of [B, H, W], [B, c] and [B]."""
    shape, channels = list(target.shape), task.target_channels
    if task.per_image and target.ndim in (1, 2):
        target = target.reshape(*target.shape, *[1] * (4 - target.ndim))
    elif not task.per_image and target.ndim == 3 and channels == 1:
        target = target[:, None]
    if target.ndim != 4 or target.shape[:2] != (images, channels):
        size = ("",) if task.per_image else ("H", "W")
        expected = ", ".join(map(str, (images, channels, *size))).rstrip(", ")
        raise DataError(f"{name}: target {shape}, expected [{expected}]")
    return target


def _names(given: Any, start: int, images: int, where: str) -> tuple[str, ...]:
    if given is None:
        return tuple(str(number) for number in range(start, start + images))
    names = [given] if isinstance(given, str) else [str(name) for name in given]
    if len(names) != images:
        raise DataError(f"{where}: {len(names)} names for {images} images")
    return tuple(names)
