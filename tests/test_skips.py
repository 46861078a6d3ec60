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


GOLDEN, PACKAGE = ("golden", "no golden numbers"), ("package", "mtlbench_nowhere is not installed")


@pytest.mark.parametrize(
    ("ci", "shared", "failed"),
    [("", ".", []), ("1", "nowhere", [GOLDEN, PACKAGE]), ("1", ".", ["real_images", GOLDEN, PACKAGE])],
)
def test_a_skip_in_ci(tmp_path: Path, ci: str, shared: str, failed: list[tuple[str, str] | str]) -> None:
    """Where there is a folder of sample data, all of it must be there."""
    (tmp_path / "test_some.py").write_text(FILE)
    env = {"PYTHONPATH": str(ROOT), "MTLBENCH_CI": ci, "COLUMNS": "300", "MTLBENCH_SHARED": str(tmp_path / shared)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", "test_some.py"],
        cwd=tmp_path,
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"{4 - len(failed)} skipped" in done.stdout.splitlines()[-1], done.stdout
    assert done.returncode == (1 if failed else 0)
    images = f"real NYUv2 images, which may not be passed on with the project: not at {tmp_path}/data/nyuv2"
    named = [one if isinstance(one, tuple) else (one, f"{images} (set MTLBENCH_SHARED)") for one in failed]
    assert [line for line in done.stdout.splitlines() if line.startswith("FAILED")] == [
        f"FAILED test_some.py::test_{name} - skipped in CI: {reason} (tests/conftest.py, MAY_SKIP)"
        for name, reason in named
    ]


def test_ci_asks_for_it() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert any(line.split("#")[0].strip() == "export MTLBENCH_CI=1" for line in lines)
    assert lines[-1] == "exec ./scripts/test"
