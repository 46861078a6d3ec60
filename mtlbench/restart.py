"""Starting this process again, where it hangs inside of a library and not even an exception gets through."""

import os
import signal
import sys
from collections.abc import Collection

from mtlbench.claims import release_all

FAILED = "MTLBENCH_FAILED"
_allowed: list[int] = []


def allow() -> None:
    """This process is the command of its command line, and the same line may be run again in its place."""
    words = sys.argv[1:]
    if sys.orig_argv[len(sys.orig_argv) - len(words) :] == words:  # not where a program calls us with other words
        _allowed[:] = [os.getpid()]


def without(failed: Collection[str]) -> None:
    """Replace this process by a new run of its command line that does not try the `failed` cells.

    Returns only where that is not allowed: in a worker of a launcher, or inside of another program.
    """
    if _allowed != [os.getpid()]:
        return
    release_all()  # the new run has our process id, and so our name
    signal.setitimer(signal.ITIMER_REAL, 0)
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | {FAILED: ",".join(failed)})


def given_up() -> list[str]:
    """The cells that this run must not try, because it is such a new run; asked once."""
    return list(filter(None, os.environ.pop(FAILED, "").split(",")))
