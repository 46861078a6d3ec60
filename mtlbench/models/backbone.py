"""What a backbone is: block builders and a head builder. The tree model decides how often each is built."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from mtlbench.identity import Identified
from mtlbench.models.activations import activation
from mtlbench.models.inputs import CONVENTIONS, Convention
from mtlbench.models.sharing import BLOCKS
from mtlbench.space import Form
from mtlbench.tasks import Task


class Head(nn.Module, ABC):
    """A task's own decoder: features of its path, one per block -> [B, channels, h, w]."""

    @abstractmethod
    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Decode the outputs of the blocks on the task's path, first block first."""


class Backbone(Identified, ABC):
    """A recipe for modules; it holds no weights itself.

    Attributes:
        blocks: number of blocks, and with it of sharing levels; five in all of ours.
        inputs: what the first block wants to see of the image.
        forms: the inputs that it can read, see `Space.form`.
        notes: lines for the user on what was found or chosen.
        folds: whether `inference` may fold batch normalisations: in its blocks and heads nothing but the next module
            reads what a module of an ``nn.Sequential`` returns, and ``folds`` of their classes, where it stands, names
            all other convolutions and the normalisation that alone reads their sum.
        channels_last: whether frozen blocks and heads are faster on maps with channels last, and right.
    """

    blocks: int = BLOCKS
    inputs: Convention = CONVENTIONS["bgr255-mean"]
    forms: tuple[Form, ...] = ("image",)
    notes: tuple[str, ...] = ()
    folds: bool = False
    channels_last: bool = False

    def version_at(self, size: tuple[int, int]) -> int:
        """Version of the results on images of `size` (height, width): 1 where later ones change nothing there."""
        return self.version

    def identity_at(self, size: tuple[int, int]) -> dict[str, Any]:
        """`identity` on images of `size`: what was computed or trained before a change that does not show stays."""
        version = self.version_at(size)
        same = {name: value for name, value in self.identity().items() if name != "version"}
        return same | ({"version": version} if version > 1 else {})

    @abstractmethod
    def block(self, index: int) -> nn.Module:
        """A fresh copy of block `index`, 0 taking the image, each next one the output of the one before."""

    def copies(self, numbers: Sequence[int]) -> list[list[nn.Module]]:
        """Of block i ``numbers[i]`` fresh copies; for who builds all blocks at once, and need not do so for each."""
        return [[self.block(index) for _ in range(number)] for index, number in enumerate(numbers)]

    @abstractmethod
    def head(self, task: Task) -> Head:
        """A fresh head for `task`, with ``task.channels`` outputs."""


def conv_bn_relu(
    inputs: int, outputs: int, stride: int = 1, dilation: int = 1, act: str | None = None
) -> nn.Sequential:
    """A 3x3 convolution that keeps the size (at stride 1), batch normalisation, ReLU or the activation named `act`."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=dilation, dilation=dilation, bias=False),
        nn.BatchNorm2d(outputs),
        activation(act),
    )


def to_bgr_255(first: nn.Conv2d) -> None:
    """Turn a first convolution trained on RGB of unit variance (ImageNet) into one for BGR on a 0..255 scale."""
    std = first.weight.new_tensor((0.229, 0.224, 0.225)) * 255
    first.weight.data.copy_((first.weight.data / std[None, :, None, None]).flip(1))
