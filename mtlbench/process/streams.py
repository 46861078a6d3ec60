"""stdout and stderr that may be closed, full, gone or short of letters: what cannot be shown must not cost results.

No error of theirs leaves `guarded`, and none changes the exit status, which tells of the work. A reader that has gone
has seen what it wanted; where a full disk has lost some of the output, `close` says so on stderr.
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
"""How `str.encode` treats what an encoding lacks, as the name of a handler of errors."""

IN_ASCII = {"±": "+-", "…": "...", "█": "#", "─": "-", "│": "|", "╰": "`", "●": "o", "▸": ">"}
_lost: list[OSError] = []
"""Why stdout lacks something, if it does."""


def _in_ascii(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letter = error.object[error.start]
    if "\udc80" <= letter <= "\udcff":  # a byte of a file name that is no text: as it is
        return bytes([ord(letter) - 0xDC00]), error.start + 1
    return IN_ASCII.get(letter) or letter.encode("ascii", "backslashreplace").decode(), error.start + 1


codecs.register_error(READABLE, _in_ascii)


class _Around:
    """A stream that raises no `OSError`; the first one goes to `lost`, where there is such a list."""

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
            # Nobody reads any more. Libraries that see it end the process (rich does, with status 1), so none may.
            _discard(self._stream)
        elif self._lost is not None:
            self._lost.append(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _discard(stream: TextIO) -> None:
    """From now on, and with what is buffered, `stream` leads nowhere."""
    with suppress(OSError):  # not every stream has a file
        number = os.open(os.devnull, os.O_WRONLY)
        os.dup2(number, stream.fileno())
        os.close(number)
        stream.flush()


def reopen() -> None:
    """Lead those of stdin, stdout and stderr nowhere that are closed (``>&-``).

    Call it before any file is opened: that would get the number of the closed one, and with it all that is printed.
    """
    for number, name in enumerate(NAMES):
        place: int | str = os.devnull
        try:
            os.fstat(number)
        except OSError:
            place = os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which is `number`
            os.set_inheritable(place, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(place, "w" if number else "r", encoding="utf-8"))  # noqa: SIM115, PTH123 (a number, for good)


@contextmanager
def guarded() -> Iterator[None]:
    """Inside, neither stdout nor stderr raises anything, and both show in ASCII what their encoding lacks.

    However it is left, by ``sys.exit`` in a library for one, `close` is called.
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
    """Flush both, so that Python has nothing to flush at exit; say where stdout lacks something."""
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
        _discard(stream)  # or Python would flush it again at exit, and leave with a status of its own
