"""Hydra around the commands: composing, sweeping, and turning every failure into one message and an exit status."""

import logging
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from mtlbench import commands
from mtlbench.checks import check_overrides, check_values, near
from mtlbench.errors import MachineError, MtlbenchError, UsageError

log = logging.getLogger(__name__)
# ${choose:FLAG,YES,NO} in conf/: what an experiment sweeps over may depend on an option.
OmegaConf.register_new_resolver("choose", lambda flag, yes, no: yes if flag else no, replace=True)
Job = Callable[[Mapping[str, Any]], None]


def run(command: str, arguments: Sequence[str]) -> int:
    """Run one command; its exit status.

    A sweep leaves with 1 where some of its points failed, and with the highest status where all did.
    """
    statuses: list[int] = []
    # Hydra would print a traceback of its own and leave with 1 whatever the error was.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    OmegaConf.register_new_resolver("process_id", os.getpid, replace=True, use_cache=True)
    sys.argv = [f"mtlbench {command}", *arguments]
    action = commands.command(command)
    try:
        check_overrides(arguments, conf_dir())
        _hydra(command, _job(action.job, statuses))()
        action.finish()
    except HydraException as error:
        return _say(UsageError(_explain(error, command, arguments)))
    except OmegaConfBaseException as error:
        return _say(_misresolved(error))
    except (MtlbenchError, OSError) as error:
        return max(_say(error), *statuses, 0)
    failed = [status for status in statuses if status]
    if failed and len(statuses) > 1:
        print(f"mtlbench: {len(failed)} of {len(statuses)} points of the sweep failed", file=sys.stderr)
    return max(failed, default=0) if len(failed) == len(statuses) else min(len(failed), 1)


def conf_dir() -> Path:
    """The configuration folder: the checkout's conf/, or the copy inside an installed wheel."""
    package = Path(__file__).resolve().parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def _hydra(command: str, job: Callable[[DictConfig], None]) -> Callable[[], None]:
    decorate = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=command)
    return decorate(job)


def _job(action: Job, statuses: list[int]) -> Callable[[DictConfig], None]:
    """What Hydra calls once per point of a sweep. A failure is shown at once; the other points still run."""
    process = os.getpid()

    def job(composed: DictConfig) -> None:
        settings = HydraConfig.get()
        overrides = OmegaConf.to_container(settings.overrides.task, resolve=False)
        assert isinstance(overrides, list)
        if composed.get("fail_fast") is True and any(statuses):
            print(f"mtlbench: left out after the failure: {shlex.join(overrides)}", file=sys.stderr)
            return
        try:
            action(_plain(composed, overrides))
            statuses.append(0)
        except (MtlbenchError, OSError) as error:
            log.info("failed", exc_info=error)
            statuses.append(_say(error))
            if settings.mode == RunMode.MULTIRUN:
                print(f"  in point {settings.job.num} of the sweep: {shlex.join(overrides)}", file=sys.stderr)
            if os.getpid() != process:  # a parallel launcher's worker: only an exception reaches the sweep
                raise

    return job


def _plain(composed: DictConfig, overrides: list[str]) -> dict[str, Any]:
    """The configuration as plain values, resolved and checked, with its overrides and the folder of the run."""
    try:
        plain = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise _misresolved(error) from error
    assert isinstance(plain, dict)
    config = {str(key): value for key, value in plain.items()}
    check_values(config)
    return config | {"overrides": overrides, "run_dir": HydraConfig.get().runtime.output_dir}


def _misresolved(error: OmegaConfBaseException) -> UsageError:
    if isinstance(error, MissingMandatoryValue):
        return UsageError(f"{error.full_key} is missing: give {error.full_key}=...")
    return UsageError(f"{error.full_key or 'configuration'}: {str(error).splitlines()[0]}")


def _say(error: MtlbenchError | OSError) -> int:
    """Show one message; the exit status it stands for."""
    if isinstance(error, BrokenPipeError):
        # The reader of our output has gone; nothing may be written to it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return MachineError.status
    if isinstance(error, OSError):
        error = MachineError(f"{error.filename or 'a file'}: cannot be read or written ({error.strerror or error})")
    # A worker of a data loader sends its whole traceback as the message; the last line is the real one.
    message = str(error).rsplit(f"{type(error).__module__}.{type(error).__qualname__}: ")[-1].strip()
    print(f"mtlbench: {message}", file=sys.stderr, flush=True)
    return error.status


def _explain(error: HydraException, command: str, arguments: Sequence[str]) -> str:
    """Hydra's message, shortened, with the nearest name that exists."""
    if isinstance(error, MissingConfigException) and error.options:
        wrong = error.missing_cfg_file or ""
        hint = near(wrong.split("/")[-1], error.options)
        return f"{wrong}: no such option{hint}; there are {', '.join(error.options)}"
    text = str(error)
    if isinstance(error, OverrideParseException):
        return f"{error.override}: expected key=value such as eps=4, or a list such as eps=[1,2]"
    for argument in arguments:
        key, _, value = argument.lstrip("+").partition("=")
        if text.startswith(f"Ambiguous value for argument '{argument}'"):
            return f"{argument}: a list is written {key}=[{value}]; a sweep over the values needs -m"
        if text.startswith(f"Could not override '{key}'"):
            known = [name for name in _known_keys(command) if not key.startswith(f"{name}.")]
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
