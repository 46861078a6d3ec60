"""Statistics of vector predictions: the outputs of a regression, the attributes of an image.

As in `statistics`: no synchronisation with the device, masked values have no influence, a NaN prediction makes the
sums of its image NaN.
"""

import torch
from torch import Tensor

from mtlbench.errors import DataError


def known(target: Tensor, mask: Tensor) -> Tensor:
    """Mask of the known labels [B, A, H, W] of attributes: 0 or 1, and inside the mask [B, 1, H, W]."""
    return mask & ((target == 0) | (target == 1))


def error_sums(error: Tensor, target: Tensor, mask: Tensor, channels: int, _: Tensor | None) -> Tensor:
    """Count, absolute and squared error [B, 3] of absolute errors [B, k, H, W], over all outputs."""
    ones = mask.expand_as(error)
    return torch.stack([part.sum(1) for part in (_per_output(x, mask) for x in (ones, error, error.square()))], 1)


def variance_sums(prediction: Tensor, target: Tensor, mask: Tensor, channels: int, _: Tensor | None) -> Tensor:
    """[B, 4 k], see `layout.VARIANCE_BLOCKS`."""
    truth = target.double()
    square = (prediction.double() - truth).square()
    parts = (mask.expand_as(square), square, truth, truth.square())
    return torch.cat([_per_output(part, mask) for part in parts], 1)


def label_counts(logits: Tensor, target: Tensor, mask: Tensor, channels: int, _: Tensor | None) -> Tensor:
    """[B, 4 A], see `layout.LABEL_BLOCKS`; a logit above 0 predicts 1."""
    counts, truth, predicted = known(target, mask), target == 1, logits > 0
    blocks = (truth == predicted, truth & predicted, ~truth & predicted, truth & ~predicted)
    sums = torch.cat([(counts & block).sum((2, 3)).double() for block in blocks], 1)
    broken = (counts & logits.isnan()).flatten(1).any(1, keepdim=True)
    return torch.where(broken, torch.nan, sums)


def label_scores(logits: Tensor, target: Tensor, mask: Tensor, channels: int, _: Tensor | None) -> Tensor:
    """[B, 2 A], see `layout.SCORE_BLOCKS`; of one pixel an image."""
    if logits.shape[2:] != (1, 1):
        raise DataError(f"mean_ap and auroc are of labels per image; the prediction is {list(logits.shape)}")
    labels = torch.where(known(target, mask), target.double(), torch.nan)
    return torch.cat([logits.double(), labels], 1).flatten(1)


def _per_output(values: Tensor, mask: Tensor) -> Tensor:
    """[B, k] float64: the sums of each image and output under the mask; NaN instead of infinity."""
    sums = torch.where(mask, values, 0).sum((2, 3), dtype=torch.float64)
    return torch.where(sums.isinf(), torch.nan, sums)
