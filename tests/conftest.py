"""Fixtures that every test may use."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the commands do, before anything imports torch


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference material: golden numbers and sample images; tests skip where it is absent."""
    folder = Path(os.environ.get("MTLBENCH_SHARED", Path(__file__).resolve().parents[1].parent / "shared"))
    if not (folder / "golden").is_dir():
        pytest.skip(f"no reference material at {folder} (set MTLBENCH_SHARED)")
    return folder


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """PyTorch on one thread: the golden numbers were made so, and small problems run faster."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
