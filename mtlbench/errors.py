"""Errors that a user can act on, each with the exit status of the command line.

Every message names the file or option, the value found, and what would be right.
"""

from pathlib import Path


class MtlbenchError(Exception):
    """Base of every error that is shown as one message instead of a traceback."""

    status = 1


class UsageError(MtlbenchError):
    """An option or configuration value is wrong."""

    status = 2


class DataError(MtlbenchError):
    """A dataset file or folder is missing, damaged or outside its range."""

    status = 3


class MissingSplitError(DataError):
    """A dataset does not have the split that was asked for; it may have others."""


class DamagedCellError(DataError):
    """A stored result that cannot be read or does not match its checksum.

    Args:
        path: of its file.
        why: what is wrong with it.
    """

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}; the attack that made it computes it again")
        self.path = path


class OldCellError(DataError):
    """A stored result of an older result version: intact, but not comparable with results of the current one."""


class CheckpointError(MtlbenchError):
    """A weights file is missing, damaged, or belongs to another model."""

    status = 3


class ModelError(MtlbenchError):
    """A user's model lacks something that an attack needs; the message names the task and the remedy."""

    status = 3


class MachineError(MtlbenchError):
    """The machine lacks something that was asked for, such as a GPU."""

    status = 3


class BusyError(MtlbenchError):
    """Another process is computing what was asked for: try again later."""

    status = 75


class FailedCellsError(MtlbenchError):
    """Some of the cells that were asked for could not be computed; each was recorded and shown."""

    status = 1


class HungError(MtlbenchError):
    """Work that reported no progress for as long as ``timeout`` allows."""

    status = 1


def message(error: BaseException) -> str:
    """The message of an error; of a data loader's worker, which sends its whole traceback, only the end."""
    return str(error).rsplit(f"{type(error).__module__}.{type(error).__qualname__}: ")[-1].strip()


def reason(error: BaseException) -> str:
    """One line that says what went wrong."""
    if isinstance(error, SystemExit):
        return f"sys.exit({'' if error.code is None else repr(error.code)}) was called"
    first = (message(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
