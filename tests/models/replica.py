"""A stand-in for TreeMTL's ResNet34: its names of tensors, its layout, its file. Written from what the files hold."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (64, 128, 256, 512)
HEAD_WIDTH = 1024
NARROW, NARROW_HEAD = (64, 8, 16, 24), 8
"""Widths with which a test takes a second instead of ten."""

STRIDES, DILATIONS, COUNTS = (1, 2, 1, 1), (1, 1, 2, 4), (3, 4, 6, 3)
CHANNELS = {"segment_semantic": 40, "normal": 3, "depth_zbuffer": 1, "keypoints2d": 1, "edge_texture": 1}


class Stem(nn.Sequential):
    """Convolution, normalisation, ReLU, pooling that rounds up."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 64, 7, 2, 3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        )


class Main(nn.Module):
    """Two 3x3 convolutions."""

    def __init__(self, inputs: int, width: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, dilation, dilation, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))


class Unit(nn.Module):
    """Block, then shortcut: their order in the state."""

    def __init__(self, inputs: int, width: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.block = Main(inputs, width, stride, dilation)
        self.ds: nn.Module | None = None
        if stride != 1 or inputs != width:
            self.ds = nn.Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.block(x) + (x if self.ds is None else self.ds(x)))


class Copy(nn.Module):
    """One copy of a layer for a set of tasks."""

    def __init__(self, layer: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.residual_block = Stem() if layer == 0 else Unit(*_unit(layer - 1, widths))

    def forward(self, x: Tensor) -> Tensor:
        return self.residual_block(x)


def _unit(number: int, widths: Sequence[int]) -> tuple[int, int, int, int]:
    group = next(g for g in range(4) if number < sum(COUNTS[: g + 1]))
    if number == sum(COUNTS[:group]):
        return widths[max(group - 1, 0)], widths[group], STRIDES[group], DILATIONS[group]
    return widths[group], widths[group], 1, DILATIONS[group]


class Branch(nn.Module):
    """Three convolutions, the first one dilated."""

    def __init__(self, inputs: int, width: int, channels: int, rate: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, padding=rate, dilation=rate)
        self.conv2 = nn.Conv2d(width, width, 1)
        self.conv3 = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(F.relu(self.conv2(F.relu(self.conv1(x)))))


class Aspp(nn.Module):
    """Four branches, summed."""

    def __init__(self, inputs: int, width: int, channels: int) -> None:
        super().__init__()
        self.fc1, self.fc2, self.fc3, self.fc4 = (Branch(inputs, width, channels, rate) for rate in (6, 12, 18, 24))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc1(x) + self.fc2(x) + self.fc3(x) + self.fc4(x)


class Layout:
    """A plain instance, as theirs."""

    def __init__(self, tasks: int, state: Any) -> None:
        self.T, self.B, self.state = tasks, 17, state
        self.num_cut, self.flops, self.metric_list = 0, 0, None
        self.score: Any = None


class Backbone(nn.Module):
    """All copies of all layers in one list."""

    def __init__(self, layout: Layout, widths: Sequence[int]) -> None:
        super().__init__()
        layers = enumerate(layout.state)
        self.mtl_blocks = nn.ModuleList(Copy(number, widths) for number, layer in layers for _ in layer)


class Replica(nn.Module):
    """Images in BGR, 0..255 minus the mean -> task of theirs -> prediction."""

    def __init__(
        self,
        layout: Layout,
        tasks: Mapping[str, int],
        widths: Sequence[int] = WIDTHS,
        head_width: int = HEAD_WIDTH,
    ) -> None:
        super().__init__()
        self.layout, self.tasks = layout, tuple(tasks)
        self.backbone = Backbone(layout, widths)
        self.heads = nn.ModuleDict({task: Aspp(widths[-1], head_width, n) for task, n in tasks.items()})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        paths: list[Tensor] = [x] * len(self.tasks)
        copies = iter(self.backbone.mtl_blocks)
        for layer in self.layout.state:
            for group in layer:
                output = next(copies)(paths[min(group)])
                for task in group:
                    paths[task] = output
        return {task: self.heads[task](path) for task, path in zip(self.tasks, paths, strict=True)}


def layered(blocks: Sequence[list[set[int]]]) -> list[list[set[int]]]:
    """Groups of our five blocks -> of their seventeen layers."""
    return [layer for layer, count in zip(blocks, (1, *COUNTS), strict=True) for _ in range(count)]


def replica(blocks: Sequence[list[set[int]]], tasks: Sequence[str], seed: int = 0, **channels: int) -> Replica:
    """A narrow random model whose normalisations have seen something, in eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        names = {task: (CHANNELS | channels)[task] for task in tasks}
        model = Replica(Layout(len(tasks), layered(blocks)), names, NARROW, NARROW_HEAD).eval()
        for name, buffer in model.named_buffers():
            if buffer.dtype.is_floating_point:
                buffer.copy_(torch.rand_like(buffer) + (0.5 if name.endswith("var") else -0.5))
    return model


@contextmanager
def named(path: str, kind: type) -> Iterator[None]:
    """While a file is written, `kind` is importable as `path`, so that the file names it so."""
    module, _, name = path.rpartition(".")
    parts = module.split(".")
    parents = [".".join(parts[: i + 1]) for i in range(len(parts))]
    before = {parent: sys.modules.get(parent) for parent in parents}
    old = kind.__module__, kind.__qualname__, kind.__name__
    for parent in parents:
        sys.modules[parent] = ModuleType(parent)
    setattr(sys.modules[module], name, kind)
    kind.__module__, kind.__qualname__, kind.__name__ = module, name, name
    try:
        yield
    finally:
        kind.__module__, kind.__qualname__, kind.__name__ = old
        for parent, found in before.items():
            sys.modules.pop(parent)
            if found is not None:
                sys.modules[parent] = found


def save(model: Replica, path: Path, zipped: bool = True, **more: Any) -> Path:
    """The file that their trainer writes."""
    content = {"iter": 20000, "state_dict": model.state_dict(), "layout": model.layout}
    content |= {"optimizer": {}, "scheduler": {}, **more}
    with named("main.layout.Layout", Layout):
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path
