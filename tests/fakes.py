"""Small stand-ins: a dataset in memory, and the golden model on RGB images in [0, 1]."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mtlbench.attacks.attack import Attack
from mtlbench.data.base import MultiTaskDataset
from mtlbench.data.batch import Batch, Sample
from mtlbench.engine.clean_values import CleanValues
from mtlbench.engine.losses import TaskLosses
from mtlbench.models.backbone import Backbone, Head
from mtlbench.tasks import DEPTH, NORMALS, SEGMENTATION, Task, three_tasks
from tests.device import DEVICE, DTYPE, HERE
from tests.golden import BGR_MEAN, GoldenModel, golden_batches, golden_model, golden_tasks

MEAN = torch.tensor(BGR_MEAN, **HERE)[:, None, None]


class FakeDataset(MultiTaskDataset):
    """Random images with targets for three tasks; counts how often each one is decoded.

    Args:
        images: how many.
        size: height and width.
        empty: images whose depth has no valid pixel.
        classes: of the segmentation task; five of them occur.
        dtype: of images and targets.
    """

    name, split, root = "fake", "train", Path("/nowhere")

    def __init__(
        self,
        images: int = 7,
        size: tuple[int, int] = (24, 32),
        empty: Sequence[int] = (),
        dtype: torch.dtype = DTYPE,
        classes: int = 5,
    ) -> None:
        self.images, self.size, self.empty, self.dtype = images, size, tuple(empty), dtype
        self.tasks: tuple[Task, ...] = three_tasks(classes)
        self.decoded: Counter[int] = Counter()

    def __len__(self) -> int:
        return self.images

    def sample(self, index: int, draw: int | None = None) -> Sample:
        self.decoded[index] += 1
        random = torch.Generator().manual_seed(1000 * index + (0 if draw is None else draw + 1))

        def uniform(channels: int) -> Tensor:
            return torch.rand(channels, *self.size, generator=random).to(self.dtype)

        valid = uniform(3) > 0.2
        masks = dict(zip((SEGMENTATION, NORMALS, DEPTH), valid.split(1), strict=True))
        if index in self.empty:
            masks[DEPTH] = torch.zeros_like(masks[DEPTH])
        targets = {
            SEGMENTATION: (uniform(1) * 5).long(),
            NORMALS: uniform(3) * 2 - 1,
            DEPTH: uniform(1) * 3 + 0.1,
        }
        return Sample(uniform(3), targets, masks, f"image{index}")

    def files(self, index: int) -> Iterable[Path]:
        return ()

    def settings(self) -> dict[str, object]:
        return {"size": list(self.size)}


class _FirstHead(Head):
    """A 1x1 convolution on the last block."""

    def __init__(self, inputs: int, channels: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Dropout(dropout), nn.Conv2d(inputs, channels, 1))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        return self.layers(features[-1])


class Trivial(Backbone):
    """One small convolution a block.

    Args:
        dropout: in the heads, while training.
        width: channels of each block.
    """

    name = "trivial"

    def __init__(self, dropout: float = 0.0, width: int = 2) -> None:
        self.dropout, self.width = dropout, width

    def block(self, index: int) -> nn.Module:
        inputs = 3 if index == 0 else self.width
        return nn.Sequential(nn.Conv2d(inputs, self.width, 3, padding=1), nn.Tanh())

    def head(self, task: Task) -> Head:
        return _FirstHead(self.width, task.channels, self.dropout)


class RGBGolden:
    """The golden model of dataset `ds` and its batches, in the convention of `TreeModel`: RGB in [0, 1]."""

    def __init__(self, ds: str) -> None:
        self.model: GoldenModel = golden_model(ds)
        self.tasks = golden_tasks(ds)

        def batch(number: int, bgr: Tensor, targets: dict[str, Tensor], masks: dict[str, Tensor]) -> Batch:
            names = tuple(f"{number}/{i}" for i in range(len(bgr)))
            return Batch(((bgr + MEAN) / 255).flip(1).clamp(0, 1), targets, masks, names)

        self.batches = [batch(i, *raw) for i, raw in enumerate(golden_batches(ds))]

    def forward(self, image: Tensor, names: Sequence[str] | None = None) -> dict[str, Tensor]:
        predictions = self.model(image.flip(1) * 255 - MEAN.to(image))
        return {name: predictions[name] for name in names or predictions}

    def losses(self, batch: Batch, tasks: Sequence[Task] | None = None) -> TaskLosses:
        return TaskLosses(self.forward, self.tasks if tasks is None else tasks, batch.targets, batch.masks)

    def seen_by(self, attack: Attack, batch: Batch) -> TaskLosses:
        """What an attack climbs; metrics relative to their clean values on all batches."""
        return TaskLosses.seen_by(attack, self.forward, batch, self.clean_values)

    @cached_property
    def clean_values(self) -> CleanValues:
        model: Any = _Forward(self)
        return CleanValues(model, lambda: self.batches, DEVICE)


class _Forward(nn.Module):
    """The golden model as the engine calls models."""

    random = False

    def __init__(self, golden: RGBGolden) -> None:
        super().__init__()
        self.golden = golden

    def forward(self, image: Tensor, names: Sequence[str] | None = None) -> dict[str, Tensor]:
        return self.golden.forward(image, names)


def rows(batch: Batch, index: Sequence[int]) -> Batch:
    """Some images of a batch, in the order of `index`."""
    picked = list(index)
    return Batch(
        batch.input[picked],
        {name: target[picked] for name, target in batch.targets.items()},
        {name: mask[picked] for name, mask in batch.masks.items()},
        tuple(batch.names[i] for i in picked),
    )
