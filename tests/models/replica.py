"""A stand-in for TreeMTL's models: their names of tensors, layout, file. Written from what the files hold.

Its networks exist in two forms: a ResNet34 of modules, and chains of operations, here of ResNet34 and MobileNetV2.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
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
        self.T, self.B, self.state = tasks, len(state) if isinstance(state, list) else 0, state
        self.num_cut, self.flops, self.metric_list = 0, 0, None
        self.score: Any = None


class Node(nn.Module):
    """One operation."""

    def __init__(self, operation: nn.Module) -> None:
        super().__init__()
        self.basicOp = operation


class Operations(nn.Module):
    """One copy of a layer as a list of operations: those of a shortcut first, a sum and what follows it last."""

    def __init__(self, main: list[nn.Module], shortcut: Sequence[nn.Module] | None = None, relu: bool = False) -> None:
        super().__init__()
        self.main, self.shortcut, self.relu = len(main), None if shortcut is None else len(shortcut), relu
        after = [] if shortcut is None else [nn.Identity()]  # their sum is an operation without tensors
        operations = [*(shortcut or ()), *main, *after, *([nn.ReLU()] if relu else [])]
        self.compute_nodes = nn.ModuleList(Node(operation) for operation in operations)

    def forward(self, x: Tensor) -> Tensor:
        first = self.shortcut or 0
        y = self._run(x, first, first + self.main)
        if self.shortcut is not None:
            y = self._run(x, 0, first) + y
        return F.relu(y) if self.relu else y

    def _run(self, x: Tensor, first: int, end: int) -> Tensor:
        for node in self.compute_nodes[first:end]:
            x = node.basicOp(x)
        return x


def _normalised(
    inputs: int, outputs: int, side: int, stride: int = 1, dilation: int = 1, groups: int = 1
) -> list[nn.Module]:
    padding = dilation * (side // 2)
    return [
        nn.Conv2d(inputs, outputs, side, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]


def resnet34(widths: Sequence[int]) -> list[Callable[[], nn.Module]]:
    """Its layers as operations."""

    def stem() -> nn.Module:
        return Operations([*_normalised(3, widths[0], 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1, ceil_mode=True)])

    def unit(inputs: int, width: int, stride: int, dilation: int) -> nn.Module:
        first = _normalised(inputs, width, 3, stride, dilation)
        second = _normalised(width, width, 3, 1, dilation)
        shortcut = _normalised(inputs, width, 1, stride) if stride != 1 or inputs != width else []
        return Operations([*first, nn.ReLU(), *second], shortcut, relu=True)

    return [stem, *(partial(unit, *_unit(number, widths)) for number in range(sum(COUNTS)))]


STAGES = ((24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
"""Width, number of units, stride of the first one; all expand six times."""


def mobilenet_v2() -> list[Callable[[], nn.Module]]:
    """Its layers as operations: each convolution that stands alone, each residual unit."""

    def alone(*convolution: int, relu: bool) -> nn.Module:
        inputs, outputs, side, stride, groups = convolution
        operations = _normalised(inputs, outputs, side, stride, groups=groups)
        return Operations([*operations, *([nn.ReLU()] if relu else [])])

    def residual(width: int) -> nn.Module:
        wide = 6 * width
        expand, depthwise = _normalised(width, wide, 1), _normalised(wide, wide, 3, groups=wide)
        return Operations([*expand, nn.ReLU(), *depthwise, nn.ReLU(), *_normalised(wide, width, 1)], [])

    layers: list[Callable[[], nn.Module]] = [
        partial(alone, 3, 32, 3, 2, 1, relu=True),
        partial(alone, 32, 32, 3, 1, 32, relu=True),
        partial(alone, 32, 16, 1, 1, 1, relu=False),
    ]
    inputs = 16
    for width, units, stride in STAGES:
        wide = 6 * inputs
        layers += [
            partial(alone, inputs, wide, 1, 1, 1, relu=True),
            partial(alone, wide, wide, 3, stride, wide, relu=True),
            partial(alone, wide, width, 1, 1, 1, relu=False),
            *[partial(residual, width)] * (units - 1),
        ]
        inputs = width
    return [*layers, partial(alone, inputs, 1280, 1, 1, 1, relu=True)]


class Backbone(nn.Module):
    """All copies of all layers in one list."""

    def __init__(self, layout: Layout, layers: Sequence[Callable[[], nn.Module]]) -> None:
        super().__init__()
        pairs = zip(layers, layout.state, strict=True)
        self.mtl_blocks = nn.ModuleList(layer() for layer, groups in pairs for _ in groups)


def modules(widths: Sequence[int]) -> list[Callable[[], nn.Module]]:
    """The layers of a ResNet34 as modules."""
    return [partial(Copy, number, widths) for number in range(1 + sum(COUNTS))]


class Replica(nn.Module):
    """Images in BGR, 0..255 minus the mean -> task of theirs -> prediction."""

    def __init__(
        self,
        layout: Layout,
        tasks: Mapping[str, int],
        layers: Sequence[Callable[[], nn.Module]],
        features: int = WIDTHS[-1],
        head_width: int = HEAD_WIDTH,
    ) -> None:
        super().__init__()
        self.layout, self.tasks = layout, tuple(tasks)
        self.backbone = Backbone(layout, layers)
        self.heads = nn.ModuleDict({task: Aspp(features, head_width, n) for task, n in tasks.items()})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        paths: list[Tensor] = [x] * len(self.tasks)
        copies = iter(self.backbone.mtl_blocks)
        for layer in self.layout.state:
            for group in layer:
                output = next(copies)(paths[min(group)])
                for task in group:
                    paths[task] = output
        return {task: self.heads[task](path) for task, path in zip(self.tasks, paths, strict=True)}


RESNET34, MOBILENET_V2 = (1, 3, 4, 6, 3), (7, 11, 5, 8, 1)
"""So many layers of theirs are a block of ours."""

Form = tuple[Sequence[int], Callable[[], list[Callable[[], nn.Module]]], int]
AS_MODULES: Form = (RESNET34, partial(modules, NARROW), NARROW[-1])
FORMS: dict[str, Form] = {
    "resnet34, modules": AS_MODULES,
    "resnet34, operations": (RESNET34, partial(resnet34, NARROW), NARROW[-1]),
    "mobilenet_v2, operations": (MOBILENET_V2, mobilenet_v2, 1280),
}
"""Layers of a block, how a layer is made, channels of the last one."""


def layered(blocks: Sequence[list[set[int]]], counts: Sequence[int] = RESNET34) -> list[list[set[int]]]:
    """Groups of our five blocks -> of their layers."""
    return [layer for layer, count in zip(blocks, counts, strict=True) for _ in range(count)]


def replica(
    blocks: Sequence[list[set[int]]], tasks: Sequence[str], seed: int = 0, form: Form = AS_MODULES, **channels: int
) -> Replica:
    """A narrow random model whose normalisations have seen something, in eval mode."""
    counts, layers, features = form
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        names = {task: (CHANNELS | channels)[task] for task in tasks}
        layout = Layout(len(tasks), layered(blocks, counts))
        model = Replica(layout, names, layers(), features, NARROW_HEAD).eval()
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
