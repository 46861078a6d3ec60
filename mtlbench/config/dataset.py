"""The dataset of a configuration: its folder, generated if it is missing, and its splits."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtlbench.config import Config
from mtlbench.config.build import build, target_of
from mtlbench.config.tasks import with_plugins
from mtlbench.data import parts, rooms, sentences
from mtlbench.data.augment import Augment
from mtlbench.data.base import MultiTaskDataset
from mtlbench.data.folder.dataset import described_root
from mtlbench.data.generated import Form, default_root, make
from mtlbench.errors import DataError, UsageError
from mtlbench.options import flag, whole
from mtlbench.process.progress import Progress, silent
from mtlbench.space import Space
from mtlbench.storage.outputs import Outputs
from mtlbench.tasks import Task, scored_by, scoring

RESOLUTION, AUGMENT = "resolution", "augment"
"""Options of datasets of images."""

LARGEST_SIDE = 8192
LARGEST_SEED = 2**32 - 1
GENERATED: dict[str, Form[Any]] = {**rooms.FORMS, **parts.FORMS, **sentences.FORMS}
"""Values of ``dataset.make.form``."""


def image_size(value: object) -> tuple[int, int]:
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


def known_tasks(config: Config) -> tuple[Task, ...] | None:
    """The tasks of the dataset, known before its files exist; None if they depend on the files.

    Raises:
        UsageError: an option of the dataset is wrong.
    """
    dataset, reader = config["dataset"], _reader(config)
    for name in (RESOLUTION, AUGMENT):
        if (name in dataset) != (reader.space.form == "image"):
            raise UsageError(
                f"dataset.{name}={dataset.get(name)}: datasets of images need this option, others lack it"
            )
    size_of(config)
    augmentation(config)
    flag(dataset.get("follow_links", False), "dataset.follow_links")
    own = reader.tasks_of(dataset["reader"])
    return None if own is None else _scored(own, config)


def _reader(config: Config) -> type[MultiTaskDataset]:
    found: type[MultiTaskDataset] = target_of(config["dataset"]["reader"], config["plugins"], MultiTaskDataset)
    return found


def space_of(config: Config) -> Space:
    """What the dataset's inputs are, which its files need not say."""
    return _reader(config).space


def starts_of(config: Config) -> tuple[str, ...]:
    """Where an attack on the dataset's inputs may start beside them."""
    return _reader(config).starts


def size_of(config: Config) -> tuple[int, int]:
    """(height, width) of the inputs; 1 x 1 of those that are no images."""
    return image_size(config["dataset"].get(RESOLUTION, 1))


def _scored(own: Sequence[Task], config: Config) -> tuple[Task, ...]:
    metrics = config["dataset"].get("metrics")
    return tuple(own) if metrics is None else scored_by(own, metrics)


def with_own_metrics(config: Config) -> Config:
    """The same configuration, with tasks scored by the dataset's own metrics."""
    return {**config, "dataset": {**config["dataset"], "metrics": None}}


def augmentation(config: Config) -> Augment:
    """The augmentation of the training images."""
    given = config["dataset"].get(AUGMENT, {})
    if not isinstance(given, Mapping) or set(given) - {"scale_min", "scale_max", "mirror"}:
        raise UsageError(f"dataset.augment={given}: expected scale_min, scale_max and mirror")
    return Augment(**given)


def dataset_root(config: Config, progress: Progress = silent) -> Path:
    """The dataset's folder; generated images are made on first use.

    Raises:
        DataError: the folder does not exist.
    """
    dataset = config["dataset"]
    form = None if dataset.get("make") is None else _generator(dataset["make"])
    known_tasks(config)  # checks the options
    if dataset.get("root") is None and form is not None:
        images = whole(dataset[form.counted], f"dataset.{form.counted}", 2)
        seed = whole(dataset["seed"], "dataset.seed", 0, LARGEST_SEED)
        size = size_of(config)
        root = default_root(Outputs.of(config).datasets, form, images, size, seed)
        make(root, form, images, size, seed, lambda done, total: progress(done, total, form.counted))
        return root
    if dataset["root"] is None and (found := _reader(config).at_hand()) is not None:
        return found
    described = dataset["root"] is None and "describe" in dataset
    root = described_root(dataset["describe"]) if described else Path(str(dataset["root"])).expanduser()
    if not root.is_dir():
        raise DataError(f"dataset.root={root}: no such folder; expected the folder of dataset={dataset['name']}")
    return root


def comes_by_itself(config: Config) -> bool:
    """Whether mtlbench makes the dataset, or has it at hand, so that it may train on it unasked."""
    dataset = config["dataset"]
    return dataset["make"] is not None or (dataset["root"] is None and _reader(config).at_hand() is not None)


def _generator(given: object) -> Form[Any]:
    """What ``dataset.make`` names."""
    form = given.get("form") if isinstance(given, Mapping) else None
    if not isinstance(form, str) or form not in GENERATED:
        raise UsageError(f"dataset.make={given}: expected null, or form: one of {', '.join(GENERATED)}")
    return GENERATED[form]


def open_dataset(
    config: Config, split: str, root: Path, limit: int | None = None, augmented: bool = False
) -> MultiTaskDataset:
    """One split of the configured dataset."""
    dataset, of_images = config["dataset"], {}
    if space_of(config).form == "image":
        of_images = {RESOLUTION: size_of(config), AUGMENT: augmentation(config) if augmented else None}
    opened: MultiTaskDataset = build(
        dataset["reader"],
        config["plugins"],
        kind=MultiTaskDataset,
        root=root,
        split=split,
        **of_images,
        seed=config["seed"],
        limit=limit,
        name=dataset["name"],
    )
    own = tuple(with_plugins(task, config["plugins"]) for task in opened.tasks)
    opened.tasks = _scored(own, config)
    opened.scoring = scoring(own, opened.tasks)
    return opened


def dataset_identity(config: Config, root: Path) -> dict[str, Any]:
    """Everything that determines the training images, without their location."""
    generated = config["dataset"]["make"] is not None and config["dataset"]["root"] is None
    # All splits have the same settings; weights may be attacked without their training images.
    opened = open_dataset(config, "test", root, augmented=True)
    return {"name": opened.name, "settings": opened.settings()} | ({"generated": root.name} if generated else {})
