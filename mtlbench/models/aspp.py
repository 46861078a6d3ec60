"""The DeepLab head of AdaShare and TreeMTL: parallel dilated branches, summed."""

from collections.abc import Sequence

from torch import Tensor, nn

from mtlbench.models.backbone import Head

RATES = (6, 12, 18, 24)
WIDTH = 1024


class ASPP(Head):
    """Atrous spatial pyramid (Chen et al. 2017, arXiv 1606.00915, "LargeFOV" branches of three convolutions).

    Args:
        inputs: channels of the last block.
        channels: output channels.
        dropout: probability in training, after each hidden layer.
    """

    def __init__(self, inputs: int, channels: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(inputs, WIDTH, 3, padding=rate, dilation=rate),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Conv2d(WIDTH, WIDTH, 1),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Conv2d(WIDTH, channels, 1),
            )
            for rate in RATES
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """The last of `features` [B, inputs, h, w] -> [B, channels, h, w]."""
        first, *others = (branch(features[-1]) for branch in self.branches)
        return sum(others, start=first)
