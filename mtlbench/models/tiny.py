"""A small backbone for CPUs: a stem and four stages, output stride 4, trained on rooms in about a minute."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtlbench.models.activations import activation, activation_option
from mtlbench.models.backbone import Backbone, Head, conv_bn_relu
from mtlbench.models.pooled import PooledHead
from mtlbench.options import number
from mtlbench.tasks import Task

WIDTHS = (16, 16, 32, 48, 64)
STRIDES = (2, 1, 2, 1, 1)
DILATIONS = (1, 1, 1, 1, 2)
HEAD_WIDTH = 48


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, dilation: int = 1, act: str | None = None) -> None:
        super().__init__()
        self.main = nn.Sequential(
            conv_bn_relu(inputs, outputs, stride, dilation, act),
            nn.Conv2d(outputs, outputs, 3, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm2d(outputs),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H / stride, W / stride]."""
        found: Tensor = self.act(self.main(x) + self.shortcut(x))
        return found


class TinyHead(Head):
    """A local branch that also sees the blocks at stride 2 (keypoints need them), a global branch, a classifier."""

    folds = ((("local", "fine"), "norm"),)

    def __init__(self, channels: int, widths: Sequence[int], width: int, act: str | None = None) -> None:
        super().__init__()
        self.fine = nn.Conv2d(widths[0] + widths[1], width, 2, stride=2, bias=False)
        self.local = nn.Conv2d(widths[-1], width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.whole = nn.Linear(widths[-1], width)
        self.classify = nn.Conv2d(width, channels, 1)
        self.act = activation(act)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Features at strides 2, 2, 4, 4, 4 -> [B, channels, H / 4, W / 4]."""
        fine, last = torch.cat(list(features[:2]), 1), features[-1]
        fine = F.pad(fine, (0, fine.shape[-1] % 2, 0, fine.shape[-2] % 2))
        local = self.norm(self.local(last) + self.fine(fine))
        whole = self.whole(last.mean((2, 3)))
        found: Tensor = self.classify(self.act(local + whole[:, :, None, None]))
        return found


class Tiny(Backbone):
    """Widths 16, 16, 32, 48, 64. Source: none, it serves the embedded default.

    Args:
        width: factor on all widths; the number of parameters grows with its square.
        activation: between all layers, a name of `activations.ACTIVATIONS`.
    """

    name = "tiny"
    folds = channels_last = True

    def __init__(self, width: float = 1.0, activation: str | None = None) -> None:
        self.width = number(width, "model.width", "a factor from 0.1 to 10", 0.1, 10)
        self.activation = activation_option(activation)
        wide, bent = f"-x{width:g}" if width != 1 else "", f"-{self.activation}" if self.activation else ""
        self.name = f"tiny{wide}{bent}"  # in tables
        self.widths = [max(1, round(full * width)) for full in WIDTHS]
        self.head_width = max(1, round(HEAD_WIDTH * width))

    def block(self, index: int) -> nn.Module:
        """The stem for index 0, a residual stage otherwise."""
        if index == 0:
            return conv_bn_relu(3, self.widths[0], STRIDES[0], act=self.activation)
        inputs, outputs = self.widths[index - 1], self.widths[index]
        return Residual(inputs, outputs, STRIDES[index], DILATIONS[index], self.activation)

    def head(self, task: Task) -> Head:
        """A `TinyHead`; of a task per image a `PooledHead`."""
        if task.per_image:
            return PooledHead(self.widths[-1], task.channels, self.head_width, self.activation)
        return TinyHead(task.channels, self.widths, self.head_width, self.activation)
