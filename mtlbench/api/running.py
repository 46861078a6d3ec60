"""`attack` and `perturb`: from a model and a loader to results, or to attacked images."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from mtlbench.api.attacks import attacks_of, radii
from mtlbench.api.result import REPLICATES, Result
from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import Objective
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import Step
from mtlbench.constants import GREY_LEVELS
from mtlbench.data.own import OwnImages
from mtlbench.engine.evaluate import Pass, cpu_block, evaluate, frozen
from mtlbench.engine.losses import TaskLosses
from mtlbench.engine.plan import Plan
from mtlbench.engine.precision import FP32, computing_in
from mtlbench.errors import UsageError
from mtlbench.experiment import provenance
from mtlbench.experiment.cells import clean_plan, plans
from mtlbench.identity import without_neutral
from mtlbench.metrics.formulas import formulas_of
from mtlbench.models.adapted import Adapted
from mtlbench.models.measured import record_of
from mtlbench.models.model import MultiTaskModel
from mtlbench.models.outputs import Outputs
from mtlbench.options import whole
from mtlbench.probing.ask import IMAGES, before
from mtlbench.process.progress import silent
from mtlbench.report.terminal import progress_bar
from mtlbench.storage.store import Cell
from mtlbench.tasks import Task, three_tasks

Model = nn.Module | Callable[[Tensor], Any]
Tasks = Mapping[str, Task] | Sequence[Task] | str
KNOWN_TASKS = {"nyuv2": 40, "rooms": 13}
"""Name of a set of tasks -> its classes of segmentation; beside them surface normals and depth in metres."""


def attack(
    model: Model,
    loader: Any,
    tasks: Tasks,
    objective: str | Objective | Iterable[str | Objective] = ("single", "total", "dgba"),
    step: str | Step = "apgd",
    eps: float | Iterable[float] = (1, 2, 4, 8),
    *,
    steps: int | None = None,
    norm: str = "linf",
    inputs: object = "rgb01",
    outputs: Outputs = None,
    modules: Sequence[nn.Module] = (),
    limit: int | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    batch_size: int = 16,
    name: str | None = None,
    dataset: str = "own",
    probe: str | None = "strict",
    replicates: int = REPLICATES,
    progress: bool = True,
) -> Result:
    """Attack a model and score what is left of it.

    Args:
        model: a module or a callable: images in, predictions of all tasks out.
        loader: gives batches ``(images, {task: target})`` or ``{"image": images, task: target}``, images as RGB in
            [0, 1], [B, 3, H, W]; or one such batch. It is read once, in its order: it must not shuffle.
        tasks: the tasks by name, made by `segmentation`, `depth`, `normals`, `regression`, `classification` or
            `multilabel`; or ``"nyuv2"`` (40 classes, normals, depth in metres).
        objective: what to climb, by name or as an object: one or more of dgba, total, single (each task alone),
            sign_sum, static, power, weighted_total and noise.
        step: how to move, by name or as an object: apgd, pgd, fgsm, mim, saga.
        eps: radius or radii in grey levels of 255.
        steps: gradient steps; None takes those of the step rule.
        norm: linf, or l2 (eps is then the root mean square change of a value).
        inputs: what the model wants to see: rgb01, imagenet, half, rgb255, bgr01, bgr255-mean or (mean, std). It is
            applied inside, so that eps keeps its unit.
        outputs: where the tasks are in what the model returns: task -> key, position or slice of channels, or a
            function from that to task -> tensor; None where it returns a mapping from these names.
        modules: the modules that a callable uses, so that they are in evaluation mode and their weights are known.
        limit: the first so many images.
        seed: of random starts, noise and the bootstrap.
        device: where to compute; None computes where the model is.
        batch_size: images at once on a GPU; a CPU takes blocks of its own, so that a result does not depend on it.
        name: of the model in tables; its class where None.
        dataset: what the images are called in tables.
        probe: ``strict`` refuses a model whose tables would be wrong, with the reasons and what helps
            (docs/probe.md); ``warn`` prints them and goes on; None does not ask.
        replicates: of the bootstrap over images.
        progress: show how far it is, on stderr.

    Raises:
        ModelError: the model does not return its tasks, or the probe refuses it.
        DataError: the loader gives something else.
        UsageError: an argument is wrong.
    """
    chosen = as_tasks(tasks)
    epsilons = radii(eps)
    attacks = attacks_of(objective, step, steps, chosen, norm)
    where = torch.device(device) if device is not None else device_of(model, modules)
    adapted = adapt(model, chosen, inputs, outputs, modules, name).to(where)
    images = OwnImages(loader, chosen, None if limit is None else whole(limit, "limit"))
    whole(batch_size, "batch_size")
    wanted = _plans(attacks, epsilons)
    head = images.first(IMAGES).to(where)
    asked = before(adapted, chosen, head, probe)
    measured = record_of(adapted, lambda: head.image[:1])
    size = head.image.shape[2:]
    at_once = cpu_block((size[0], size[1])) if where.type == "cpu" else batch_size
    title = f"attack {dataset} {adapted.identity()['model']}"
    work = Pass(adapted, chosen, wanted, seed)
    with computing_in(FP32, adapted), progress_bar(title) if progress else nullcontext(silent) as shown:
        records = evaluate(work, images.blocks(at_once), where, images.expected, shown)
    common = {
        "dataset": dataset,
        "split": "test",
        "fingerprint": images.fingerprint,
        "n_images": images.images,
        **adapted.identity(),
        "training": "given",
        "seed": seed,
    }
    about = provenance.record(where) | {
        "recipe": None,
        "config": None,
        **without_neutral({"sharing_measured": measured}),
    }
    about |= {} if asked is None else {"probe": asked.described()}
    names, formulas = {task.name: list(task.metric_names) for task in chosen}, formulas_of(chosen)
    cells = []
    for plan in wanted:
        record = records[plan.key]
        more = {"gradients_per_image": record.gradients_per_image}
        cells.append(Cell({**common, **plan.identity}, {**about, **more}, names, record.arrays(), formulas))
    return Result(cells, replicates=replicates, seed=seed)


def perturb(
    model: Model,
    images: Tensor,
    targets: Mapping[str, Tensor],
    tasks: Tasks,
    eps: float = 8,
    objective: str | Objective = "dgba",
    step: str | Step = "apgd",
    *,
    steps: int | None = None,
    norm: str = "linf",
    inputs: object = "rgb01",
    outputs: Outputs = None,
    modules: Sequence[nn.Module] = (),
    seed: int = 0,
) -> Tensor:
    """Attacked images [B, 3, H, W] in [0, 1], within `eps` of `images`, on their device.

    Args:
        model: see `attack`.
        images: RGB in [0, 1], [B, 3, H, W].
        targets: task name -> target.
        tasks: see `attack`; ``single`` wants one.
        eps: radius in grey levels of 255.
        objective: see `attack`.
        step: see `attack`.
        steps: see `attack`.
        norm: see `attack`.
        inputs: see `attack`.
        outputs: see `attack`.
        modules: see `attack`.
        seed: of random starts and noise.

    Raises:
        ModelError: the model does not return its tasks.
        DataError: an image or target has another form.
        UsageError: an argument is wrong.
    """
    chosen = as_tasks(tasks)
    (radius,) = radii(eps)
    ((_, built),) = attacks_of([objective], step, steps, chosen, norm).items()
    if len(built) > 1:
        raise UsageError(f"objective=single: give one task, not {', '.join(built)}")
    (one,) = built.values()
    where = images.device
    adapted = adapt(model, chosen, inputs, outputs, modules)
    batch = OwnImages((images, targets), chosen).first(len(images)).to(where)
    losses = TaskLosses(adapted, one.tasks, batch.targets, batch.masks, clean=batch.image, logits=one.logits)
    size = batch.image.new_full((len(batch),), radius / GREY_LEVELS)
    with computing_in(FP32, adapted), frozen(adapted):
        return one(losses, batch.image, size, PerImage(seed, batch.names))


def _plans(attacks: Mapping[str, Mapping[str, Attack]], epsilons: list[float]) -> list[Plan]:
    """Cells without their model and images, of which the whole is known when all are read."""
    found = [clean_plan({})]
    for name, targets in attacks.items():
        found += plans({"attack": {"name": name}}, {}, targets, epsilons)[1:]
    return found


def as_tasks(tasks: Tasks) -> tuple[Task, ...]:
    """Tasks, named by the keys of a mapping.

    Raises:
        UsageError: they are something else.
    """
    if isinstance(tasks, str) and tasks in KNOWN_TASKS:
        return three_tasks(KNOWN_TASKS[tasks])
    if isinstance(tasks, Mapping) and tasks and all(isinstance(task, Task) for task in tasks.values()):
        return tuple(replace(task, name=name) for name, task in tasks.items())
    if isinstance(tasks, Sequence) and tasks and all(isinstance(task, Task) for task in tasks):
        return tuple(tasks)  # type: ignore[arg-type]  # no string: all are tasks
    raise UsageError(
        f"tasks={tasks!r}: expected {{name: mtlbench.depth(), ...}}, a list of tasks, or {' or '.join(KNOWN_TASKS)}"
    )


def adapt(
    model: Model,
    tasks: Sequence[Task],
    inputs: object,
    outputs: Outputs,
    modules: Sequence[nn.Module],
    name: str | None = None,
) -> MultiTaskModel:
    """The model in the form that the engine takes."""
    if isinstance(model, MultiTaskModel):
        if inputs != "rgb01" or outputs is not None:
            raise UsageError(f"inputs, outputs: a {type(model).__name__} has its own")
        return model
    return Adapted(model, tasks, inputs, outputs, modules, name)


def device_of(model: Model, modules: Sequence[nn.Module]) -> torch.device:
    """Where the first parameter is; the CPU where there is none."""
    for module in (model, *modules):
        if isinstance(module, nn.Module):
            for parameter in module.parameters():
                return parameter.device
    return torch.device("cpu")
