"""DeepLab-ResNet34 in five blocks, the shape used by AdaShare, TreeMTL and arXiv 2305.12066, section 3.

Blocks: stem | 3 | 4 | 6 | 3 residual units, strides 1, 2, 1, 1 and dilations 1, 1, 2, 4, so that 321 x 321 images
give 41 x 41 predictions. The stem's pooling rounds sizes up, as in the reference: 224 x 224 images give 29 x 29.
`pretrained=true` starts the blocks from torchvision's ImageNet weights (a download).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from mtlbench.models.aspp import ASPP
from mtlbench.models.backbone import Backbone, Head, to_bgr_255
from mtlbench.models.pooled import PooledHead
from mtlbench.options import flag
from mtlbench.tasks import Task

UNITS = (3, 4, 6, 3)
WIDTHS = (64, 128, 256, 512)
STRIDES = (1, 2, 1, 1)
DILATIONS = (1, 1, 2, 4)
POOLED = 256
"""Width of the heads of tasks per image, which the paper has not."""


class BasicBlock(nn.Module):
    """ResNet's residual unit with dilation (He et al. 2016); names as in torchvision, so that its weights load."""

    folds = ((("conv1",), "bn1"), (("conv2",), "bn2"))

    def __init__(self, inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = (
            nn.Identity()
            if stride == 1 and inputs == outputs
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H / stride, W / stride]."""
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class DeepLabResNet34(Backbone):
    """The paper's main backbone.

    Args:
        pretrained: start from torchvision's ImageNet weights instead of random ones.
    """

    name, version = "deeplab_resnet34", 2
    folds = channels_last = True

    def __init__(self, pretrained: bool = False) -> None:
        self.pretrained = flag(pretrained, "model.pretrained")

    def version_at(self, size: tuple[int, int]) -> int:
        """Version 1 rounded down in the stem's pooling, which is the same unless a side is 0 or 3 modulo 4.

        So results and trained models of 321 x 321, NYUv2's size in the paper, stay those of version 1.
        """
        return self.version if any(side % 4 in (0, 3) for side in size) else 1

    def block(self, index: int) -> nn.Module:
        """The stem for index 0, then groups of residual units."""
        module = _stem() if index == 0 else _group(index - 1)
        if self.pretrained:
            _load_imagenet(module, index)
        return module

    def head(self, task: Task) -> Head:
        """An ASPP head on 512 channels; of a task per image a `PooledHead`."""
        if task.per_image:
            return PooledHead(WIDTHS[-1], task.channels, POOLED)
        return ASPP(WIDTHS[-1], task.channels)


def _stem() -> nn.Sequential:
    pool = nn.MaxPool2d(3, 2, 1, ceil_mode=True)
    return nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), pool)


def _group(index: int) -> nn.Sequential:
    inputs = WIDTHS[max(index - 1, 0)]
    width, stride, dilation = WIDTHS[index], STRIDES[index], DILATIONS[index]
    first = BasicBlock(inputs, width, stride, dilation)
    return nn.Sequential(first, *(BasicBlock(width, width, 1, dilation) for _ in range(UNITS[index] - 1)))


def _load_imagenet(module: nn.Module, index: int) -> None:
    from torchvision.models import ResNet34_Weights, resnet34

    source = resnet34(weights=ResNet34_Weights.IMAGENET1K_V1)
    stem = nn.Sequential(source.conv1, source.bn1)
    part = stem if index == 0 else getattr(source, f"layer{index}")
    missing, unexpected = module.load_state_dict(part.state_dict(), strict=False)
    if missing or unexpected:
        raise AssertionError(f"ImageNet weights do not fit block {index}: {missing} {unexpected}")
    if index == 0:
        to_bgr_255(module[0])  # type: ignore[index]
