"""Hydra around the commands: composing, sweeping, and turning every failure into one message and an exit status."""

import logging
import logging.config
import os
import shlex
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from mtlbench import commands
from mtlbench.config.checks import check_added, check_overrides, check_values, elsewhere, near
from mtlbench.config.quoting import advice, as_typed
from mtlbench.config.unread import check_read
from mtlbench.errors import BusyError, MachineError, MtlbenchError, UsageError, message, reason
from mtlbench.process import stops
from mtlbench.runs import RunFolder, runs_of

log = logging.getLogger(__name__)
# ${choose:FLAG,YES,NO} in conf/: what an experiment sweeps over may depend on an option.
OmegaConf.register_new_resolver("choose", lambda flag, yes, no: yes if flag is True else no, replace=True)
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Seconds between two looks at what others are at."""
MOST_POINTS = 3  # that are named after a message; more with the same one are counted


def run(command: str, arguments: Sequence[str]) -> int:
    """Run one command; its exit status.

    A sweep leaves with 1 where some of its points failed, and with the highest status where all did.
    """
    # Hydra would print a traceback of its own and leave with 1 whatever the error was.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    logging.raiseExceptions = False  # a log on a full disk costs the log, nothing else
    OmegaConf.register_new_resolver("process_id", os.getpid, replace=True, use_cache=True)
    folder = RunFolder(only_reads=command in commands.READING)
    OmegaConf.register_new_resolver("run_folder", folder.choose, replace=True, use_cache=True)
    status = _run(command, arguments)
    folder.end(status)
    return status


def _run(command: str, arguments: Sequence[str]) -> int:
    action = commands.command(command)
    sweep = Sweep(action)
    try:
        check_overrides(arguments, conf_dir())
        arguments = as_typed(arguments, _read)
        # argparse takes -m in front of the overrides only; people write it anywhere.
        in_front = sorted(arguments, key=lambda argument: argument not in ("-m", "--multirun"))
        sys.argv = [f"mtlbench {command}", *in_front]
        check_added(command, arguments, conf_dir(), _known_keys)
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=command)(sweep.point)()
        if not sweep.points and not elsewhere(arguments):
            raise UsageError(f"{' '.join(arguments)}: these choices leave no point to run")
        sweep.return_to_waiting()
        action.finish()
    except Exception as error:  # the last boundary: one message and an exit status, whatever it was
        if stops.received:
            raise
        if isinstance(error, HydraException):
            error = UsageError(_explain(error, command, arguments))
        elif isinstance(error, OmegaConfBaseException):
            error = _misresolved(error)
        elif isinstance(error, OSError) and error.filename is None:
            error.filename = runs_of(arguments)  # Hydra's own files: they come first, and do not say where they are
        return max(_say(_shown(error)), *sweep.statuses, 0)
    return sweep.status()


def _read(override: str) -> object:
    """The value of an override, as Hydra reads it.

    Raises:
        ValueError: it reads none.
    """
    try:
        return OverridesParser.create().parse_override(override).value()
    except HydraException as error:
        raise ValueError(str(error)) from error


def conf_dir() -> Path:
    """The configuration folder: the checkout's conf/, or the copy inside an installed wheel."""
    package = Path(__file__).resolve().parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


class Sweep:
    """The points of an invocation, one or many: run, come back to where others are at work, counted where they fail.

    Args:
        command: its job is called with the configuration of a point.
    """

    def __init__(self, command: commands.Command) -> None:
        self.command = command
        self.points = 0
        self.statuses: list[int] = []
        self.messages: Counter[str] = Counter()
        self.waiting: list[tuple[Point, BusyError]] = []
        self.process = os.getpid()

    def point(self, composed: DictConfig) -> None:
        """What Hydra calls once per point. A failure is shown at once; the other points still run."""
        self.points += 1
        settings = HydraConfig.get()
        overrides = OmegaConf.to_container(settings.overrides.task, resolve=False)
        assert isinstance(overrides, list)
        number = settings.job.num if settings.mode == RunMode.MULTIRUN else None
        log_options = OmegaConf.to_container(settings.job_logging, resolve=True)
        assert isinstance(log_options, dict)
        point = Point(shlex.join(overrides), number, {}, {str(key): value for key, value in log_options.items()})
        if composed.get("fail_fast") is True and any(self.statuses):
            print(f"mtlbench: left out after the failure: {point.overrides}", file=sys.stderr)
            return
        try:
            point.config.update(_plain(composed, overrides, number is not None))
        except MtlbenchError as error:
            self._failed(point, error)
        else:
            self._run(point)
        if os.getpid() != self.process:
            # A parallel launcher's worker cannot leave the waiting and the tables to the main process.
            self.return_to_waiting()
            self.command.finish()

    def return_to_waiting(self) -> None:
        """Run the points again that others were at, until nobody is in the way."""
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
                logging.config.dictConfig(point.logging)  # Hydra has ended the log of this point
                self._run(point)

    def status(self) -> int:
        """The exit status of the whole."""
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

    def _run(self, point: "Point") -> None:
        try:
            self.command.job(point.config)
            self.statuses.append(0)
        except BusyError as error:
            self.waiting.append((point, error))
        except (Exception, SystemExit) as error:  # whatever it is, the other points go on
            if stops.received:
                raise
            self._failed(point, error)

    def _failed(self, point: "Point", error: BaseException) -> None:
        log.info("failed: %s", point.overrides, exc_info=error)
        shown = _shown(error)
        self.statuses.append(shown.status)
        text = message(shown)
        self.messages[text] += 1
        if self.messages[text] == 1:
            _say(shown)
        if point.number is not None and self.messages[text] <= MOST_POINTS:
            print(f"  in point {point.number} of the sweep: {point.overrides}", file=sys.stderr)
        if os.getpid() != self.process:  # only an exception reaches the sweep from a parallel launcher's worker
            raise error


@dataclass(frozen=True)
class Point:
    """One point of a sweep.

    Attributes:
        overrides: as on a command line.
        number: from 0; None where there is only one point.
        config: its configuration, plain values.
        logging: where its log goes, as for `logging.config.dictConfig`.
    """

    overrides: str
    number: int | None
    config: dict[str, Any]
    logging: dict[str, Any]


def _plain(composed: DictConfig, overrides: list[str], swept: bool) -> dict[str, Any]:
    """The configuration as plain values, resolved and checked, with its overrides and the folder of the run."""
    try:
        plain = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise _misresolved(error) from error
    assert isinstance(plain, dict)
    config = {str(key): value for key, value in plain.items()}
    check_values(config)
    check_read(config, overrides, swept)
    return config | {"overrides": overrides, "run_dir": HydraConfig.get().runtime.output_dir}


def _misresolved(error: OmegaConfBaseException) -> UsageError:
    if isinstance(error, MissingMandatoryValue):
        return UsageError(f"{error.full_key} is missing: give {error.full_key}=...")
    return UsageError(f"{error.full_key or 'configuration'}: {str(error).splitlines()[0]}")


def _shown(error: BaseException) -> MtlbenchError:
    """Any error as one that has a message and an exit status."""
    if isinstance(error, OSError):
        return MachineError(f"{error.filename or 'a file'}: cannot be read or written ({error.strerror or error})")
    if isinstance(error, MtlbenchError):
        return error
    log.info("unexpected", exc_info=error)  # to the file only
    return MtlbenchError(f"unexpected {reason(error)}; the traceback is in the log of this run")


def _say(error: MtlbenchError) -> int:
    if message(error):
        print(f"mtlbench: {message(error)}", file=sys.stderr, flush=True)
    return error.status


def _explain(error: HydraException, command: str, arguments: Sequence[str]) -> str:
    """Hydra's message, shortened, with the nearest name that exists."""
    if isinstance(error, MissingConfigException) and error.options:
        wrong = error.missing_cfg_file or ""
        hint = near(wrong.split("/")[-1], error.options)
        return f"{wrong}: no such option{hint}; there are {', '.join(error.options)}"
    text = str(error)
    if isinstance(error, OverrideParseException):
        shown = f"{error.override}: expected key=value such as eps=4, or a list such as eps=[1,2]"
        key, equals, value = error.override.partition("=")
        if not equals or value[:1] in "[{":
            return shown
        return f"{shown}; text that holds brackets, commas, quotes or = is quoted: {advice(key, value)}"
    for argument in arguments:
        key, _, value = argument.lstrip("+").partition("=")
        if text.startswith(f"Ambiguous value for argument '{argument}'"):
            if key in ("experiment", "outputs"):
                return f"{argument}: expected one {key}; run the command once for each"
            return f"{argument}: a list is written {key}=[{value}]; a sweep over the values needs -m"
        if text.startswith(f"Could not override '{key}'"):
            everything = _known_keys(command)
            if key in everything:
                why = (str(error.__cause__ or "").splitlines() or [""])[0]
                return f"{argument}: not an option of what is chosen here ({why}); see mtlbench {command} --cfg job"
            known = [name for name in everything if not key.startswith(f"{name}.")]
            return f"{argument}: no such option{near(key, known)}; see mtlbench {command} --cfg job"
    return "\n".join(filter(None, (text, str(error.__cause__ or ""))))


def _known_keys(command: str) -> list[str]:
    """Every key and group of a command's default configuration."""
    with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = hydra.compose(command)
    keys: list[str] = []

    def collect(node: object, prefix: str) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                keys.append(f"{prefix}{key}")
                collect(value, f"{prefix}{key}.")

    collect(OmegaConf.to_container(config, resolve=False), "")
    return [*keys, "attack/step"]
