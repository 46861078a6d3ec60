"""The attacks of a configuration: objective and step rule, the attacked tasks, the radii."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from mtlbench.attacks.attack import RAW, TEST, Attack
from mtlbench.attacks.objectives import METRICS, Objective
from mtlbench.attacks.steps import Step
from mtlbench.attacks.targets import targets_of
from mtlbench.config import Config
from mtlbench.config.black_box import searched
from mtlbench.config.build import build, target_of
from mtlbench.config.dataset import space_of
from mtlbench.config.doubled import doubled, step_group
from mtlbench.config.tasks import loss_named
from mtlbench.constants import INPUT, LINF, NEAREST_OTHER
from mtlbench.engine.losses import LOSSES
from mtlbench.errors import UsageError
from mtlbench.options import is_number
from mtlbench.tasks import KINDS, Loss, Scored, Task, scored_by, select


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
    Attack(*built, (), **starting_options(chosen))  # checks options before any rooms are generated
    doubled(config)
    if searched(config) is not None and built[0].alternatives(2):
        raise UsageError(f"attack.black_box: attack={chosen['name']} is the best of several, expected one objective")
    return built


def starting_options(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The options of an attack that need no tasks."""
    starts = chosen.get("starts", [INPUT])
    if not isinstance(starts, (list, tuple)) or not all(isinstance(start, str) for start in starts):
        raise UsageError(f"attack.starts={starts}: expected a list, for example [{INPUT},{NEAREST_OTHER}]")
    return {name: chosen[name] for name in ("random_start", "restarts")} | {
        "starts": tuple(starts),
        "norm": chosen.get("norm", LINF),
        "logits": chosen.get("logits", RAW),
        "eot": chosen.get("eot", 1),
        "clean_values": chosen.get("clean_values", TEST),
    }


def build_attacks(config: Config, built: tuple[Objective, Step] | None, tasks: Sequence[Task]) -> dict[str, Attack]:
    """Target -> attack, see `targets_of`. Empty for attack=none."""
    chosen = config["attack"]
    names = chosen["tasks"]
    targets = select(tasks, [names] if isinstance(names, str) else names, "attack.tasks")
    if built is None:
        return {}
    scale = _loss_scale(chosen.get("loss_scale"), targets)
    # A sweep may name both for objectives of both kinds.
    losses, metrics = _losses(chosen.get("loss"), targets, config["plugins"]), _metrics(chosen.get("metrics"), targets)
    objective, step = built
    losses = {} if objective.climbs == METRICS or objective.sees else losses
    metrics = metrics if objective.climbs == METRICS else {}

    def attack(seen: tuple[Task, ...]) -> Attack:
        return Attack(
            objective, step, seen, loss_scale=scale, loss=losses, metrics=metrics, **starting_options(chosen)
        )

    return {target: attack(seen) for target, seen in targets_of(objective, targets).items()}


def _losses(given: object, targets: Sequence[Task], plugins: Sequence[str]) -> dict[str, str | Loss]:
    """Task -> the loss that takes the place of its own."""
    if given is None:
        return {}
    example = f"expected a loss for a task, for example attack.loss={{{targets[0].name}:{targets[0].climbed}}}"
    if not isinstance(given, Mapping):
        raise UsageError(f"attack.loss={given}: {example}")
    known = {task.name: task for task in targets}
    for name, loss in given.items():
        if name not in known:
            raise UsageError(f"attack.loss.{name}: no such task; the attacked ones are {', '.join(known)}")
        if not isinstance(loss, str):
            raise UsageError(f"attack.loss.{name}={loss}: {example}")
        kinds = {known[name].holds, KINDS.get(loss, "values") if loss in LOSSES else known[name].holds}
        if len(kinds) > 1 and kinds & {"classes", "attributes"}:
            raise UsageError(
                f"attack.loss.{name}={loss}: a loss of {KINDS.get(loss, 'values')}; {name} has {known[name].holds}"
            )
    return {str(name): loss_named(loss, f"attack.loss.{name}", plugins) for name, loss in given.items()}


def _metrics(given: object, targets: Sequence[Task]) -> dict[str, tuple[str | Scored, ...]]:
    """Task -> the metrics that an objective climbs."""
    if given is None:
        return {}
    scored = scored_by(targets, given, "attack.metrics")  # type: ignore[arg-type]  # which checks it
    return {b.name: b.metrics for a, b in zip(targets, scored, strict=True) if a.metrics != b.metrics}


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
    """The list of radii in the unit of the dataset's space, or of what the step rule counts; ascending, no repeats."""
    given, space = config["eps"], space_of(config).counting(_counts(config))
    values = list(given) if isinstance(given, (list, tuple)) else [given]
    if not values:
        raise UsageError(f"eps={given}: the list is empty; {space.example}")
    for value in values:
        if not is_number(value, 0, space.most):
            most = f"from 0 to {space.most:g}" if isfinite(space.most) else "of at least 0"
            raise UsageError(f"eps={value}: expected a number {most}; {space.example}")
        if space.counted and value % 1:
            raise UsageError(f"eps={value}: expected a whole number; {space.example}")
    return sorted({float(value) for value in values})


def _counts(config: Config) -> str | None:
    """What eps counts for the step rule of the configuration; None where it is in the unit of the inputs."""
    chosen = config["attack"]
    if chosen["objective"] is None:
        return None
    rule: type[Step] = target_of(chosen[step_group(chosen)], config["plugins"], Step)
    return rule.counts
