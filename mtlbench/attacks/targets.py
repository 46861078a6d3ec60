"""What an attack is aimed at: all tasks together, or one."""

from collections.abc import Sequence

from mtlbench.attacks.objectives import Objective, Single
from mtlbench.errors import UsageError
from mtlbench.tasks import EVERY_TASK, KINDS, Task


def targets_of(objective: Objective, tasks: Sequence[Task]) -> dict[str, tuple[Task, ...]]:
    """Target -> the tasks whose losses the objective sees: one entry ``all``, or of `Single` one for each task.

    An objective with losses of its own (`Objective.sees`) has those targets alone whose pixels they fit.

    Raises:
        UsageError: there is none.
    """
    if not isinstance(objective, Single):
        return {EVERY_TASK: tuple(tasks)}
    kinds = {KINDS[loss] for loss in objective.sees}
    fitting = [task for task in tasks if not kinds or (kinds == {task.holds} and not task.per_image)]
    found: dict[str, tuple[Task, ...]] = {task.name: (task,) for task in fitting}
    if not found:
        names = ", ".join(task.name for task in tasks)
        raise UsageError(f"{objective.name}: expected a task with {'/'.join(kinds)} for each pixel; there are {names}")
    return found
