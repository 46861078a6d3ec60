"""stdout and stderr beside a full disk or a reader that has gone: messages must not cost results."""

import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

STDOUT = "standard output"
FAILED = 3


class _Around:
    """A stream whose errors are handled by `failed`."""

    def __init__(self, stream: TextIO, failed: Callable[[OSError], None]) -> None:
        self._stream, self._failed = stream, failed

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except OSError as error:
            self._failed(error)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._failed(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _forget(error: OSError) -> None:
    """Progress and messages are worth less than the work they tell of."""


def _name(error: OSError) -> None:
    """A full disk does not say which file it is about."""
    raise OSError(error.errno, error.strerror, STDOUT) from error


@contextmanager
def guarded() -> Iterator[None]:
    """Inside, no error of stderr is raised and one of stdout has a file name."""
    out, err = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Around(out, _name), _Around(err, _forget)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err


def close(status: int) -> int:
    """Flush both; the exit status, which is not 0 where stdout lost something."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            if stream is sys.stdout and status == 0:
                status = FAILED
                if error.errno != errno.EPIPE:
                    with suppress(OSError):
                        print(f"mtlbench: {STDOUT}: cannot be written ({error.strerror})", file=sys.stderr, flush=True)
            # Python flushes again at exit, and would leave with a status of its own.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return status
