"""The points of an invocation, one or many: run, retried while others have claimed them, counted where they fail."""

import logging
import logging.config
import os
import shlex
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mtlbench.cli.commands import Command
from mtlbench.cli.hydra_errors import as_message, misresolved, say
from mtlbench.config.unread import check_read
from mtlbench.config.values import check_values
from mtlbench.errors import BusyError, MtlbenchError, message
from mtlbench.process import signals
from mtlbench.storage.files import write_atomically

log = logging.getLogger(__name__)
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Polling interval in seconds, for points whose cells another process has claimed."""
MOST_POINTS = 3  # that are named after a message; more with the same one are counted


@dataclass(frozen=True)
class Point:
    """One point of a sweep.

    Attributes:
        overrides: as on a command line.
        number: from 0; None where there is only one point.
        config: its configuration, plain values.
        logging: the configuration of its log, for `logging.config.dictConfig`.
    """

    overrides: str
    number: int | None
    config: dict[str, Any]
    logging: dict[str, Any]


class Sweep:
    """The points of an invocation, one or many: run, retried while others have claimed them, counted where they fail.

    Args:
        command: its job is called with the configuration of a point.
    """

    def __init__(self, command: Command) -> None:
        self.command = command
        self.points = 0
        self.statuses: list[int] = []
        self.messages: Counter[str] = Counter()
        self.waiting: list[tuple[Point, BusyError]] = []
        self.process = os.getpid()

    def point(self, composed: DictConfig) -> None:
        """Called by Hydra once per point. A failure is printed at once; the other points still run."""
        self.points += 1
        settings = HydraConfig.get()
        overrides = OmegaConf.to_container(settings.overrides.task, resolve=False)
        assert isinstance(overrides, list)
        number = settings.job.num if settings.mode == RunMode.MULTIRUN else None
        log_options = OmegaConf.to_container(settings.job_logging, resolve=True)
        assert isinstance(log_options, dict)
        point = Point(shlex.join(overrides), number, {}, {str(key): value for key, value in log_options.items()})
        if composed.get("fail_fast") is True and any(self.statuses):
            print(f"mtlbench: skipped after the failure: {point.overrides}", file=sys.stderr)
            return
        try:
            point.config.update(plain_values(composed, overrides, number is not None))
            _record(point.config)
        except (MtlbenchError, OSError) as error:
            self._failed(point, error)
        else:
            self._run(point)
        if os.getpid() != self.process:
            # A parallel launcher's worker has to wait and write tables itself, because the main process cannot.
            self.retry_waiting()
            self.command.finish()

    def retry_waiting(self) -> None:
        """Retry points whose cells were claimed by another process, until all are done."""
        pause, shown = SHORTEST_PAUSE, ""
        while self.waiting:
            points, self.waiting = self.waiting, []
            reasons = "\n".join(dict.fromkeys(str(error) for _, error in points))
            if points[0][0].config["wait"] is False:
                for point, error in points:
                    self._failed(point, error)
                return
            if reasons != shown:
                print(f"mtlbench: waiting: {reasons}", file=sys.stderr, flush=True)
                pause, shown = SHORTEST_PAUSE, reasons
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
            for point, _ in points:
                logging.config.dictConfig(point.logging)  # Hydra has closed the log of this point
                self._run(point)

    def status(self) -> int:
        """The exit status of the invocation."""
        failed = [status for status in self.statuses if status]
        if not failed:
            return 0
        if len(self.statuses) > 1:
            for text, count in self.messages.items():
                if count > MOST_POINTS:
                    print(f"mtlbench: in {count} points of the sweep: {text}", file=sys.stderr)
            print(f"mtlbench: {len(failed)} of {len(self.statuses)} points of the sweep failed", file=sys.stderr)
        if set(failed) == {BusyError.status}:
            return BusyError.status
        return max(set(failed) - {BusyError.status}) if len(failed) == len(self.statuses) else 1

    def _run(self, point: Point) -> None:
        try:
            self.command.job(point.config)
            self.statuses.append(0)
        except BusyError as error:
            self.waiting.append((point, error))
        except (Exception, SystemExit) as error:  # after any error, the other points continue
            if signals.received:
                raise
            self._failed(point, error)

    def _failed(self, point: Point, error: BaseException) -> None:
        log.info("failed: %s", point.overrides, exc_info=error)
        shown = as_message(error)
        self.statuses.append(shown.status)
        text = message(shown)
        self.messages[text] += 1
        if self.messages[text] == 1:
            say(shown)
        if point.number is not None and self.messages[text] <= MOST_POINTS:
            print(f"  in point {point.number} of the sweep: {point.overrides}", file=sys.stderr)
        if os.getpid() != self.process:  # a parallel launcher passes on only exceptions of its workers
            raise error


def _record(config: dict[str, Any]) -> None:
    """Write the resolved configuration and the overrides to the folder of the run; libyaml is fast, if available."""
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    write_atomically(Path(config["run_dir"]) / "config.yaml", yaml.dump(config, Dumper=dumper, sort_keys=False))


def plain_values(composed: DictConfig, overrides: list[str], swept: bool) -> dict[str, Any]:
    """The configuration as plain Python values, resolved and checked, with its overrides and the folder of the run."""
    try:
        plain = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise misresolved(error) from error
    assert isinstance(plain, dict)
    config = {str(key): value for key, value in plain.items()}
    check_values(config)
    check_read(config, overrides, swept)
    return config | {"overrides": overrides, "run_dir": HydraConfig.get().runtime.output_dir}
