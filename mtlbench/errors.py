"""Errors that a user can act on, each with the exit status of the command line.

Every message names the file or option, the value found, and what would be right.
"""


class MtlbenchError(Exception):
    """Base of every error that is shown as one message instead of a traceback."""

    status = 1


class UsageError(MtlbenchError):
    """An option or configuration value is wrong."""

    status = 2


class DataError(MtlbenchError):
    """A dataset file or folder is missing, damaged or outside its range."""

    status = 3


class CheckpointError(MtlbenchError):
    """A weights file is missing, damaged, or belongs to another model."""

    status = 3


class MachineError(MtlbenchError):
    """The machine lacks something that was asked for, such as a GPU."""

    status = 3
