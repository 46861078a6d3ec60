"""scripts/gpu_check does all of its work on a CPU too, with tiny sizes: it shall not wait for a GPU to break."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import gpu_check

ROOT = Path(__file__).resolve().parents[1]
PRECISIONS = ("fp32", "tf32", "bf16")


def start(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / "gpu_check", *words],
        env=os.environ | {"PYTHON": sys.executable, "OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def rows(page: str, title: str) -> list[list[str]]:
    """Cells of the table below a title, without its head."""
    lines = page.split(f"## {title}")[1].split("## ")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")][2:]


def test_a_dry_run_does_everything_and_writes_its_page(tmp_path: Path) -> None:
    before = (ROOT / "docs" / "results").stat().st_mtime_ns
    done = start("--dry", "--to", tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["gpu.md"]
    assert (ROOT / "docs" / "results").stat().st_mtime_ns == before
    page = (tmp_path / "gpu.md").read_text()
    assert f"    scripts/gpu_check --dry --to {tmp_path}\n" in page
    for word in ("torch 2", "commit ", "A dry run on a CPU"):
        assert word in page
    assert " passed, " in page.split("## The engine's tests")[1].split("## ")[0]
    arps = rows(page, "ARP by precision")
    assert [row[0] for row in arps] == [f"{o} {s}, eps 8" for o in ("total", "dgba") for s in ("pgd", "apgd")]
    for _, fp32, tf32, bf16, *_ in arps:
        assert 0 < float(fp32) == float(tf32), "TF32 is no arithmetic of a CPU"
        assert float(bf16) > 0
    costs = rows(page, "Cost of a step")
    assert len(costs) == 2 * 4 * 4
    assert {tuple(row[:4]) for row in costs} == {
        (*shape, precision)
        for shape in (("24x24", "3", "2"), ("16x16", "5", "2"))
        for precision in (*PRECISIONS, "fp32, kernels searched")
    }
    assert all(float(number) > 0 for row in costs for number in row[5:])


def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    done = start("--to", tmp_path, CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 3
    assert done.stderr == "gpu_check: PyTorch sees no CUDA device; --dry --to FOLDER runs on a CPU\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dry"], "--dry: give --to FOLDER; docs/results is for measurements"),
        (["--wheels", "nowhere"], "--wheels nowhere: no such folder"),
    ],
)
def test_wrong_words(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        gpu_check.arguments(words)
    assert left.value.code == 2
    assert message in capsys.readouterr().err


def test_the_real_run_takes_every_test_of_the_engine() -> None:
    files = gpu_check.engine_files()
    assert gpu_check.REAL.tests == ()
    assert {"tests/attacks/test_attacks.py", "tests/engine/test_evaluate.py", "tests/engine/test_gpu.py"} <= set(files)
    known = {*gpu_check.FOR_TESTS, "torch", "numpy", "pandas", "mtlbench", "tests", *sys.stdlib_module_names}
    for file in files:
        text = (ROOT / file).read_text()
        assert set(re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE)) <= known, file


def test_tests_that_cannot_run_are_no_success(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gpu_check, "FOR_TESTS", {"mtlbench_nowhere": "nowhere-core", "torch": "torch"})
    assert gpu_check.missing() == ["nowhere-core"]
    found = gpu_check.engine_tests("cpu", gpu_check.DRY, gpu_check.Clock(1), tmp_path)
    assert found == (False, ["Not run: nowhere-core cannot be imported."])


def test_tests_that_take_too_long_are_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*command: object, **options: object) -> None:
        raise subprocess.TimeoutExpired("pytest", 264, b"....\n.F")

    monkeypatch.setattr(subprocess, "run", slow)
    passed, lines = gpu_check.engine_tests("cpu", gpu_check.DRY, gpu_check.Clock(480), tmp_path)
    assert not passed
    assert lines == ["Stopped after 264 s, before the end:", "", "```text", "....", ".F", "```"]


def test_what_no_time_is_left_for_is_told() -> None:
    """The floor is timed, so that it shows why."""
    table = gpu_check.timings("cpu", gpu_check.DRY, gpu_check.Clock(0))
    assert len(table) == 2 + 2 * 4 * 2
    assert all("| floor |" in line for line in table[2::2])
    assert all("| no time left for " in line for line in table[3::2])


def test_what_is_known_stays_when_the_rest_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def parts(*given: object) -> Iterator[tuple[str, bool, list[str]]]:
        yield "First", True, ["found"]
        raise RuntimeError("broken")

    monkeypatch.setattr(gpu_check, "sections", parts)
    with pytest.raises(RuntimeError, match="broken"):
        gpu_check.main(["--dry", "--to", str(tmp_path)])
    assert "\n## First\n\nfound\n" in (tmp_path / "gpu.md").read_text()
