"""The attacks of a configuration: objective and step rule, the attacked tasks, the radii."""

from collections.abc import Mapping, Sequence
from typing import Any

from mtlbench.attacks.attack import RAW, Attack
from mtlbench.attacks.objectives import Objective
from mtlbench.attacks.steps import Step
from mtlbench.config import Config
from mtlbench.config.build import build
from mtlbench.config.doubled import doubled, step_group
from mtlbench.constants import GREY_LEVELS
from mtlbench.errors import UsageError
from mtlbench.options import is_number
from mtlbench.tasks import Task, select


def build_objective_and_step(config: Config) -> tuple[Objective, Step] | None:
    """Objective and step rule of the configuration, None for attack=none; needs no dataset."""
    chosen = config["attack"]
    if chosen["objective"] is None:
        return None
    step = chosen[step_group(chosen)]
    built = (
        build(chosen["objective"], config["plugins"], kind=Objective),
        build(step, config["plugins"], kind=Step),
    )
    Attack(*built, (), **_starts(chosen))  # checks options before any rooms are generated
    doubled(config)
    return built


def _starts(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The options of an attack's starts, restarts, norm and logits."""
    return {name: chosen[name] for name in ("random_start", "restarts")} | {
        "norm": chosen.get("norm", "linf"),
        "logits": chosen.get("logits", RAW),
    }


def build_attacks(config: Config, built: tuple[Objective, Step] | None, tasks: Sequence[Task]) -> dict[str, Attack]:
    """Target -> attack: one entry ``all``, or for `single` one per attacked task. Empty for attack=none."""
    chosen = config["attack"]
    names = chosen["tasks"]
    targets = select(tasks, [names] if isinstance(names, str) else names, "attack.tasks")
    if built is None:
        return {}
    scale = _loss_scale(chosen.get("loss_scale"), targets)

    def attack(seen: tuple[Task, ...]) -> Attack:
        return Attack(*built, seen, loss_scale=scale, **_starts(chosen))

    if chosen["name"] == "single":
        return {task.name: attack((task,)) for task in targets}
    return {"all": attack(targets)}


def _loss_scale(given: object, targets: Sequence[Task]) -> dict[str, float]:
    """Task -> factor on its loss."""
    if given is None:
        return {}
    names = [task.name for task in targets]
    example = f"expected a factor for a task, for example {{{names[-1]}: 10}}"
    if not isinstance(given, Mapping):
        raise UsageError(f"attack.loss_scale={given}: {example}")
    for task, factor in given.items():
        if task not in names:
            raise UsageError(f"attack.loss_scale.{task}: no such task; the attacked ones are {', '.join(names)}")
        if not is_number(factor) or factor <= 0:
            raise UsageError(f"attack.loss_scale.{task}={factor}: {example}")
    return {str(task): float(factor) for task, factor in given.items()}


def epsilon_list(config: Config) -> list[float]:
    """The list of radii in grey levels of 255, ascending and without repeats."""
    given = config["eps"]
    values = list(given) if isinstance(given, (list, tuple)) else [given]
    unit = "eps counts grey levels of 255: write eps=4 for 4/255, or eps=[1,2,4,8]"
    if not values:
        raise UsageError(f"eps={given}: the list is empty; {unit}")
    for value in values:
        if not is_number(value, 0, GREY_LEVELS):
            raise UsageError(f"eps={value}: expected a number from 0 to 255; {unit}")
    return sorted({float(value) for value in values})
