"""Libraries that only some commands need; each comes with an extra of mtlbench and is imported where it is used."""

import importlib
from types import ModuleType

from mtlbench.errors import MachineError


def library(name: str, extra: str, asked: str) -> ModuleType:
    """A library of an extra.

    Args:
        name: of the module.
        extra: of mtlbench, which installs it.
        asked: what needs it, for the message.

    Raises:
        MachineError: it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise MachineError(
            f"{asked} needs {package}, which is not installed ({error}): pip install 'mtlbench[{extra}]'"
        ) from error
