"""The commands. This module imports neither torch nor Hydra, so that `mtlbench --help` answers at once."""

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from functools import partial
from types import FrameType

from mtlbench.process import signals, streams

COMMANDS = {
    "attack": "attack trained models over a list of epsilons; write ARP and transferability tables",
    "train": "train a model; resumes where it was killed",
    "report": "rebuild every table from the stored results",
    "data": "action=make | verify | info | baseline | convert: generate, check, describe or convert a dataset",
    "bench": "cost of one attack step against its floor and against the naive form",
    "layouts": "list the sharing trees of some tasks with index, level and picture",
}
EXAMPLES = (
    "mtlbench attack                                  # generated rooms, tiny model, DGBA: nothing needed",
    "mtlbench attack experiment=quickstart            # three attacks on two sharing levels",
    "mtlbench attack -m attack=single,total,dgba sharing=independent,all_shared",
    "mtlbench attack --help                           # the options of a command",
)
MOST_SECONDS_TO_STOP = 8.0


class Terminated(BaseException):
    """SIGTERM arrived. Not an `Exception`, so that no handler on the way swallows it."""


def usage() -> str:
    """The text of `mtlbench --help`."""
    lines = [f"  mtlbench {name:8} {about}" for name, about in COMMANDS.items()]
    head = "mtlbench measures how multi-task vision models break under adversarial attack."
    return "\n".join([head, "", *lines, "", "Examples:", *(f"  {example}" for example in EXAMPLES)])


def main() -> None:
    """Entry point of the console script; exits with one of the statuses of `mtlbench.errors`."""
    streams.reopen()
    received = signals.received
    received.clear()
    statuses: list[int] = []
    asked: list[int] = []
    supervised = _sets_timeout(sys.argv[1:])

    def stop(number: int, frame: FrameType | None) -> None:
        if statuses:  # only the end of the process is left
            os._exit(statuses[0])
        if received and supervised:  # the parent counts them, and forwards what we may have received already
            return
        if received:  # a second signal exits at once. Files are written atomically, so none is damaged.
            os._exit(128 + number)
        if not asked:
            asked.append(number)
            # A library that blocks, or a slow disk, must not delay the exit for longer.
            _later(MOST_SECONDS_TO_STOP, _leave, number)
        if _imports(frame):
            # An exception in C++ code that is being loaded aborts the process: resend the signal a little later.
            _later(0.05, os.kill, os.getpid(), number)
            return
        received.append(number)
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    def lost(about: "sys.UnraisableHookArgs") -> None:
        if received and isinstance(about.exc_value, (KeyboardInterrupt, Terminated)):
            # The signal arrived in a destructor, which swallows every exception: resend it a little later.
            _later(0.05, os.kill, os.getpid(), received.pop())
        else:
            sys.__unraisablehook__(about)

    signal.signal(signal.SIGTERM, stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # ignored in a shell's background job
        signal.signal(signal.SIGINT, stop)
    before, sys.unraisablehook = sys.unraisablehook, lost
    try:
        with streams.guarded():
            status = (_dispatch_supervised if supervised else dispatch)(sys.argv[1:])
    except BaseException:
        if not received:
            raise
    finally:
        sys.unraisablehook = before
    if received:
        _say_stopped(received[0])
        status = 128 + received[0]
    streams.close()
    statuses.append(status)
    sys.exit(statuses[0])


def _sets_timeout(arguments: list[str]) -> bool:
    """Whether the command line sets a time-out and is this process's own; a calling program is not forked."""
    given = [value for name, _, value in (a.lstrip("+").partition("=") for a in arguments) if name == "timeout"]
    ours = sys.orig_argv[len(sys.orig_argv) - len(arguments) :] == arguments
    return ours and any(value not in ("", "null") for value in given)


def _dispatch_supervised(arguments: list[str]) -> int:
    from mtlbench.process.supervisor import supervise

    return supervise(partial(dispatch, arguments), _say_stopped)


def _later(seconds: float, action: Callable[..., object], *arguments: int) -> None:
    timer = threading.Timer(seconds, action, arguments)
    timer.daemon = True
    timer.start()


def _imports(frame: FrameType | None) -> bool:
    """Whether a module is being imported in this frame."""
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def _leave(number: int) -> None:
    _say_stopped(number)
    os._exit(128 + number)


def _say_stopped(number: int) -> None:
    word = "interrupted" if number == signal.SIGINT else "terminated"
    with suppress(OSError):
        print(f"mtlbench: {word}; what was finished is kept, the same command continues", file=sys.stderr, flush=True)


def dispatch(arguments: list[str]) -> int:
    """Run the command line; returns its exit status."""
    command = arguments[0] if arguments else "--help"
    if command in ("-h", "--help", "help"):
        print(usage())
        return 0
    if command == "--version":
        from mtlbench import __version__

        print(f"mtlbench {__version__}")
        return 0
    if command not in COMMANDS:
        near = get_close_matches(command, COMMANDS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        print(f"mtlbench: unknown command {command!r}{hint}\n\n{usage()}", file=sys.stderr)
        return 2
    # OpenMP threads spin while they wait for each other, by default for so long that any other load on the machine
    # makes everything ten times slower. With this spin count an idle machine is as fast as before.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    with _no_garbage():
        from mtlbench.cli.app import run

    return run(command, arguments[1:])


@contextmanager
def _no_garbage() -> Iterator[None]:
    """No garbage collection: imports make a million objects to keep, and the search among them takes 0.3 s."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
