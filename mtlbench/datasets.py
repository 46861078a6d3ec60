"""The actions of `mtlbench data`: generate rooms, verify every file, describe a split."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mtlbench import parts
from mtlbench.baseline import constants, scores
from mtlbench.data import left_out
from mtlbench.data.describe import describe
from mtlbench.data.loader import in_order
from mtlbench.data.verify import verify as verify_split
from mtlbench.errors import DataError, UsageError
from mtlbench.metrics import METRICS
from mtlbench.progress import Progress
from mtlbench.report.datasets import show_baseline, show_description, show_verification
from mtlbench.report.terminal import console, screen

SPLITS = ("train", "test")
CONSTANTS_FROM = 512


def make(config: Mapping[str, Any]) -> None:
    """Generate rooms; nothing happens where they are there already."""
    if config["dataset"]["make"] is None:
        raise UsageError(f"action=make dataset={config['dataset']['name']}: only rooms and rooms5 can be generated")
    if config["dataset"]["root"] is not None:
        raise UsageError(
            f"dataset.root={config['dataset']['root']}: action=make has a folder of its own below outputs; leave it"
        )
    root = _root(config)
    console().print(f"{root} is there", soft_wrap=True)


def verify(config: Mapping[str, Any]) -> None:
    """Decode every file of both splits.

    Raises:
        DataError: at least one file cannot be used; all of them have been listed.
    """
    root, bad = _root(config), 0
    for split in SPLITS:
        dataset = parts.open_dataset(config, split, root)
        with screen(f"verify {dataset.name} {split}") as progress:
            found = verify_split(dataset, _images(progress))
        show_verification(dataset.name, split, found)
        bad += len(found.problems)
    if bad:
        raise DataError(f"{root}: {bad} files cannot be used; they are listed above")


def info(config: Mapping[str, Any]) -> None:
    """Counts, class frequencies and the depth histogram of both splits."""
    root = _root(config)
    for split in SPLITS:
        dataset = parts.open_dataset(config, split, root)
        with screen(f"read {dataset.name} {split}") as progress:
            found = describe(dataset, _images(progress))
        show_description(found, left_out.line(dataset))


def baseline(config: Mapping[str, Any]) -> None:
    """Scores of the best constant prediction on the test split, the constants taken from up to 512 training images."""
    root = _root(config)
    training = parts.open_dataset(config, "train", root, limit=CONSTANTS_FROM)
    test = parts.open_dataset(config, "test", root)
    constant = constants(test.tasks, list(in_order(training, 32)))
    found = scores(test.tasks, constant, in_order(test, 32))
    show_baseline(test.name, [(task, name, METRICS[name].unit, value) for (task, name), value in found.items()])


def _root(config: Mapping[str, Any]) -> Path:
    with screen(f"generate {config['dataset']['name']}") as progress:
        return parts.dataset_root(config, progress)


def _images(progress: Progress) -> Callable[[int, int], None]:
    return lambda done, total: progress(done, total, "images")
