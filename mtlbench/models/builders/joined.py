"""One prediction for all tasks: its channels in the order of the tasks, and how a library's own complaint is shown."""

from collections.abc import Callable, Sequence
from textwrap import shorten
from typing import Any

from mtlbench.errors import UsageError
from mtlbench.tasks import Task

REFUSALS = (AssertionError, AttributeError, ImportError, KeyError, OSError, RuntimeError, TypeError, ValueError)
"""What libraries raise on names and options that they do not know."""

MOST_LETTERS = 400
"""Of what a library says, so much is shown: some list all that they know."""


def channels(tasks: Sequence[Task]) -> int:
    """Of all tasks together."""
    return sum(task.channels for task in tasks)


def slices(tasks: Sequence[Task]) -> dict[str, slice]:
    """Name of a task -> its channels."""
    found, first = {}, 0
    for task in tasks:
        found[task.name] = slice(first, first + task.channels)
        first += task.channels
    return found


def per_image(tasks: Sequence[Task], asked: str) -> bool:
    """Whether they are tasks per image.

    Raises:
        UsageError: some are and some are not, which one prediction cannot serve.
    """
    kinds = {task.per_image for task in tasks}
    if len(kinds) != 1:
        named = ", ".join(f"{task.name} {'per image' if task.per_image else 'per pixel'}" for task in tasks)
        raise UsageError(f"{asked}: it predicts one map, or one vector an image, and the tasks are {named}")
    return kinds.pop()


def made(asked: str, build: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What ``build(*arguments, **options)`` returns.

    Raises:
        UsageError: the library refuses a name or an option.
    """
    try:
        return build(*arguments, **options)
    except REFUSALS as error:
        reason = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        raise UsageError(f"{asked}: {shorten(reason, MOST_LETTERS)}") from error
