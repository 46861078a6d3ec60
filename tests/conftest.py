"""Fixtures that every test may use."""

import gc
import os
import pickle
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from functools import cache
from io import StringIO, TextIOBase
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import settings

gc.disable()  # until everything is imported, see below
# As the commands do, and as it is without pyarrow.
pd.set_option("mode.string_storage", "python")
settings.register_profile("mtlbench", deadline=None)  # how long an example takes says nothing about what it shows
settings.load_profile("mtlbench")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the commands do, before anything imports torch
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background of a shell, which makes every child deaf to the Ctrl-C that tests send.
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # by nohup, likewise
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


NOT_PASSED_ON = {
    "nyuv2": "real NYUv2 images, which may not be passed on with the project",
    "snips": "the sentences of SNIPS, which may not be passed on with the project",
}
"""Sample data that a clone lacks: folder below $MTLBENCH_SHARED/data (default: `shared` beside the checkout) -> what
it is. Everything else that a test needs is part of the project."""
SHARED = Path(os.environ.get("MTLBENCH_SHARED", Path(__file__).resolve().parents[1].parent / "shared"))
MAY_SKIP = (
    *(() if SHARED.is_dir() else NOT_PASSED_ON.values()),  # where there is such a folder, all of it must be there
    *("no CUDA device", "no /dev/full", "this user may ", "mounting is not permitted"),
    *("systemd-analyze is not installed", "logrotate is not installed"),
    *("Chromium is not installed", "pdflatex is not installed"),  # .ci/run installs both where it may
)
"""How the reason of a skip begins that is accepted in CI ($MTLBENCH_CI, set by .ci/run): what a machine may lack."""


@pytest.fixture
def result_version_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the code still computed the numbers of the files in tests/schemas, all of which are of result version 1.

    So the upgrades of their format are tested apart from what they hold.
    """
    monkeypatch.setattr("mtlbench.storage.store.RESULT_VERSION", 1)


@pytest.fixture(scope="session")
def nyuv2_images() -> Path:
    """Four real images in AdaShare's format."""
    return sample_data("nyuv2")


@pytest.fixture(scope="session")
def snips() -> Path:
    """The sentences of SNIPS, as others have them."""
    return sample_data("snips")


def sample_data(name: str) -> Path:
    """A folder of `NOT_PASSED_ON`; the test skips where it is absent. No other data may be missing."""
    folder = SHARED / "data" / name
    if not folder.is_dir():
        pytest.skip(f"{NOT_PASSED_ON[name]}: not at {folder} (set MTLBENCH_SHARED)")
    return folder


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: the garbage collector need not look at it again and again."""
    gc.freeze()
    gc.enable()


def pytest_sessionfinish() -> None:
    """Bindings report what is never freed."""
    gc.unfreeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skip for any reason but those of `MAY_SKIP` is a failure: it would hide that something is missing."""
    report = yield
    if os.environ.get("MTLBENCH_CI") and report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not reason.startswith(MAY_SKIP):
            report.outcome, report.longrepr = "failed", f"skipped in CI: {reason} (tests/conftest.py, MAY_SKIP)"
    return report


@pytest.fixture(scope="session", autouse=True)
def yaml_parsed_once() -> Iterator[None]:
    """Hydra reads twenty files for each configuration, half of the time that it takes: here each text once.

    Likewise the interpolations in them, whose syntax trees nobody changes.
    """
    from omegaconf import OmegaConf, base
    from omegaconf.grammar_parser import parse

    parsed: dict[str, bytes] = {}
    whole = OmegaConf.load

    def load(source: Any) -> object:
        if not isinstance(source, TextIOBase):
            return whole(source)
        text = source.read()
        if text not in parsed:
            parsed[text] = pickle.dumps(whole(StringIO(text)))
        return pickle.loads(parsed[text])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OmegaConf, "load", load)
        patch.setattr(base, "parse", cache(parse))
        yield


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """PyTorch as `tests.device` asks for it, on one thread."""
    from tests.device import as_asked

    with as_asked():
        yield


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., object]:
    """Run ``mtlbench ARGUMENTS`` inside this process, from `tmp_path`: no three seconds of imports."""
    from mtlbench.cli import entry as cli
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
