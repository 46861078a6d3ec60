"""What each command does with its configuration. Thin: the science is in `experiment`, the looks in `report`."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtlbench import report
from mtlbench.errors import CellsFailed, DataError, UsageError
from mtlbench.files import write_atomically
from mtlbench.report.terminal import console, screen

Config = Mapping[str, Any]
_touched: list[str] = []
_last: dict[str, Any] = {}


@dataclass(frozen=True)
class Command:
    """A command line verb.

    Attributes:
        job: called once per point of a sweep.
        finish: called once after all of them.
    """

    job: Callable[[Config], None]
    finish: Callable[[], None] = lambda: None


def attack(config: Config) -> None:
    """Compute what is missing."""
    from mtlbench.experiment import run_attack

    _last.update(config)
    _write_provenance(config)
    _touched.extend(run_attack(config, screen))


def attack_finish() -> None:
    """Rebuild the tables, show those of this invocation."""
    if _last:
        _report(_last, only=set(_touched))


def train(config: Config) -> None:
    """Train a model."""
    from mtlbench.experiment import run_training

    _write_provenance(config)
    checkpoint = run_training(config, screen)
    console().print(f"{checkpoint.weights} (clean metrics beside it)", soft_wrap=True)


def rebuild(config: Config) -> None:
    """Rebuild the tables from the store and show them."""
    _report(config, only=None)


def _report(config: Config, only: set[str] | None) -> None:
    frames = report.build(Path(config["outputs"]), config["scores"]["paper_batch"])
    shown = frames if only is None else report.build_shown(frames, only)
    report.show(shown, config["scores"]["name"])
