"""Runs the commands with Hydra: composition, sweeps, and one message and exit status for every failure."""

import logging
import os
import sys
from collections.abc import Sequence

import hydra
import pandas as pd
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mtlbench.cli import commands
from mtlbench.cli.compose import mode_by_flags
from mtlbench.cli.hydra_errors import as_message, explained, known_keys, misresolved, say
from mtlbench.cli.runs import RunFolder, runs_of
from mtlbench.cli.sweep import Sweep
from mtlbench.config.folder import conf_dir
from mtlbench.config.overrides import check_added, check_overrides, elsewhere, opened
from mtlbench.config.quoting import as_typed
from mtlbench.errors import UsageError
from mtlbench.process import signals

# ${choose:FLAG,YES,NO} in conf/: the values of a sweep may depend on an option.
OmegaConf.register_new_resolver("choose", lambda flag, yes, no: yes if flag is True else no, replace=True)


def run(command: str, arguments: Sequence[str]) -> int:
    """Run one command; returns its exit status.

    The status of a sweep is 1 if some points failed, and the highest status of its points if all failed.
    """
    # Otherwise Hydra prints its own traceback and exits with 1 for every error.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    logging.raiseExceptions = False  # on a full disk only the log is lost
    # Where pyarrow is installed, pandas keeps texts in its arrays: slower on small tables, and each cell has dozens.
    pd.options.mode.string_storage = "python"
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
        check_added(command, arguments, conf_dir(), known_keys)
        arguments = opened(as_typed(arguments, _read))
        # argparse accepts -m only before the overrides; users write it anywhere.
        in_front = sorted(arguments, key=lambda argument: argument not in ("-m", "--multirun"))
        sys.argv = [f"mtlbench {command}", *in_front]
        with mode_by_flags(arguments):
            hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=command)(sweep.point)()
        if not sweep.points and not elsewhere(arguments):
            raise UsageError(f"{' '.join(arguments)}: these choices leave no point to run")
        sweep.retry_waiting()
        action.finish()
    except Exception as error:  # the outermost handler: one message and exit status for every error
        if signals.received:
            raise
        if isinstance(error, HydraException):
            error = UsageError(explained(error, command, arguments))
        elif isinstance(error, OmegaConfBaseException):
            error = misresolved(error)
        elif isinstance(error, OSError) and error.filename is None:
            error.filename = runs_of(arguments)  # Hydra writes its files first, and such an error does not name them
        return max(say(as_message(error)), *sweep.statuses, 0)
    return sweep.status()


def _read(override: str) -> object:
    """The value of an override, as Hydra parses it.

    Raises:
        ValueError: Hydra cannot parse it.
    """
    try:
        return OverridesParser.create().parse_override(override).value()
    except HydraException as error:
        raise ValueError(str(error)) from error
