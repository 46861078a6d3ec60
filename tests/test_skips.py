"""In CI no test is skipped for data or packages that are missing; what a machine may lack is listed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILE = """
import pytest
from tests.conftest import sample_data

def test_real_images():
    sample_data("nyuv2")

def test_golden():
    pytest.skip("no golden numbers")

def test_package():
    pytest.importorskip("mtlbench_nowhere", reason="mtlbench_nowhere is not installed")

@pytest.mark.skipif(True, reason="no CUDA device")
def test_gpu():
    raise AssertionError

@pytest.mark.xfail(strict=True)
def test_expected():
    raise AssertionError
"""


@pytest.mark.parametrize(("ci", "skipped", "failed"), [("", 4, 0), ("1", 2, 2)])
def test_a_skip_in_ci(tmp_path: Path, ci: str, skipped: int, failed: int) -> None:
    (tmp_path / "test_some.py").write_text(FILE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", "test_some.py"],
        cwd=tmp_path,
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "MTLBENCH_CI": ci, "COLUMNS": "200", "MTLBENCH_SHARED": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stdout.splitlines()[-1]
    assert f"{skipped} skipped" in last, done.stdout
    assert done.returncode == (1 if failed else 0)
    assert [line for line in done.stdout.splitlines() if line.startswith("FAILED")] == [
        f"FAILED test_some.py::{name} - skipped in CI: {reason} (tests/conftest.py, MAY_SKIP)"
        for name, reason in (
            ("test_golden", "no golden numbers"),
            ("test_package", "mtlbench_nowhere is not installed"),
        )[:failed]
    ]


def test_ci_asks_for_it() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert any(line.split("#")[0].strip() == "export MTLBENCH_CI=1" for line in lines)
    assert lines[-1] == "exec ./scripts/test"
