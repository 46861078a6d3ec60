"""The losses that tasks are trained by, per image [B]: those of arXiv 2305.12066, section "setting", and two more."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlbench.engine.masked import class_nats, masked_mean, same_pixels
from mtlbench.engine.scale_free import binary
from mtlbench.tasks import Loss


def cross_entropy(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None) -> Tensor:
    """Cross-entropy in nats of logits [B, C, h, w] against class ids [B, 1, h, w], optionally weighted by class.

    The mean divides by the summed weights, as `torch.nn.CrossEntropyLoss` does for a batch of one image.
    """
    return masked_mean(*class_nats("cross_entropy", prediction, target, mask, class_weights))


def cosine(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """One minus the cosine, in [0, 2], between directions [B, 3, h, w] of any length."""
    # The cosine of vectors with one channel is only a sign.
    same_pixels("cosine", prediction, target, mask, channels=max(prediction.shape[1], 2))
    alike = F.cosine_similarity(prediction, torch.where(mask, target.to(prediction.dtype), 0), dim=1)
    return masked_mean(1 - alike, mask[:, 0].to(prediction.dtype))


def l1(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Absolute error in the unit of the target, both [B, C, h, w]; summed over channels, as its metric is."""
    same_pixels("l1", prediction, target, mask, channels=prediction.shape[1])
    error = (prediction - torch.where(mask, target.to(prediction.dtype), 0)).abs()
    error = error.squeeze(1) if error.shape[1] == 1 else error.sum(1)
    return masked_mean(error, mask[:, 0].to(prediction.dtype))


def l2(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Squared error in the squared unit of the target, both [B, C, h, w]; summed over channels."""
    same_pixels("l2", prediction, target, mask, channels=prediction.shape[1])
    error = (prediction - torch.where(mask, target.to(prediction.dtype), 0)).square().sum(1)
    return masked_mean(error, mask[:, 0].to(prediction.dtype))


def bce(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Binary cross-entropy in nats of logits [B, A, h, w]: the mean over the labels that are 0 or 1."""
    same_pixels("bce", prediction, target, mask, channels=prediction.shape[1])
    return binary(prediction, target, mask)


PLAIN: dict[str, Loss] = {"cross_entropy": cross_entropy, "cosine": cosine, "l1": l1, "l2": l2, "bce": bce}
