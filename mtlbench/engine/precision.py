"""Numeric precision of a model's arithmetic. Losses and metrics always stay in float32 and float64."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mtlbench.models.model import MultiTaskModel
from mtlbench.options import one_of

PRECISIONS = ("fp32", "tf32", "bf16")
FP32 = "fp32"


def check(precision: object, option: str = "precision") -> str:
    """`precision`, or a `UsageError` that names `option`."""
    return one_of(precision, option, PRECISIONS)


@contextmanager
def computing_in(precision: str, model: MultiTaskModel) -> Iterator[None]:
    """Context manager in which `model` computes in `precision`; restores the previous state.

    ``fp32`` switches TF32 off, which PyTorch has on for convolutions; ``tf32`` switches it on (no effect on a CPU);
    ``bf16`` runs the model under autocast. In ``fp32`` cuDNN times its kernels for each shape once and takes the
    fastest: what it guesses without a search can be 100 times slower (docs/results/gpu.md).
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = matmul.fp32_precision, cudnn.conv.fp32_precision, cudnn.benchmark, model.autocast  # type: ignore[attr-defined]
    matmul.fp32_precision = cudnn.conv.fp32_precision = "tf32" if precision == "tf32" else "ieee"  # type: ignore[attr-defined]
    cudnn.benchmark = precision == FP32
    model.autocast = torch.bfloat16 if precision == "bf16" else None
    try:
        yield
    finally:
        matmul.fp32_precision, cudnn.conv.fp32_precision, cudnn.benchmark, model.autocast = before  # type: ignore[attr-defined]


def in_identity(precision: str) -> dict[str, str]:
    """What an identity says of it: nothing for fp32, so that results of before there was a choice stay valid."""
    return {} if precision == FP32 else {"precision": precision}
