"""Signals in the moments that swallow exceptions: one message and the promised status all the same."""

import subprocess
import sys
from pathlib import Path

import pytest

from mtlbench.cli import entry as cli

ROOT = Path(cli.__file__).parents[2]
CODE = """
import atexit, pathlib, signal, sys, tempfile, time
from mtlbench.cli import entry as cli

def terminate():
    signal.raise_signal(signal.SIGTERM)  # handled before this returns

class Dying:
    def __del__(self):
        terminate()

def go_on():
    while True:
        try:
            time.sleep(0.01)
        except BaseException:
            pass

def in_a_destructor():
    Dying()
    while True:
        time.sleep(0.01)

def in_an_import():
    with tempfile.TemporaryDirectory() as folder:
        code = "import signal; signal.raise_signal(signal.SIGTERM); whole = True"
        pathlib.Path(folder, "loaded.py").write_text(code)
        sys.path.insert(0, folder)
        import loaded
    print(loaded.whole)
    while True:
        time.sleep(0.01)

def by_code_that_returns():
    try:
        terminate()
    except BaseException:
        return 1

def by_code_that_goes_on():
    cli.MOST_SECONDS_TO_STOP = 0
    try:
        terminate()
    except BaseException:
        go_on()

def twice():
    try:
        terminate()
    except BaseException:
        terminate()

def at_exit():
    atexit.register(terminate)
    return 0

cli.dispatch = lambda arguments: globals()[sys.argv[1]]()
cli.main()
"""
MESSAGE = "mtlbench: terminated; what was finished is kept, the same command continues\n"


@pytest.mark.parametrize(
    ("how", "status", "message"),
    [
        ("terminate", 143, MESSAGE),
        ("in_a_destructor", 143, MESSAGE),
        ("in_an_import", 143, MESSAGE),
        ("by_code_that_returns", 143, MESSAGE),
        ("by_code_that_goes_on", 143, MESSAGE),
        ("twice", 143, ""),
        ("at_exit", 0, ""),
    ],
)
def test_a_signal_is_never_lost(how: str, status: int, message: str) -> None:
    done = subprocess.run([sys.executable, "-c", CODE, how], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (status, message)
    assert done.stdout == ("True\n" if how == "in_an_import" else ""), "modules are imported whole"
