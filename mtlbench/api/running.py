"""`attack` and `perturb`: from a model and a loader to results, or to attacked images."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from mtlbench.api.attacks import attacks_of, radii
from mtlbench.api.result import REPLICATES, Result
from mtlbench.api.run import Run
from mtlbench.attacks.objectives import Objective
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import Step
from mtlbench.constants import GREY_LEVELS, LINF
from mtlbench.data.own import OwnImages
from mtlbench.engine.clean_values import CleanValues
from mtlbench.engine.draws import ATTACK, drawn
from mtlbench.engine.evaluate import frozen
from mtlbench.engine.losses import TaskLosses
from mtlbench.engine.precision import FP32, computing_in
from mtlbench.errors import MachineError, UsageError
from mtlbench.models.adapted import Adapted
from mtlbench.models.inference import for_inference
from mtlbench.models.model import MultiTaskModel
from mtlbench.models.outputs import Outputs
from mtlbench.models.single_task import SingleTaskModels
from mtlbench.options import whole
from mtlbench.tasks import Task, three_tasks

Net = nn.Module | Callable[[Tensor], Any]
Model = Net | Mapping[str, Net]
Tasks = Mapping[str, Task] | Sequence[Task] | str
KNOWN_TASKS = {"nyuv2": 40, "rooms": 13}
"""Name of a set of tasks -> its classes of segmentation; beside them surface normals and depth in metres."""


def attack(
    model: Model,
    loader: Any,
    tasks: Tasks,
    objective: str | Objective | Iterable[str | Objective] = ("single", "total", "dgba"),
    step: str | Step = "mim_linear",
    eps: float | Iterable[float] = (1, 2, 4, 8),
    *,
    steps: int | None = None,
    norm: str = LINF,
    inputs: object = "rgb01",
    outputs: Outputs = None,
    modules: Sequence[nn.Module] = (),
    limit: int | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    batch_size: int = 16,
    name: str | None = None,
    dataset: str = "own",
    baseline: Mapping[str, Net] | None = None,
    source: Net | None = None,
    random: bool = False,
    eot: int = 1,
    probe: str | None = "strict",
    converged: int | None = None,
    replicates: int = REPLICATES,
    progress: bool = True,
    save_images: int | None = None,
) -> Result:
    """Attack a model and score what is left of it.

    Args:
        model: a module or a callable: images in, predictions of all tasks out; or task -> such a model of that task.
        loader: gives batches ``(images, {task: target})`` or ``{"image": images, task: target}``, images as RGB in
            [0, 1], [B, 3, H, W]; or one such batch. It is read once, twice with a baseline, in its order: it must not
            shuffle.
        tasks: the tasks by name, made by `segmentation`, `depth`, `normals`, `regression`, `classification` or
            `multilabel`; or ``"nyuv2"`` or ``"rooms"`` (40 or 13 classes,
            normals, depth in metres).
        objective: what to climb, by name or as an object: one or more of dgba, total, single (each task alone),
            sign_sum, static, power, weighted_total, floor, bounded, smooth_arp, smooth_log, worst_task, auto (the
            reference attack), sea (segmentation alone) and noise. For smooth_arp, smooth_log, worst_task and auto the
            loader is read twice: they need the metrics' clean values first.
        step: how to move, by name or as an object: mim_linear, apgd, apgd_shrinking, pgd, fgsm, mim, saga, square.
            auto and sea have a rule of their own.
        eps: radius or radii in grey levels of 255.
        steps: gradient steps, or queries of square; None takes those of the step rule.
        norm: linf, or l2 (eps is then the root mean square change of a value).
        inputs: what the model wants to see: rgb01, imagenet, half, rgb255, bgr01, bgr255-mean or (mean, std). It is
            applied inside, so that eps keeps its unit.
        outputs: where the tasks are in what the model returns: task -> key, position or slice of channels, or a
            function from that to task -> tensor; None where it returns a mapping from these names.
        modules: the modules that a callable uses, so that they are in evaluation mode and their weights are known.
        limit: the first so many images.
        seed: of random starts, noise and the bootstrap.
        device: where to compute; None or ``auto`` computes where the model is.
        batch_size: images at once on a GPU; a CPU takes blocks of its own, so that a result does not depend on it.
        name: of the model in tables; its class where None.
        dataset: what the images are called in tables.
        baseline: task -> a model of that task alone, with the same `inputs`, which returns its prediction or a mapping
            that holds it. They are attacked, too: `Result.baseline`, and the column ``gain_vs_independent`` of
            `Result.transferability`.
        source: another model of these tasks, with the same `inputs` and `outputs`, that the attacks are made on: do
            they transfer? Where gradients of `model` are hidden, such an attack is the stronger one.
        random: whether the model draws random numbers, from PyTorch's, NumPy's or Python's global generators. It is
            then called image by image, with draws that depend on `seed` and the image alone; each image is scored with
            one draw, the same before and after the attack.
        eot: of a random model, the number of draws whose mean gradient each step follows.
        probe: ``strict`` refuses a model whose tables would be wrong, with the reasons and what helps
            (docs/probe.md); ``warn`` prints them and goes on; None does not ask.
        converged: on how many images, the first ones, to try twice the steps: `Result.checks` has the gain, and an
            alarm is raised where it is above 5 %. 32 is a good number; None does not check.
        replicates: of the bootstrap over images.
        progress: show how far it is, on stderr.
        save_images: keep so many images, clean and attacked, with their predictions, for `Result.panels`: those that
            the attacks hurt most, least and in between (docs/panels.md). The loader is read once more.

    Raises:
        ModelError: the model does not return its tasks, or the probe refuses it.
        DataError: the loader gives something else.
        UsageError: an argument is wrong.
    """
    chosen = as_tasks(tasks)
    run = Run(
        tasks=chosen,
        attacks=attacks_of(objective, step, steps, chosen, norm, eot),
        epsilons=radii(eps),
        device=device_of(model, modules, device),
        seed=whole(seed, "seed", 0),
        limit=None if limit is None else whole(limit, "limit"),
        batch_size=whole(batch_size, "batch_size"),
        dataset=dataset,
        probe=probe,
        replicates=whole(replicates, "replicates", 0),
        progress=progress,
        converged=None if converged is None else whole(converged, "converged"),
        save_images=None if save_images is None else whole(save_images, "save_images", 1),
    )
    adapted = adapt(model, chosen, inputs, outputs, modules, name, random).to(run.device)
    several_draws(adapted, eot)
    if source is not None:
        run = run.made_on(adapt(source, chosen, inputs, outputs, modules, name, random).to(run.device))
    alone = None
    if baseline is not None:
        named = adapted.identity()["model"]
        alone = SingleTaskModels(baseline, chosen, inputs, modules_of(modules), named, random).to(run.device)
    result = run.of(adapted, loader)
    return result if alone is None else result.with_baseline(run.of(alone, loader))


def perturb(
    model: Model,
    images: Tensor,
    targets: Mapping[str, Tensor],
    tasks: Tasks,
    eps: float = 8,
    objective: str | Objective = "dgba",
    step: str | Step = "mim_linear",
    *,
    steps: int | None = None,
    norm: str = LINF,
    inputs: object = "rgb01",
    outputs: Outputs = None,
    modules: Sequence[nn.Module] = (),
    random: bool = False,
    eot: int = 1,
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
        random: see `attack`.
        eot: see `attack`.
        seed: of random starts, noise and the draws of a random model.

    Raises:
        ModelError: the model does not return its tasks.
        DataError: an image or target has another form.
        UsageError: an argument is wrong.
    """
    chosen = as_tasks(tasks)
    (radius,) = radii(eps)
    ((_, built),) = attacks_of([objective], step, steps, chosen, norm, eot)
    if len(built) > 1:
        raise UsageError(f"objective=single: give one task, not {', '.join(built)}")
    (one,) = built.values()
    where = images.device
    adapted = adapt(model, chosen, inputs, outputs, modules, random=random)
    several_draws(adapted, eot)
    batch = OwnImages((images, targets), chosen).first(len(images)).to(where)
    size = batch.input.new_full((len(batch),), radius / GREY_LEVELS)
    with computing_in(FP32, adapted), frozen(adapted):
        fast = for_inference(adapted)
        forward = drawn(fast, seed, batch.names, ATTACK)
        losses = TaskLosses.seen_by(one, forward, batch, CleanValues(fast, lambda: [batch], where, seed))
        return one(losses, batch.input, size, PerImage(seed, batch.names))


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
    if isinstance(tasks, Mapping) and (wrong := [name for name, task in tasks.items() if not isinstance(task, Task)]):
        given = tasks[wrong[0]]
        hint = f"; call it: mtlbench.{given.__name__}(...)" if callable(given) and hasattr(given, "__name__") else ""
        raise UsageError(f"tasks[{wrong[0]!r}]={given!r}: expected a task such as mtlbench.depth(){hint}")
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
    random: bool = False,
) -> MultiTaskModel:
    """The model in the form that the engine takes."""
    if isinstance(model, MultiTaskModel):
        if inputs != "rgb01" or outputs is not None or random:
            raise UsageError(f"inputs, outputs, random: a {type(model).__name__} has its own")
        return model
    if isinstance(model, (Mapping, nn.ModuleDict)):
        if outputs is not None:
            raise UsageError("outputs: a model of each task returns its prediction, or a mapping that holds it")
        return SingleTaskModels(dict(model.items()), tasks, inputs, modules_of(modules), name, random)
    return Adapted(model, tasks, inputs, outputs, modules_of(modules), name, random=random)


def several_draws(model: MultiTaskModel, eot: int) -> None:
    """Refuse to draw several times what is always the same."""
    if eot > 1 and not model.random:
        raise UsageError(f"eot={eot}: the model says of no random numbers; expected random=True, or eot=1")


def modules_of(given: Sequence[nn.Module]) -> list[nn.Module]:
    """The modules, which may be a single one."""
    return [given] if isinstance(given, nn.Module) else list(given)


def device_of(model: Model, modules: Sequence[nn.Module], asked: torch.device | str | None = None) -> torch.device:
    """The device that is asked for; else that of the first parameter, or the CPU where there is none.

    Raises:
        UsageError: it has another name.
        MachineError: it is not there.
    """
    if asked is None or asked == "auto":
        models = model.values() if isinstance(model, Mapping) else (model,)
        used = [module for module in (*models, *modules_of(modules)) if isinstance(module, nn.Module)]
        return next((parameter.device for module in used for parameter in module.parameters()), torch.device("cpu"))
    try:
        found = torch.device(asked)
    except RuntimeError as error:
        raise UsageError(f"device={asked!r}: expected auto, cpu, cuda or cuda:N") from error
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise MachineError(f"device={asked}: PyTorch sees {torch.cuda.device_count()} GPUs; expected auto or cpu")
    return found
