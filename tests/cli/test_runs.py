"""Where an invocation keeps its log."""

import os
from pathlib import Path

import pytest

from mtlbench.cli.runs import RunFolder


def test_a_folder_that_may_be_written_is_used(tmp_path: Path) -> None:
    wanted = str(tmp_path / "outputs" / "runs" / "1")
    folder = RunFolder(only_reads=True)
    assert folder.choose(wanted) == wanted
    folder.end(0)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that says it may not be written to; permissions do not bind root, who may be running this."""
    real = os.access
    inside = lambda path: Path(path).is_relative_to(tmp_path)  # noqa: E731
    monkeypatch.setattr(os, "access", lambda path, mode: real(path, mode) and not (mode & os.W_OK and inside(path)))
    return tmp_path


@pytest.mark.parametrize("status", [0, 2, 3])
def test_a_temporary_folder_goes_again(read_only: Path, status: int) -> None:
    folder = RunFolder(only_reads=True)
    chosen = folder.choose(str(read_only / "outputs" / "runs" / "1"))
    assert Path(chosen).is_dir()
    assert folder.choose(str(read_only / "outputs" / "runs" / "1")) == chosen
    folder.end(status)
    assert not Path(chosen).exists()


def test_a_log_that_may_explain_a_failure_is_named(read_only: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder(only_reads=True)
    chosen = Path(folder.choose(str(read_only / "runs")))
    folder.end(1)
    assert chosen.is_dir()
    assert capsys.readouterr().err == f"mtlbench: the log of this run is in {chosen}\n"
    chosen.rmdir()


def test_a_command_that_writes_gets_no_other_folder(read_only: Path) -> None:
    wanted = str(read_only / "runs")
    assert RunFolder(only_reads=False).choose(wanted) == wanted
