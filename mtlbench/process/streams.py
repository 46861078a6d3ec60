"""stdout and stderr may be closed, full or disconnected, or lack characters: a failure to print must not lose results.

Their errors do not leave `guarded` and do not change the exit status, which reports on the work only. A reader that
closed its pipe needs no warning; if a full disk lost some of the output, `close` says so on stderr.
"""

import codecs
import errno
import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

STDOUT = "standard output"
NAMES = ("stdin", "stdout", "stderr")
READABLE = "mtlbench.readable"
"""Name of the error handler that `str.encode` uses for characters that an encoding lacks."""

IN_ASCII = {"±": "+-", "…": "...", "█": "#", "─": "-", "│": "|", "╰": "`", "●": "o", "▸": ">"}
_lost: list[OSError] = []
"""The errors that lost output on stdout, if any."""


def _in_ascii(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letter = error.object[error.start]
    if "\udc80" <= letter <= "\udcff":  # an undecodable byte of a file name: unchanged
        return bytes([ord(letter) - 0xDC00]), error.start + 1
    return IN_ASCII.get(letter) or letter.encode("ascii", "backslashreplace").decode(), error.start + 1


codecs.register_error(READABLE, _in_ascii)


class _Around:
    """A stream that raises no `OSError`; the first error is appended to `lost`, if that is a list."""

    def __init__(self, stream: TextIO, lost: list[OSError] | None) -> None:
        self._stream, self._lost = stream, lost

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

    def _failed(self, error: OSError) -> None:
        if error.errno == errno.EPIPE:
            # The reader is gone. Libraries that notice it end the process (rich does, with status 1), so hide it from
            # them.
            _discard(self._stream)
        elif self._lost is not None:
            self._lost.append(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _discard(stream: TextIO) -> None:
    """Redirect `stream`, including what is buffered, to the null device."""
    with suppress(OSError):  # not every stream has a file descriptor
        number = os.open(os.devnull, os.O_WRONLY)
        os.dup2(number, stream.fileno())
        os.close(number)
        stream.flush()


def reopen() -> None:
    """Redirect those of stdin, stdout and stderr that are closed (``>&-``) to the null device.

    Call it before any file is opened: that file would get the descriptor of the closed stream, and everything printed
    would go into it.
    """
    for number, name in enumerate(NAMES):
        place: int | str = os.devnull
        try:
            os.fstat(number)
        except OSError:
            place = os.open(os.devnull, os.O_RDWR)  # gets the lowest free descriptor, which is `number`
            os.set_inheritable(place, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(place, "w" if number else "r", encoding="utf-8"))  # noqa: SIM115, PTH123 (never closed)


@contextmanager
def guarded() -> Iterator[None]:
    """Context manager in which stdout and stderr raise no error, and escape in ASCII what their encoding lacks.

    `close` is called on every exit, also when a library calls ``sys.exit``.
    """
    out, err = sys.stdout, sys.stderr
    _lost.clear()
    before = [(stream, stream.errors) for stream in (out, err) if isinstance(stream, io.TextIOWrapper)]
    for stream, _ in before:
        stream.reconfigure(errors=READABLE)
    sys.stdout, sys.stderr = _Around(out, _lost), _Around(err, None)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err
        close()
        for stream, errors in before:
            stream.reconfigure(errors=errors)


def close() -> None:
    """Flush both, so that Python has nothing left to flush at exit; report lost output of stdout."""
    _finish(sys.stdout)
    if _lost:
        text = f"mtlbench: {STDOUT}: cannot be written ({_lost[0].strerror}); what was computed is kept"
        _lost.clear()
        with suppress(OSError):
            print(text, file=sys.stderr, flush=True)
    _finish(sys.stderr)


def _finish(stream: TextIO) -> None:
    try:
        stream.flush()
    except OSError as error:
        if stream is sys.stdout and error.errno != errno.EPIPE:
            _lost.append(error)
        _discard(stream)  # otherwise Python flushes it again at exit and sets its own exit status
