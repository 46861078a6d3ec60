"""How long work reports how far it is. Who shows it, and how, is up to the caller (`report/terminal.py`)."""

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""(done, total, note): units of work done so far, all of them (0: nobody knows), a few words such as the loss."""


def silent(done: int, total: int, note: str) -> None:
    """Show nothing."""
