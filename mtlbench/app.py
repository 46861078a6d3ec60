"""Hydra around the commands: composing, sweeping, and turning every failure into one message and an exit status."""

import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import FrameType
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from mtlbench import commands
from mtlbench.errors import MtlbenchError, UsageError

log = logging.getLogger(__name__)
INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM


class Terminated(BaseException):
    """SIGTERM arrived. No `Exception`, so that nothing on the way swallows it."""


class JobFailed(Exception):
    """A job of a sweep failed; its message has been shown."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Run one command; its exit status."""
    statuses: list[int] = []
    signal.signal(signal.SIGTERM, _terminate)
    # Hydra would print a traceback of its own and leave with 1 whatever the error was.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    OmegaConf.register_new_resolver("process_id", os.getpid, replace=True, use_cache=True)
    sys.argv = [f"mtlbench {command}", *arguments]
    action = commands.command(command)
    try:
        _refuse_paths(arguments)
        _hydra(command, _job(action.job, statuses))()
        action.finish()
    except MtlbenchError as error:
        statuses.append(_say(error))
    except JobFailed:
        action.finish()
    except HydraException as error:
        statuses.append(_say(UsageError(_explain(error, command, arguments))))
    except KeyboardInterrupt:
        print("mtlbench: interrupted; what was finished is kept, the same command continues", file=sys.stderr)
        return INTERRUPTED
    except Terminated:
        print("mtlbench: terminated; what was finished is kept, the same command continues", file=sys.stderr)
        return TERMINATED
    return max(statuses, default=0)


def conf_dir() -> Path:
    """The configuration folder: the checkout's conf/, or the copy inside an installed wheel."""
    package = Path(__file__).resolve().parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def _hydra(command: str, job: Callable[[DictConfig], None]) -> Callable[[], None]:
    decorate = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=command)
    return decorate(job)


def _job(action: Callable[[Mapping[str, Any]], None], statuses: list[int]) -> Callable[[DictConfig], None]:
    """What Hydra calls once per point of a sweep. A failure is shown at once; the other jobs still run."""

    def job(composed: DictConfig) -> None:
        settings = HydraConfig.get()
        try:
            action(_plain(composed, list(settings.overrides.task)))
        except MtlbenchError as error:
            log.info("failed", exc_info=error)
            statuses.append(_say(error))
            if settings.mode == hydra.types.RunMode.MULTIRUN:
                raise JobFailed from error

    return job


def _plain(composed: DictConfig, overrides: list[str]) -> dict[str, Any]:
    """The configuration as plain values, resolved, with the overrides that made it and the folder of the run."""
    try:
        plain = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise UsageError(f"{error.full_key} is missing: give {error.full_key}=...") from error
    except OmegaConfBaseException as error:
        raise UsageError(f"{error.full_key}: {error.msg}") from error
    assert isinstance(plain, dict)
    return {str(k): v for k, v in plain.items()} | {
        "overrides": overrides,
        "run_dir": HydraConfig.get().runtime.output_dir,
    }


def _say(error: MtlbenchError) -> int:
    print(f"mtlbench: {error}", file=sys.stderr, flush=True)
    return error.status


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def _refuse_paths(arguments: Sequence[str]) -> None:
    """Group choices are names: Hydra itself would load any yaml file that a path leads to."""
    for argument in arguments:
        key, _, value = argument.lstrip("+~").partition("=")
        group = conf_dir() / key.split("@")[0]
        if group.is_dir() and any(part in ("..", "") or "\\" in part for part in value.split("/") if value):
            raise UsageError(f"{argument}: expected the name of an option in conf/{key}, not a path")


def _explain(error: HydraException, command: str, arguments: Sequence[str]) -> str:
    """Hydra's message, shortened, with the nearest name that exists."""
    if isinstance(error, MissingConfigException) and error.options:
        wrong = (error.missing_cfg_file or "").split("/")[-1]
        return f"{error.missing_cfg_file}: no such option{_near(wrong, error.options)}; there are {', '.join(error.options)}"
    text = str(error)
    cause = str(error.__cause__) if error.__cause__ else ""
    for argument in arguments:
        key = argument.lstrip("+~").split("=")[0]
        if isinstance(error, ConfigCompositionException) and f"'{key}'" in text.splitlines()[0]:
            return f"{argument}: no such option{_near(key, _known_keys(command))}; see mtlbench {command} --cfg job"
    return "\n".join(line for line in (text, cause) if line)


def _near(wrong: str, known: Sequence[str]) -> str:
    found = get_close_matches(wrong, known, 1, cutoff=0.5)
    return f"; did you mean {found[0]}?" if found else ""


def _known_keys(command: str) -> list[str]:
    """Every key and group of a command's default configuration."""
    with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = hydra.compose(command)
    keys: list[str] = []

    def collect(node: object, prefix: str) -> None:
        for key in node if isinstance(node, DictConfig) else ():
            keys.append(f"{prefix}{key}")
            if not OmegaConf.is_missing(node, key) and OmegaConf.is_dict(node._get_node(key)):  # type: ignore[union-attr]
                collect(node._get_node(key), f"{prefix}{key}.")  # type: ignore[union-attr]

    collect(config, "")
    return [*keys, "attack/step"]
