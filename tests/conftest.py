"""Fixtures that every test may use."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the commands do, before anything imports torch
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background of a shell, which makes every child deaf to the Ctrl-C that tests send.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference material: golden numbers and sample images; tests skip where it is absent."""
    folder = Path(os.environ.get("MTLBENCH_SHARED", Path(__file__).resolve().parents[1].parent / "shared"))
    if not (folder / "golden").is_dir():  # no part of the project: it may not be passed on
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


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., object]:
    """Run ``mtlbench ARGUMENTS`` inside this process, from `tmp_path`: no three seconds of imports."""
    from mtlbench import cli
    from tests.running import Result, as_before

    monkeypatch.chdir(tmp_path)

    def start(*arguments: str | Path) -> Result:
        monkeypatch.setattr(sys, "argv", ["mtlbench", *map(str, arguments)])
        capfd.readouterr()
        with as_before(), pytest.raises(SystemExit) as left:
            cli.main()
        out, err = capfd.readouterr()
        status = left.value.code
        assert isinstance(status, int)
        return Result(status, out, err)

    return start
