"""From a composed configuration to the parts of an experiment: dataset, tree, backbone, recipe, attacks, device.

Every function checks what it reads and names the option when it is wrong. Nothing here loads weights or computes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import Objective, Scaled
from mtlbench.attacks.steps import Step
from mtlbench.config.build import build
from mtlbench.data.augment import Augment
from mtlbench.data.base import ImageDataset
from mtlbench.data.rooms import default_root, make
from mtlbench.engine.adversarial import Adversary
from mtlbench.engine.precision import FP32
from mtlbench.engine.training import Recipe
from mtlbench.errors import DataError, MachineError, UsageError
from mtlbench.models.backbone import Backbone
from mtlbench.models.sharing import Tree, all_trees, by_index, by_name, level, parse
from mtlbench.options import is_number
from mtlbench.process.progress import Progress, silent
from mtlbench.tasks import Task, scored_by, scoring, select

Config = Mapping[str, Any]
LARGEST_EPS = 255.0
LARGEST_SIDE = 8192


def resolution(value: object) -> tuple[int, int]:
    """(height, width) from ``64``, ``480x640`` or ``[480, 640]``."""
    parts = value.lower().split("x") if isinstance(value, str) else value
    try:
        sides = [int(part) for part in parts] if isinstance(parts, Sequence) else [int(parts)] * 2  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        sides = []
    if len(sides) == 1:
        sides *= 2
    if len(sides) != 2 or min(sides) < 1 or max(sides) > LARGEST_SIDE:
        raise UsageError(
            f"dataset.resolution={value}: expected a number of pixels such as 64, or HEIGHTxWIDTH; "
            f"sides up to {LARGEST_SIDE}"
        )
    return sides[0], sides[1]


def dataset_root(config: Config, progress: Progress = silent) -> Path:
    """The dataset's folder; generated rooms are made on first use.

    Raises:
        DataError: the folder does not exist.
    """
    dataset = config["dataset"]
    generator = dataset.get("make")
    if generator is not None and (not isinstance(generator, Mapping) or not isinstance(generator.get("form"), str)):
        raise UsageError(f"dataset.make={generator}: expected null, or the form of generated rooms")
    if dataset.get("root") is None and generator is not None:
        size, outputs = resolution(dataset["resolution"]), Path(config["outputs"])
        options = {"form": generator["form"], "images": dataset["images"], "seed": dataset["seed"]}
        root = default_root(outputs, resolution=size, **options)
        make(root, resolution=size, progress=lambda done, total: progress(done, total, "images"), **options)
        return root
    root = Path(str(dataset["root"])).expanduser()
    if not root.is_dir():
        raise DataError(f"dataset.root={root}: no such folder; expected the folder of dataset={dataset['name']}")
    return root


def open_dataset(
    config: Config, split: str, root: Path, limit: int | None = None, augmented: bool = False
) -> ImageDataset:
    """One split of the configured dataset."""
    dataset = config["dataset"]
    if not isinstance(dataset["augment"], Mapping) or set(dataset["augment"]) - {"scale_min", "scale_max", "mirror"}:
        raise UsageError(f"dataset.augment={dataset['augment']}: expected scale_min, scale_max and mirror")
    opened: ImageDataset = build(
        dataset["reader"],
        config["plugins"],
        kind=ImageDataset,
        root=root,
        split=split,
        resolution=resolution(dataset["resolution"]),
        augment=Augment(**dataset["augment"]) if augmented else None,
        seed=config["seed"],
        limit=limit,
        name=dataset["name"],
    )
    own, metrics = opened.tasks, dataset.get("metrics")
    opened.tasks = own if metrics is None else scored_by(own, metrics)
    opened.scoring = scoring(own, opened.tasks)
    return opened


def dataset_identity(config: Config, root: Path) -> dict[str, Any]:
    """What decides the training images, without the place they lie in."""
    generated = config["dataset"]["make"] is not None and config["dataset"]["root"] is None
    # Settings are those of any split; weights are attacked where the training images are not.
    settings = open_dataset(config, "test", root, augmented=True).settings()
    return {"name": config["dataset"]["name"], "settings": settings} | ({"generated": root.name} if generated else {})


def tree(config: Config, tasks: int) -> Tree:
    """The sharing tree of the configuration for `tasks` tasks.

    Raises:
        UsageError: there is no such tree, or the sweep does not fit so many tasks.
    """
    sharing = config["sharing"]
    if "shared_blocks" in sharing:
        return level(tasks, sharing["shared_blocks"])
    index, partitions = sharing["index"], sharing["partitions"]
    if config.get("all_trees") and tasks != 3:
        raise UsageError(
            f"all_trees=true: it sweeps over the 51 trees of three tasks, {tasks} tasks have {len(all_trees(tasks))}; "
            "name those you want, for example sharing.index=independent,3,all_shared"
        )
    if (index is None) == (partitions is None):
        found = "neither" if index is None else "both"
        raise UsageError(
            f"sharing=tree: {found} of sharing.index and sharing.partitions given; expected one of them, "
            f"for example sharing.index=17; `mtlbench layouts tasks={tasks}` lists the trees"
        )
    if index is None:
        return parse(str(partitions), tasks)
    return by_name(index, tasks) if isinstance(index, str) else by_index(index, tasks)


def backbone(config: Config) -> Backbone:
    """The backbone of the configuration."""
    built: Backbone = build(config["model"], config["plugins"], kind=Backbone)
    return built


def recipe(config: Config) -> Recipe:
    """How the model is trained."""
    training = config["training"]
    if not isinstance(training["betas"], Sequence):
        raise UsageError(f"training.betas={training['betas']}: expected two numbers from 0 to below 1")
    return Recipe(
        iterations=training["iterations"],
        batch_size=training["batch_size"],
        lr=training["lr"],
        schedule=training["schedule"],
        halve_every=training["halve_every"],
        betas=tuple(training["betas"]),
        weight_decay=training["weight_decay"],
        seed=config["seed"],
        precision=training.get("precision", FP32),
    )


def adversary(config: Config) -> Adversary | None:
    """What makes the attacked images of adversarial training; None for clean training."""
    training = config["training"]
    if "attack" not in training:
        return None
    names = ("attack", "step", "steps", "eps", "ratio", "warmup")
    return Adversary(**{name: training[name] for name in names}, seed=config["seed"])


def engine(config: Config) -> tuple[Objective, Step] | None:
    """Objective and step rule of the configuration, None for attack=none; needs no dataset."""
    chosen = config["attack"]
    if chosen["objective"] is None:
        return None
    step = chosen.get("fixed_step") or chosen["step"]
    return (
        build(chosen["objective"], config["plugins"], kind=Objective),
        build(step, config["plugins"], kind=Step),
    )


def attacks(config: Config, built: tuple[Objective, Step] | None, tasks: Sequence[Task]) -> dict[str, Attack]:
    """Target -> attack: one entry ``all``, or for `single` one per attacked task. Empty for attack=none."""
    chosen = config["attack"]
    names = chosen["tasks"]
    targets = select(tasks, [names] if isinstance(names, str) else names, "attack.tasks")
    if built is None:
        return {}
    scale = _loss_scale(chosen.get("loss_scale"), targets)
    starts = {"random_start": chosen["random_start"], "restarts": chosen["restarts"]}

    def attack(seen: tuple[Task, ...]) -> Attack:
        objective, step = built
        if scale:
            names = [task.name for task in seen]
            objective = Scaled(objective, [scale.get(name, 1.0) for name in names], names)
        return Attack(objective, step, seen, **starts)

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


def epsilons(config: Config) -> list[float]:
    """The list of radii in grey levels of 255, ascending and without repeats."""
    given = config["eps"]
    values = list(given) if isinstance(given, (list, tuple)) else [given]
    unit = "eps counts grey levels of 255: write eps=4 for 4/255, or eps=[1,2,4,8]"
    if not values:
        raise UsageError(f"eps={given}: the list is empty; {unit}")
    for value in values:
        if not is_number(value, 0, LARGEST_EPS):
            raise UsageError(f"eps={value}: expected a number from 0 to 255; {unit}")
    return sorted({float(value) for value in values})


def device(config: Config) -> torch.device:
    """Where to compute.

    Raises:
        MachineError: the device is not there.
    """
    name = str(config["device"])
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(name)
    except RuntimeError:
        chosen = torch.device("meta")
    if chosen.type not in ("cpu", "cuda"):
        raise UsageError(f"device={name}: expected auto, cpu, cuda or cuda:N")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise MachineError(
            f"device={name}: PyTorch sees {torch.cuda.device_count()} GPUs; use device=cpu or device=auto"
        )
    return chosen
