"""Where the tests of the engine compute and in which numbers: the same properties, on a CPU or on CUDA.

    MTLBENCH_TEST_DEVICE=cuda MTLBENCH_TEST_DTYPE=float64 ./scripts/test -m engine

What a test makes, it makes with ``**HERE`` or moves with ``.to(**HERE)``; random numbers are drawn on the CPU first,
so that they are the same everywhere. There is no default device: it would hide where the engine forgets one.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

DEVICE = torch.device(os.environ.get("MTLBENCH_TEST_DEVICE", "cpu"))
DTYPE: torch.dtype = {"float32": torch.float32, "float64": torch.float64}[
    os.environ.get("MTLBENCH_TEST_DTYPE", "float32")
]
HERE: dict[str, Any] = {"device": DEVICE, "dtype": DTYPE}
ON_CPU = DEVICE.type == "cpu"


def here(tensor: Tensor) -> Tensor:
    """The tensor on the device of the tests; floating-point numbers in their type."""
    return tensor.to(DEVICE, DTYPE if tensor.is_floating_point() else tensor.dtype)


@contextmanager
def as_asked() -> Iterator[None]:
    """One thread, as the golden numbers were made and small problems run faster; on CUDA IEEE float32, no TF32."""
    threads, matmul, cudnn = torch.get_num_threads(), torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.fp32_precision, cudnn.conv.fp32_precision, cudnn.deterministic  # type: ignore[attr-defined]
    torch.set_num_threads(1)
    matmul.fp32_precision = cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
    cudnn.deterministic = True
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        matmul.fp32_precision, cudnn.conv.fp32_precision, cudnn.deterministic = before  # type: ignore[attr-defined]


def assert_bits(found: Tensor, expected: Tensor) -> None:
    """Bit for bit on a CPU; other devices may add up in another order from run to run."""
    if ON_CPU:
        assert torch.equal(found, expected)
    else:
        torch.testing.assert_close(found, expected)
