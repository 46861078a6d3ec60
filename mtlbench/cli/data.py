"""The actions of `mtlbench data`: generate a dataset, verify every file, describe a split, convert other forms."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mtlbench.config.dataset import dataset_root, open_dataset
from mtlbench.data import left_out
from mtlbench.data.base import MultiTaskDataset
from mtlbench.data.convert import to_folder
from mtlbench.data.describe import describe
from mtlbench.data.loader import in_order
from mtlbench.data.verify import verify as verify_split
from mtlbench.engine.baseline import constants, scores
from mtlbench.errors import DataError, MissingSplitError, UsageError
from mtlbench.metrics import metrics_of
from mtlbench.process.progress import Progress
from mtlbench.report.datasets import show_baseline, show_description, show_verification
from mtlbench.report.terminal import console, progress_bar

SPLITS = ("train", "test")
CONSTANTS_FROM = 512


def make(config: Mapping[str, Any]) -> None:
    """Generate rooms, parts or sentences; nothing happens if they exist."""
    if config["dataset"]["make"] is None:
        raise UsageError(
            f"action=make dataset={config['dataset']['name']}: expected rooms, rooms5, rooms8, parts or sentences"
        )
    if config["dataset"]["root"] is not None:
        raise UsageError(
            f"dataset.root={config['dataset']['root']}: action=make writes to its own folder below outputs; leave it"
        )
    root = _root(config)
    console().print(f"{root} is there", soft_wrap=True)


def verify(config: Mapping[str, Any]) -> None:
    """Decode every file of the existing splits.

    Raises:
        DataError: at least one file cannot be used; all of them have been listed. Or there is no test split.
    """
    root = _root(config)
    there, broken = _splits(config, root, "checked")
    bad = len(broken)
    for error in broken:
        console().print(f"bad: {error}", soft_wrap=True)
    for dataset in there:
        with progress_bar(f"verify {dataset.name} {dataset.split}") as progress:
            found = verify_split(dataset, _images(progress))
        show_verification(dataset.name, dataset.split, found)
        bad += len(found.problems)
    if bad:
        raise DataError(f"{root}: {bad} files cannot be used; they are listed above")
    _require_test(config, root, there)


def info(config: Mapping[str, Any]) -> None:
    """Counts, class frequencies and the depth histogram of the existing splits.

    Raises:
        DataError: a split cannot be read, or there is no test split; the others have been described.
    """
    root = _root(config)
    there, broken = _splits(config, root, "described")
    for dataset in there:
        with progress_bar(f"read {dataset.name} {dataset.split}") as progress:
            found = describe(dataset, _images(progress))
        show_description(found, left_out.line(dataset))
    for error in broken:
        raise error
    _require_test(config, root, there)


def baseline(config: Mapping[str, Any]) -> None:
    """Scores of the best constant prediction on the test split, with constants from up to 512 training images.

    Without training images they are taken from the test images, with a note.
    """
    root = _root(config)
    test = open_dataset(config, "test", root)
    try:
        training = open_dataset(config, "train", root, limit=CONSTANTS_FROM)
    except MissingSplitError as error:
        console().print(f"note: these are constants of the test images themselves: {error}", soft_wrap=True)
        training = open_dataset(config, "test", root, limit=CONSTANTS_FROM)
    constant = constants(test.tasks, list(in_order(training, 32)))
    found = scores(test.tasks, constant, in_order(test, 32))
    units = {(task.name, metric.name): metric.unit for task in test.tasks for metric in metrics_of(task)}
    show_baseline(test.name, [(*which, units[which], value) for which, value in found.items()])


def convert(config: Mapping[str, Any]) -> None:
    """Unpack a dataset that is distributed as one file, and print which dataset option reads it.

    Raises:
        UsageError: source or target is not given, or the source has no supported format.
    """
    source, target = (_path(config[key], key) for key in ("source", "target"))
    with progress_bar(f"convert {source.name}") as progress:
        done = to_folder(source, target, _images(progress))
    counts = " and ".join(f"{count} {split}" for split, count in done.images.items())
    console().print(f"{target}: {counts} images", markup=False, soft_wrap=True)
    for note in done.notes:
        console().print(f"note: {note}", markup=False, soft_wrap=True)
    options = " ".join(f"dataset.{key}={shlex.quote(str(value))}" for key, value in done.options.items())
    console().print(f"mtlbench data action=verify dataset={done.dataset} {options}", markup=False, soft_wrap=True)


def _path(value: object, option: str) -> Path:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"action=convert {option}={'null' if value is None else value}: expected a path")
    return Path(value).expanduser()


def _splits(config: Mapping[str, Any], root: Path, done: str) -> tuple[list[MultiTaskDataset], list[DataError]]:
    """The existing splits, and the errors of those that cannot be opened; a missing training split gives only a note.

    Raises:
        DataError: none can be opened.
    """
    there, broken = [], {}
    for split in SPLITS:
        try:
            there.append(open_dataset(config, split, root))
        except DataError as error:
            broken[split] = error
    if not there:
        raise broken["test"]
    for split, why in broken.items():
        if isinstance(why, MissingSplitError):
            console().print(f"note: no {split} split is {done}: {why}", soft_wrap=True)
    return there, [why for why in broken.values() if not isinstance(why, MissingSplitError)]


def _require_test(config: Mapping[str, Any], root: Path, there: Sequence[MultiTaskDataset]) -> None:
    """Raise the error of opening the test split, if there is none: such a dataset cannot be attacked."""
    if all(dataset.split != "test" for dataset in there):
        open_dataset(config, "test", root)


def _root(config: Mapping[str, Any]) -> Path:
    with progress_bar(f"generate {config['dataset']['name']}") as progress:
        return dataset_root(config, progress)


def _images(progress: Progress) -> Callable[[int, int], None]:
    return lambda done, total: progress(done, total, "images")
