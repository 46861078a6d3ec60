"""MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381) in five blocks, feature width 1280, output stride 16.

torchvision builds the layers. The last downsampling is replaced by dilation, as usual in dense prediction
(DeepLab), so that 224 x 224 images give 14 x 14 predictions. Every block starts where the resolution or the
semantic level changes: stem and stride 4 | stride 8 | stride 16 | wider at stride 16 | dilated.
"""

from torch import nn
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

from mtlbench.models.aspp import ASPP
from mtlbench.models.backbone import Backbone, Head, to_bgr_255
from mtlbench.models.pooled import PooledHead
from mtlbench.options import flag
from mtlbench.tasks import Task

CUTS = (0, 4, 7, 11, 14, 19)
FEATURES = 1280
POOLED = 256
"""Width of the heads of tasks per image, which the paper has not."""


class MobileNetV2(Backbone):
    """The paper's second backbone.

    Args:
        pretrained: start from torchvision's ImageNet weights (a download) instead of random ones.
    """

    name = "mobilenet_v2"
    folds = channels_last = True

    def __init__(self, pretrained: bool = False) -> None:
        self.pretrained = flag(pretrained, "model.pretrained")

    def block(self, index: int) -> nn.Module:
        """Layers CUTS[index] to CUTS[index + 1] of a fresh network."""
        weights = MobileNet_V2_Weights.IMAGENET1K_V2 if self.pretrained else None
        layers = mobilenet_v2(weights=weights).features[CUTS[index] : CUTS[index + 1]]
        if index == 0 and self.pretrained:
            to_bgr_255(layers[0][0])
        if index == len(CUTS) - 2:
            _dilate(layers)
        return layers

    def head(self, task: Task) -> Head:
        """An ASPP head on 1280 channels; of a task per image a `PooledHead`."""
        if task.per_image:
            return PooledHead(FEATURES, task.channels, POOLED)
        return ASPP(FEATURES, task.channels)


def _dilate(layers: nn.Sequential) -> None:
    """Trade the block's stride for dilation in its depthwise convolutions (kernel 3, one group a channel)."""
    for module in layers.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1:
            module.stride, module.dilation, module.padding = (1, 1), (2, 2), (2, 2)
