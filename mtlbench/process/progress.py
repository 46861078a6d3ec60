"""The progress callback of long work. The caller decides how to show it (`report/terminal.py`)."""

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""(done, total, note): units of work done so far, their total number (0: unknown), a short note such as the loss."""


def silent(done: int, total: int, note: str) -> None:
    """Show nothing."""
