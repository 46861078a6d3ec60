"""What a conversion has written, and libraries that only conversions need."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

from mtlbench.errors import MachineError


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        images: how many, by split.
        dataset: the name in conf/dataset that reads it.
        options: of it.
        notes: what its user should know.
    """

    images: Mapping[str, int]
    dataset: str
    options: Mapping[str, object]
    notes: Sequence[str] = ()


def library(name: str, extra: str, reads: str) -> ModuleType:
    """A library of an extra.

    Raises:
        MachineError: it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise MachineError(
            f"{reads} needs {package}, which is not installed ({error}): pip install 'mtlbench[{extra}]'"
        ) from error
