"""Numeric precision of a model's arithmetic. Losses and metrics always stay in float32 and float64."""

import torch

from mtlbench.errors import UsageError
from mtlbench.models.tree_model import TreeModel

PRECISIONS = ("fp32", "tf32", "bf16")


def check(precision: str) -> str:
    """`precision`, or a `UsageError`."""
    if precision not in PRECISIONS:
        raise UsageError(f"precision={precision}: expected {', '.join(PRECISIONS)}")
    return precision


def apply(model: TreeModel, precision: str, device: torch.device) -> None:
    """Make `model` compute in `precision` on `device`.

    ``fp32`` switches TF32 off, which PyTorch has on for convolutions; ``tf32`` switches it on (no effect on a CPU);
    ``bf16`` runs the model under autocast. GPUs get channels-last weights, which their convolutions prefer.
    """
    mode = "tf32" if precision == "tf32" else "ieee"
    torch.backends.cuda.matmul.fp32_precision = mode
    torch.backends.cudnn.conv.fp32_precision = mode  # type: ignore[attr-defined]
    model.autocast = torch.bfloat16 if precision == "bf16" else None
    if device.type == "cuda":
        model.to(memory_format=torch.channels_last)
