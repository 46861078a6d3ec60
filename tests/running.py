"""Commands inside the process of the tests."""

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    status: int
    out: str
    err: str


@contextmanager
def as_before() -> Iterator[None]:
    """Undo what a process may do to itself because it ends anyway: log handlers, signals, threads."""
    root, threads = logging.getLogger(), torch.get_num_threads()
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handlers, level = list(root.handlers), root.level
    torch.set_num_threads(1)
    try:
        yield
    finally:
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.handlers[:], root.level = handlers, level
        for number, before in signals.items():
            signal.signal(number, before)
        torch.set_num_threads(threads)
