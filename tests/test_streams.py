"""stdout and stderr on a full disk."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mtlbench import streams

ROOT = Path(streams.__file__).parents[1]
FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
CODE = """
import sys
from mtlbench import streams
with streams.guarded():
    {body}
sys.exit(streams.close(0))
"""


def run(body: str, **where: str) -> subprocess.CompletedProcess[str]:
    full = os.open(FULL, os.O_WRONLY)
    opened: dict[str, Any] = {name: full if place == "full" else subprocess.PIPE for name, place in where.items()}
    code = CODE.format(body=body)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    try:
        return subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=env, text=True, timeout=60, check=False, **opened
        )
    finally:
        os.close(full)


def test_a_full_stderr_costs_nothing() -> None:
    body = "[print('progress' * 9999, file=sys.stderr, flush=True) for _ in range(9)]; print('result')"
    done = run(body, stdout="pipe", stderr="full")
    assert (done.returncode, done.stdout) == (0, "result\n")


def test_a_full_stdout_is_an_error() -> None:
    done = run("print('result')", stdout="full", stderr="pipe")
    assert (done.returncode, done.stderr) == (
        3,
        "mtlbench: standard output: cannot be written (No space left on device)\n",
    )


def test_a_full_stdout_is_named() -> None:
    done = run("print('result', flush=True)", stdout="full", stderr="pipe")
    assert done.returncode != 0
    assert "No space left on device: 'standard output'" in done.stderr


def test_both_full() -> None:
    body = "print('progress', file=sys.stderr); print('result')"
    assert run(body, stdout="full", stderr="full").returncode == 3


def test_nothing_is_changed_where_nothing_is_full() -> None:
    done = run("print('result'); print('message', file=sys.stderr)", stdout="pipe", stderr="pipe")
    assert (done.returncode, done.stdout, done.stderr) == (0, "result\n", "message\n")


def test_what_the_stream_is_stays_known(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    monkeypatch.setattr(sys, "stdout", text)
    with streams.guarded():
        assert sys.stdout is not text
        assert sys.stdout.isatty() is False
        sys.stdout.writelines(["a", "b"])
    assert sys.stdout is text
    assert text.getvalue() == "ab"


def test_a_reader_that_has_gone_is_still_known_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(sys, "stdout", Broken())
    with streams.guarded(), pytest.raises(BrokenPipeError):
        print("x")
