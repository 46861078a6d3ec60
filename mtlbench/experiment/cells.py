"""The cells that a configuration asks for, and their identities."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from mtlbench.attacks.attack import RAW, TRAIN, Attack
from mtlbench.attacks.objectives import METRICS
from mtlbench.config import Config
from mtlbench.config.build import identity_of
from mtlbench.config.dataset import size_of
from mtlbench.constants import INPUT, LINF, NO_ATTACK
from mtlbench.data.base import MultiTaskDataset
from mtlbench.data.fingerprint import fingerprint
from mtlbench.engine.plan import Plan
from mtlbench.engine.precision import FP32, in_identity
from mtlbench.experiment.setup import Setup
from mtlbench.experiment.trained import Trained
from mtlbench.identity import without_neutral
from mtlbench.metrics import METRICS as BUILT_IN
from mtlbench.metrics import Metric, metrics_of
from mtlbench.models.model import MultiTaskModel
from mtlbench.space import IMAGES
from mtlbench.storage.store import content_key
from mtlbench.tasks import EVERY_TASK, named


def model_identity(
    setup: Setup, trained: Trained, dataset: MultiTaskDataset, arithmetic: str = FP32
) -> dict[str, Any]:
    """The part of the identity that all cells of one model on one split share."""
    version = setup.architecture.version_at(size_of(setup.config))
    defence, found = setup.defence, trained.model.identity()
    if defence is not None:
        found |= {"model": f"{found['model']}+{defence.label}"}
        found |= {"defence": {**defence.identity(), "model": trained.model.identity()["model"]}}
    return {
        "dataset": dataset.name + dataset.chosen + dataset.scoring,
        "split": dataset.split,
        "fingerprint": fingerprint(dataset, setup.outputs.fingerprints),
        "n_images": len(dataset),
        **found,
        "training": trained.training,
        "seed": trained.seed,
        **({"model_version": version} if version > 1 else {}),
        **({} if dataset.space == IMAGES else {"eps_unit": dataset.space.unit}),
    } | in_identity(arithmetic)


def plan(identity: Mapping[str, Any], attack: Attack | None, eps: float, alternatives: Sequence[Plan] = ()) -> Plan:
    """The cell of an identity, under its content key."""
    return Plan(content_key(identity), attack, eps, identity, tuple(alternatives))


def clean_plan(model: Mapping[str, Any]) -> Plan:
    """The cell without an attack, which every relative score of the same model joins."""
    nothing = {"attack": NO_ATTACK, "objective": {}, "target": EVERY_TASK, "tasks": []}
    return plan({**model, **nothing, "step": "-", "steps": 0, "step_options": {}, "eps": 0.0}, None, 0.0)


def plans(
    config: Config,
    model: Mapping[str, Any],
    attacks: Mapping[str, Attack],
    epsilons: list[float],
    training_images: Mapping[str, Any] | None = None,
) -> list[Plan]:
    """The clean cell, then a cell for every target and epsilon, each after its alternatives.

    Args:
        config: its ``attack`` group names the attack.
        model: the part of the identity that all cells of a model and split share.
        attacks: target -> attack.
        epsilons: in the unit of the dataset's space.
        training_images: what names the images of ``attack.clean_values=train``.
    """
    found = [clean_plan(model)]
    for target, attack in attacks.items():
        for eps in epsilons:
            alternatives = [
                plan(
                    {**model, **attack_identity(one.objective.name, target, one, training_images), "eps": eps},
                    one,
                    eps,
                )
                for one in attack.alternatives
            ]
            about = attack_identity(config["attack"]["name"], target, attack, training_images)
            identity = {**model, **about, "eps": eps}
            found += [*alternatives, plan(identity, attack, eps, alternatives)]
    return found


def attack_identity(
    name: str, target: str, attack: Attack, training_images: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Everything about an attack except epsilon that can change a result."""
    step = attack.step.identity()
    scale = {task.name: attack.loss_scale.get(task.name, 1.0) for task in attack.tasks}
    # Of one run there is nothing to judge.
    judge = attack.judge.name if attack.judge and (attack.restarts > 1 or attack.starts != (INPUT,)) else None
    begun = list(attack.starts) if attack.starts != (INPUT,) else None
    source = None if attack.source is None else _source(attack.source)
    seen = {"loss_scale": {task: factor for task, factor in scale.items() if factor != 1} or None, "judge": judge}
    seen |= _climbed(attack, training_images)
    counted = without_neutral({"eps_unit": attack.step.counts})  # in the place of that of the inputs
    neutral = {"norm": LINF, "logits": RAW, "eot": 1}  # the values from before the options existed; omitted
    chosen = {option: getattr(attack, option) for option in neutral}
    return (
        {
            "attack": name,
            "objective": attack.objective.identity() | without_neutral(seen),
            "target": target,
            "tasks": [task.name for task in attack.tasks],
            "step": step["name"],
            "steps": attack.step.steps,
            "step_options": {name: value for name, value in step.items() if name != "name"},
            "starts": without_neutral(
                {"random_start": attack.random_start, "restarts": attack.restarts, "from": begun}
            ),
        }
        | {option: value for option, value in chosen.items() if value != neutral[option]}
        | without_neutral({"made_on": source})
        | counted
    )


def _source(model: nn.Module) -> dict[str, Any]:
    """What names the model that an attack is made on."""
    assert isinstance(model, MultiTaskModel)
    return {name: value for name, value in model.identity().items() if value is not None}


def _climbed(attack: Attack, training_images: Mapping[str, Any] | None) -> dict[str, Any]:
    """The losses that take the place of the tasks' own; or the metrics, and the images of their clean values."""
    if attack.objective.climbs != METRICS:
        return {"loss": {task.name: named(task.climbed) for task in attack.seen if task.name in attack.loss} or None}
    found: dict[str, Any] = {"metrics": {task.name: [_level(m) for m in metrics_of(task)] for task in attack.seen}}
    return found | ({"clean_values": dict(training_images or {})} if attack.clean_values == TRAIN else {})


def _level(metric: Metric) -> Any:
    """The name of a metric; with its smooth level, if that is not the one of the built-in metric of this name.

    A stand-in is always told: before there were any, the task's loss was climbed.
    """
    own = BUILT_IN.get(metric.name)
    if metric.stand_in:
        return {"name": metric.name, "stand_in": metric.stand_in}
    if own is not None and own.smooth == metric.smooth:
        return metric.name
    return {"name": metric.name, "smooth": None if metric.smooth is None else named(metric.smooth)}


def with_public_names(identity: Mapping[str, Any], plugins: Sequence[str]) -> dict[str, Any]:
    """The identity of a cell from before schema 3, with the public names of a plugin's components."""
    if not identity["objective"]:
        return dict(identity)
    step = identity_of({"name": identity["step"], **identity["step_options"]}, plugins)
    objective = identity_of(identity["objective"], plugins)
    return {**identity, "objective": objective, "step": step.pop("name"), "step_options": step}
