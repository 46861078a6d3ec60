"""The output of the loaders: images in [0, 1], targets, explicit masks, names."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """B images with the targets of T tasks, all of the same height H and width W.

    Attributes:
        image: [B, 3, H, W] float32 RGB in [0, 1].
        targets: task name -> [B, c, H, W]; uint8 or int64 class ids with c = 1, float32 or uint8 otherwise.
        masks: task name -> [B, 1, H, W] bool, True for targets that are used in training and scoring.
        names: B names, unique within the split.
    """

    image: Tensor
    targets: dict[str, Tensor]
    masks: dict[str, Tensor]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, part: slice) -> "Batch":
        """Some consecutive images."""
        return Batch(
            self.image[part],
            {k: v[part] for k, v in self.targets.items()},
            {k: v[part] for k, v in self.masks.items()},
            self.names[part],
        )

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on `device`."""
        return replace(
            self,
            image=self.image.to(device, non_blocking=True),
            targets={k: v.to(device, non_blocking=True) for k, v in self.targets.items()},
            masks={k: v.to(device, non_blocking=True) for k, v in self.masks.items()},
        )


@dataclass(frozen=True)
class Sample:
    """One image of a `Batch`: the same fields without the batch dimension."""

    image: Tensor
    targets: dict[str, Tensor]
    masks: dict[str, Tensor]
    name: str


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples of equal size into a batch."""
    first = samples[0]
    return Batch(
        image=torch.stack([s.image for s in samples]),
        targets={k: torch.stack([s.targets[k] for s in samples]) for k in first.targets},
        masks={k: torch.stack([s.masks[k] for s in samples]) for k in first.masks},
        names=tuple(s.name for s in samples),
    )
