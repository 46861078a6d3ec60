"""Starts mtlbench in milliseconds: has imported everything already, and forks. A process of its own, told by lines.

``{"argv": [...], "cwd": ..., "out": file, "err": file, "save_seconds": ..., "here": ...}`` starts a run in a process
group of its own and answers its process id; ``{"pid": ...}`` answers the status that it ended with, or null. ``here``
is host, boot and process-id namespace, where the run shall think that they are others.
"""

import json
import os
import sys

import torch

from mtlbench import report
from mtlbench.cli import app
from mtlbench.cli import entry as cli
from mtlbench.engine import training
from mtlbench.experiment import compute, provenance
from mtlbench.experiment import run as experiment
from mtlbench.storage import owner

assert all((app, experiment, report)), "imported here so that no run has to"


def main() -> None:
    """Answer every line."""
    torch.set_num_threads(1)
    provenance.commit(), provenance.versions()
    print("ready", flush=True)
    for line in sys.stdin:
        told = json.loads(line)
        print(json.dumps(_status(told["pid"]) if "pid" in told else _start(**told)), flush=True)


def _status(pid: int) -> int | None:
    """As `subprocess` would say it: negative for a signal."""
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _start(argv: list[str], cwd: str, out: str, err: str, save_seconds: float | None, here: list[str] | None) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    os.chdir(cwd)
    for number, path in ((1, out), (2, err)):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, number)
        os.close(handle)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    if save_seconds is not None:
        compute.SECONDS_BETWEEN_SAVES = training.SECONDS_BETWEEN_SAVES = save_seconds
    if here is not None:
        place = here[0], here[1], here[2]
        owner._here = lambda: place  # type: ignore[assignment]
    sys.argv = ["mtlbench", *argv]
    cli.main()
    raise AssertionError


if __name__ == "__main__":
    main()
