"""Every command, with a stdout that nobody reads any more and with one that has only the letters of ASCII."""

import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mtlbench.cli import entry as cli
from tests.e2e.conftest import SMALL
from tests.running import as_before

ROOMS = SMALL[:2]
COMMANDS = {
    "attack": ("attack", *SMALL, "eps=[2,8]"),
    "train": ("train", *SMALL[:4]),
    "report": ("report",),
    "a study": ("report", "study=tradeoff"),
    "info": ("data", *ROOMS),
    "verify": ("data", "action=verify", *ROOMS),
    "baseline": ("data", "action=baseline", *ROOMS),
    "layouts": ("layouts",),
    "bench": ("bench", *ROOMS, "repeats=1", "limit=1", "objectives=[dgba]", "steps=[fgsm]"),
    "help": ("--help",),
    "version": ("--version",),
    "help of a command": ("attack", "--help"),
    "configuration": ("attack", "--cfg", "job"),
}
Start = Callable[[io.TextIOWrapper, tuple[str, ...]], int]


@pytest.fixture
def start(own_outputs: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Run a command beside `own_outputs`, in this process, with a stdout; its exit status."""

    def run(stdout: io.TextIOWrapper, arguments: tuple[str, ...]) -> int:
        monkeypatch.chdir(own_outputs.parent)
        monkeypatch.setattr(sys, "argv", ["mtlbench", *arguments])
        monkeypatch.setattr(sys, "stdout", stdout)
        with as_before(), pytest.raises(SystemExit) as left:
            cli.main()
        assert isinstance(left.value.code, int)
        return left.value.code

    return run


@pytest.fixture
def unread() -> Iterator[io.TextIOWrapper]:
    """A pipe whose reader has gone."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w", encoding="utf-8") as stream:
        yield stream


@pytest.mark.parametrize("command", COMMANDS)
def test_nobody_reads(start: Start, unread: io.TextIOWrapper, capfd: pytest.CaptureFixture[str], command: str) -> None:
    assert start(unread, COMMANDS[command]) == 0
    assert "mtlbench: " not in capfd.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_in_ascii(start: Start, command: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="surrogateescape")  # as Python has it in the locale C
    assert start(stream, COMMANDS[command]) == 0
    stream.flush()
    text = raw.getvalue().decode("ascii")
    assert text.strip()
    assert "\\u" not in text, "everything that we print has a readable form"
    assert "\\x" not in text
