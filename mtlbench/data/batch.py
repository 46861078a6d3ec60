"""The output of the loaders: inputs, targets, explicit masks, names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from mtlbench.data.substitutes import Substitutes
from mtlbench.space import IMAGES, Space

Starts = dict[str, dict[str, Tensor]]
"""Kind of start (`constants.NEAREST_OTHER`, ...) -> task name -> a point that a run of an attack begins on the way to,
of the shape of the inputs; it may lie outside of ball and box."""


@dataclass(frozen=True)
class Batch:
    """B inputs of one shape with the targets of T tasks. H and W are those of images; what is no image has 1 x 1.

    Attributes:
        input: [B, ...]; images are [B, 3, H, W] float32 RGB in [0, 1].
        targets: task name -> [B, c, H, W]; uint8 or int64 class ids with c = 1, float32 or uint8 otherwise. Tasks of
            words have one a row, [B, c, M, 1].
        masks: task name -> [B, 1, H, W] bool, True for targets that are used in training and scoring.
        names: B names, unique within the split.
        movable: bool of the shape of `input`, True for values that an attack may move; None = all of them.
        space: what the inputs are.
        substitutes: of sentences, which words may be replaced by which.
        starts: points of the shape of `input` where an attack may start beside it; empty without any.
    """

    input: Tensor
    targets: dict[str, Tensor]
    masks: dict[str, Tensor]
    names: tuple[str, ...]
    movable: Tensor | None = None
    space: Space = IMAGES
    substitutes: Substitutes | None = None
    starts: Starts = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, part: slice | Sequence[int]) -> "Batch":
        """Some of the inputs."""
        rows = part if isinstance(part, slice) else list(part)
        names = self.names[rows] if isinstance(rows, slice) else tuple(self.names[row] for row in rows)
        return replace(
            self,
            input=self.input[rows],
            targets={k: v[rows] for k, v in self.targets.items()},
            masks={k: v[rows] for k, v in self.masks.items()},
            names=names,
            movable=None if self.movable is None else self.movable[rows],
            substitutes=None if self.substitutes is None else self.substitutes[rows],
            starts=_each(self.starts, lambda points: points[rows]),
        )

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on `device`."""
        return replace(
            self,
            input=self.input.to(device, non_blocking=True),
            targets={k: v.to(device, non_blocking=True) for k, v in self.targets.items()},
            masks={k: v.to(device, non_blocking=True) for k, v in self.masks.items()},
            movable=None if self.movable is None else self.movable.to(device, non_blocking=True),
            substitutes=None if self.substitutes is None else self.substitutes.to(device),
            starts=_each(self.starts, lambda points: points.to(device, non_blocking=True)),
        )


@dataclass(frozen=True)
class Sample:
    """One input of a `Batch`: the same fields without the batch dimension."""

    input: Tensor
    targets: dict[str, Tensor]
    masks: dict[str, Tensor]
    name: str
    movable: Tensor | None = None
    space: Space = IMAGES
    substitutes: Substitutes | None = None
    starts: Starts = field(default_factory=dict)


def _each(starts: Starts, made: Callable[[Tensor], Tensor]) -> Starts:
    return {kind: {task: made(points) for task, points in one.items()} for kind, one in starts.items()}


def _together(several: Sequence[Starts], join: Callable[[list[Tensor]], Tensor]) -> Starts:
    """The starts of all inputs, which are of the same kinds."""
    return {
        kind: {task: join([one[kind][task] for one in several]) for task in points}
        for kind, points in several[0].items()
    }


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples of equal size into a batch."""
    first = samples[0]
    movable = [s.movable for s in samples if s.movable is not None]
    substitutes = [s.substitutes for s in samples if s.substitutes is not None]
    return Batch(
        input=torch.stack([s.input for s in samples]),
        targets={k: torch.stack([s.targets[k] for s in samples]) for k in first.targets},
        masks={k: torch.stack([s.masks[k] for s in samples]) for k in first.masks},
        names=tuple(s.name for s in samples),
        movable=torch.stack(movable) if movable else None,
        space=first.space,
        substitutes=Substitutes.stack(substitutes) if substitutes else None,
        starts=_together([s.starts for s in samples], torch.stack),
    )


def join(batches: Sequence[Batch]) -> Batch:
    """Concatenate batches of inputs of one shape."""
    first = batches[0]
    if len(batches) == 1:
        return first
    movable = [batch.movable for batch in batches if batch.movable is not None]
    substitutes = [batch.substitutes for batch in batches if batch.substitutes is not None]
    return replace(
        first,
        input=torch.cat([batch.input for batch in batches]),
        targets={name: torch.cat([batch.targets[name] for batch in batches]) for name in first.targets},
        masks={name: torch.cat([batch.masks[name] for batch in batches]) for name in first.masks},
        names=tuple(name for batch in batches for name in batch.names),
        movable=torch.cat(movable) if movable else None,
        substitutes=Substitutes.join(substitutes) if substitutes else None,
        starts=_together([batch.starts for batch in batches], torch.cat),
    )
