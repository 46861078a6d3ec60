"""Converts errors of Hydra, the system and mtlbench to one message with an exit status."""

import logging
import sys
from collections.abc import Sequence

import hydra
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from mtlbench.config.folder import conf_dir
from mtlbench.config.overrides import called
from mtlbench.config.quoting import advice
from mtlbench.errors import MachineError, MtlbenchError, UsageError, message, reason
from mtlbench.options import near

log = logging.getLogger(__name__)


def known_keys(command: str) -> list[str]:
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


def explained(error: HydraException, command: str, arguments: Sequence[str]) -> str:
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
            everything = known_keys(command)
            if key in everything:
                why = (str(error.__cause__ or "").splitlines() or [""])[0]
                return f"{argument}: not an option of what is chosen here ({why}); see mtlbench {command} --cfg job"
            known = [name for name in everything if not key.startswith(f"{name}.")]
            return f"{argument}: no such option{called(key, known)}; see mtlbench {command} --cfg job"
    return "\n".join(filter(None, (text, str(error.__cause__ or ""))))


def misresolved(error: OmegaConfBaseException) -> UsageError:
    """The message for a missing option, or one that refers to a missing value."""
    if isinstance(error, MissingMandatoryValue):
        return UsageError(f"{error.full_key} is missing: give {error.full_key}=...")
    return UsageError(f"{error.full_key or 'configuration'}: {str(error).splitlines()[0]}")


def as_message(error: BaseException) -> MtlbenchError:
    """Any error as one with a message and an exit status."""
    if isinstance(error, OSError):
        return MachineError(f"{error.filename or 'a file'}: cannot be read or written ({error.strerror or error})")
    if isinstance(error, MtlbenchError):
        return error
    log.info("unexpected", exc_info=error)  # to the file only
    return MtlbenchError(f"unexpected {reason(error)}; the traceback is in the log of this run")


def say(error: MtlbenchError) -> int:
    """Print an error on stderr; returns its exit status."""
    if message(error):
        print(f"mtlbench: {message(error)}", file=sys.stderr, flush=True)
    return error.status
