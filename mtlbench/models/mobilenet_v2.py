"""MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381) in five blocks, feature width 1280, output stride 16.

torchvision builds the layers. The last downsampling is replaced by dilation, as usual in dense prediction
(DeepLab), so that 224 x 224 images give 14 x 14 predictions. Every block starts where the resolution or the
semantic level changes: stem and stride 4 | stride 8 | stride 16 | wider at stride 16 | dilated.

TreeMTL (arXiv 2203.05092) has another form, here for its checkpoints (`treemtl.py`): ReLU instead of ReLU6, output
stride 32 without dilation, so that 224 x 224 images give 7 x 7, and these blocks: stem and stride 4 | strides 8 and
16 | wider at stride 16 | stride 32 | the last 1x1 convolution.
"""

from torch import nn
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

from mtlbench.models.aspp import ASPP
from mtlbench.models.backbone import Backbone, Head, to_bgr_255
from mtlbench.models.pooled import PooledHead
from mtlbench.options import flag
from mtlbench.tasks import Task

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
    cuts = (0, 4, 7, 11, 14, 19)
    """torchvision's layers cuts[b] to cuts[b + 1] are block b."""

    def __init__(self, pretrained: bool = False) -> None:
        self.pretrained = flag(pretrained, "model.pretrained")

    def block(self, index: int) -> nn.Module:
        """Its layers of a fresh network."""
        layers = self._layers(index)
        if index == len(self.cuts) - 2:
            _dilate(layers)
        return layers

    def _layers(self, index: int) -> nn.Sequential:
        """The layers of block `index` as torchvision makes them."""
        weights = MobileNet_V2_Weights.IMAGENET1K_V2 if self.pretrained else None
        layers = mobilenet_v2(weights=weights).features[self.cuts[index] : self.cuts[index + 1]]
        if index == 0 and self.pretrained:
            to_bgr_255(layers[0][0])
        return layers

    def head(self, task: Task) -> Head:
        """An ASPP head on 1280 channels; of a task per image a `PooledHead`."""
        if task.per_image:
            return PooledHead(FEATURES, task.channels, POOLED)
        return ASPP(FEATURES, task.channels)


class TreeMTLMobileNetV2(MobileNetV2):
    """TreeMTL's form of it."""

    name = "mobilenet_v2_treemtl"
    cuts = (0, 4, 11, 14, 18, 19)

    def block(self, index: int) -> nn.Module:
        """Its layers of a fresh network, with ReLU."""
        layers = self._layers(index)
        for parent in list(layers.modules()):
            for name, module in list(parent.named_children()):
                if isinstance(module, nn.ReLU6):
                    setattr(parent, name, nn.ReLU())
        return layers


def _dilate(layers: nn.Sequential) -> None:
    """Trade the block's stride for dilation in its depthwise convolutions (kernel 3, one group a channel)."""
    for module in layers.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1:
            module.stride, module.dilation, module.padding = (1, 1), (2, 2), (2, 2)
