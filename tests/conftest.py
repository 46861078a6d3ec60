"""Fixtures that several test files share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden numbers and real samples, which lies outside the repository."""
    beside = Path(__file__).resolve().parents[1].parent / "shared"
    folder = Path(os.environ.get("MTLBENCH_SHARED", beside))
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}; MTLBENCH_SHARED names it")
    return folder
