"""Signals in the moments that swallow exceptions: one message and the promised status all the same."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from mtlbench import cli

ROOT = Path(cli.__file__).parents[1]
CODE = """
import atexit, os, signal, sys, time
from mtlbench import cli

def terminate():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.2)

class Dying:
    def __del__(self):
        terminate()

def go_on(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            time.sleep(0.05)
        except BaseException:
            pass

def in_a_destructor():
    Dying()
    time.sleep(20)

def by_code_that_returns():
    try:
        terminate()
    except BaseException:
        return 1

def by_code_that_goes_on():
    cli.MOST_SECONDS_TO_STOP = 0.5
    try:
        terminate()
    except BaseException:
        go_on(20)

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
        ("by_code_that_returns", 143, MESSAGE),
        ("by_code_that_goes_on", 143, MESSAGE),
        ("twice", 143, ""),
        ("at_exit", 0, ""),
    ],
)
def test_a_signal_is_never_lost(how: str, status: int, message: str) -> None:
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", CODE, how], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (status, message)
    assert time.monotonic() - began < 15
