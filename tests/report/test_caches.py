"""A place for the caches of matplotlib, whatever the home is; tests/e2e/test_output_docs.py draws without one."""

import atexit
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mtlbench.report.caches import provide_caches


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """An environment with a home."""
    environ = {"HOME": str(tmp_path)}
    monkeypatch.setattr(os, "environ", environ)
    monkeypatch.setattr(Path, "home", lambda: Path(environ["HOME"]))
    return environ


@pytest.fixture
def at_exit(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What is to be done at exit."""
    found: list[Callable[[], None]] = []
    monkeypatch.setattr(atexit, "register", lambda f, *args, **options: found.append(lambda: f(*args, **options)))
    return found


def test_a_home_that_can_be_written_is_used(environ: dict[str, str]) -> None:
    before = dict(environ)
    provide_caches()
    assert environ == before


def test_a_given_folder_is_used(environ: dict[str, str]) -> None:
    environ |= {"HOME": "/dev/null", "MPLCONFIGDIR": "/given"}
    before = dict(environ)
    provide_caches()
    assert environ == before


def nobody_knows() -> Path:
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.parametrize("home", [lambda: Path("/dev/null"), nobody_knows])
def test_a_temporary_folder_otherwise(
    environ: dict[str, str],
    at_exit: list[Callable[[], None]],
    monkeypatch: pytest.MonkeyPatch,
    home: Callable[[], Path],
) -> None:
    monkeypatch.setattr(Path, "home", home)
    provide_caches()
    folder = Path(environ["MPLCONFIGDIR"])
    assert folder.is_dir()
    assert environ["XDG_CACHE_HOME"] == str(folder)
    (end,) = at_exit
    end()
    assert not folder.exists()
