"""stdout and stderr that are closed, full, gone or short of letters, each with a real file descriptor behind it."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.box import SIMPLE
from rich.table import Table

from mtlbench.models.sharing import by_index, picture
from mtlbench.process import streams
from mtlbench.report.terminal import console

ROOT = Path(streams.__file__).parents[2]
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
NO_SPACE = "mtlbench: standard output: cannot be written (No space left on device); what was computed is kept\n"
CODE = """
import os, sys
from mtlbench.process import streams
streams.reopen()
with streams.guarded():
    {body}
streams.close()
sys.exit(5)
"""
"""5 stands for whatever the work ended with."""
PROGRESS = "[print('progress' * 9999, file=sys.stderr, flush=True) for _ in range(9)]; print('result')"
TABLES = "[print('table' * 9999) for _ in range(9)]; print('end', flush=True); print('message', file=sys.stderr)"
RICH = "from rich.console import Console; [Console().print('table') for _ in range(3000)]; Console().print('end')"


def run(body: str, shell: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Run `body` guarded, its streams as a shell's redirections say."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"} | more
    words = ["/bin/sh", "-c", f'exec "$0" -c "$1" {shell}', sys.executable, CODE.format(body=body)]
    return subprocess.run(words, cwd=ROOT, env=env, text=True, timeout=60, check=False, capture_output=True)


def test_nothing_is_changed_where_nothing_is_wrong() -> None:
    done = run("print('result'); print('message', file=sys.stderr)")
    assert (done.returncode, done.stdout, done.stderr) == (5, "result\n", "message\n")


@needs_full
def test_a_full_stderr_costs_nothing() -> None:
    done = run(PROGRESS, "2>/dev/full")
    assert (done.returncode, done.stdout) == (5, "result\n")


@needs_full
@pytest.mark.parametrize("body", ["print('result')", "print('result', flush=True)", TABLES, RICH])
def test_a_full_stdout_is_told_and_costs_nothing(body: str) -> None:
    done = run(body, ">/dev/full")
    assert (done.returncode, done.stderr.removeprefix("message\n")) == (5, NO_SPACE)


@needs_full
@pytest.mark.parametrize("shell", [">/dev/full", "2>/dev/full", ">/dev/full 2>/dev/full"])
def test_a_library_that_ends_the_process(shell: str) -> None:
    """Hydra does so after --help. Python would flush the streams once more, and leave with 120."""
    done = run("print('help'); print('message', file=sys.stderr); sys.exit(4)", shell)
    assert done.returncode == 4
    if "2>" not in shell:
        assert done.stderr == "message\n" + NO_SPACE


@needs_full
def test_both_full() -> None:
    assert run(TABLES, ">/dev/full 2>/dev/full").returncode == 5


@pytest.mark.parametrize("shell", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams(shell: str) -> None:
    done = run("print('result', flush=True); print('message', file=sys.stderr); assert not sys.stdin.read()", shell)
    assert done.returncode == 5, done.stderr
    assert done.stdout == ("" if " >&-" in f" {shell}" else "result\n")
    assert done.stderr == ("" if "2>&-" in shell else "message\n")


@pytest.mark.parametrize("shell", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_file_gets_the_number_of_a_closed_stream(shell: str, tmp_path: Path) -> None:
    """What a library prints would go into it."""
    body = f"file = os.open({str(tmp_path / 'cell')!r}, os.O_CREAT); assert file > 2; os.system('echo text; echo >&2')"
    assert run(body, shell).returncode == 5
    assert (tmp_path / "cell").read_bytes() == b""


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("body", [TABLES, RICH, PROGRESS])
def test_a_reader_that_has_gone(body: str, stream: str) -> None:
    """The pipe is closed before the process starts, so that its first write fails."""
    read, write = os.pipe()
    os.close(read)
    try:
        opened: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | {stream: write}
        code = CODE.format(body=body)
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, timeout=60, check=False, **opened)
    finally:
        os.close(write)
    assert done.returncode == 5
    if stream == "stdout":
        assert "rror" not in done.stderr
    else:
        assert done.stdout.endswith(("end\n", "result\n"))


def test_a_gone_reader_is_no_error_of_a_stream_without_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(sys, "stdout", Broken())
    with streams.guarded():
        print("x")


def test_what_the_stream_is_stays_known(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    monkeypatch.setattr(sys, "stdout", text)
    with streams.guarded():
        assert sys.stdout is not text
        assert sys.stdout.isatty() is False
        sys.stdout.writelines(["a", "b"])
    assert sys.stdout is text
    assert text.getvalue() == "ab"


def test_letters_that_the_encoding_lacks() -> None:
    body = r"print('3.2 ±0.1 … données \udcff'); print('±', file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(body=body)],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "ascii:strict"},
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (5, b"3.2 +-0.1 ... donn\\xe9es \xff\n", b"+-\n")


def test_a_name_that_is_no_text_is_shown_byte_for_byte() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(body=r"print('\udcff \ud800')")],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"},
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (5, b"\xff \\ud800\n")


class InAscii(io.TextIOWrapper):
    """stdout as in the locale C."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="ascii", errors="strict")

    def shown(self) -> list[str]:
        self.seek(0)
        return self.read().splitlines()


def test_tables_and_pictures_in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", stream := InAscii())
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("± of ARP")
    table.add_row("84.5 ±3.2")
    with streams.guarded():
        console().print(table)
        console().print(picture(by_index(3, 3, 5), ("a", "b", "c")))
    *rows, first, second, third = stream.shown()
    assert len({len(row) for row in rows}) == 1, "columns are as wide as what stands in them"
    assert "84.5 +-3.2" in rows[-2]
    assert [first, second, third] == ["a o--o--o--o--o", "b o--o--o--o--o", "c  `-o--o--o--o"]


def test_the_stream_is_given_back_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", stream := InAscii())
    with streams.guarded():
        assert sys.stdout.errors == streams.READABLE
    assert stream.errors == "strict"
