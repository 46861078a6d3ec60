"""Labels resized to a prediction, and masked means: the building blocks of every loss."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlbench.errors import DataError


def at_size(labels: Tensor, size: tuple[int, int]) -> Tensor:
    """Nearest-resample labels [B, c, H, W] of any dtype to [B, c, *size], sampling at floor(i * in / out)."""
    if labels.shape[-2:] == size:
        return labels
    rows, columns = (
        torch.arange(out, device=labels.device) * given // out
        for out, given in zip(size, labels.shape[-2:], strict=True)
    )
    return labels[..., rows[:, None], columns]


def masked_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Per-image weighted mean [B] of values [B, h, w]; 0 where the weights [B, h, w] of an image are all zero."""
    total = weights.sum((1, 2))
    return (values * weights).sum((1, 2)) / torch.where(total > 0, total, torch.ones_like(total))


def same_pixels(loss: str, prediction: Tensor, target: Tensor, mask: Tensor, channels: int) -> None:
    """Refuse a target without `channels` channels, and a target or mask of a different batch or image size."""
    images, size = len(prediction), prediction.shape[2:]
    if target.shape != (images, channels, *size) or mask.shape != (images, 1, *size):
        raise DataError(
            f"{loss}: prediction {list(prediction.shape)}, target {list(target.shape)}, mask {list(mask.shape)}; "
            f"expected a target {[images, channels, *size]} and a mask {[images, 1, *size]}"
        )


def valid_images(mask: Tensor) -> Tensor:
    """Which images of a mask [B, 1, h, w] have at least one valid pixel, [B] bool."""
    return mask.flatten(1).any(1)


def class_nats(
    loss: str, prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Cross-entropy in nats of each pixel [B, h, w], and the pixels' weights: 0 where ignored, else their class's."""
    same_pixels(loss, prediction, target, mask, channels=1)
    valid = mask[:, 0]
    ids = torch.where(valid, target[:, 0].long(), 0)
    nats = F.cross_entropy(prediction, ids, reduction="none")
    weights = valid.to(nats.dtype)
    return nats, weights if class_weights is None else weights * class_weights.to(nats)[ids]
