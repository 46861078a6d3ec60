"""The objectives and step rules that mtlbench has, by public name."""

import importlib
import pkgutil
from inspect import isabstract, signature
from typing import TypeVar

from mtlbench.identity import Identified, public_name

Part = TypeVar("Part", bound=Identified)


def listed(kind: type[Part]) -> dict[str, type[Part]]:
    """Public name -> class, of the subclasses of `kind` in its package that need no options, in order of their files.

    Args:
        kind: `Objective` or `Step`.
    """
    package = importlib.import_module(kind.__module__.rpartition(".")[0])
    found: dict[str, type[Part]] = {}
    for file in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{file.name}")
        for one in vars(module).values():
            if isinstance(one, type) and issubclass(one, kind) and one.__module__ == module.__name__ and fits(one):
                found[public_name(one)] = one
    return found


def fits(kind: type) -> bool:
    """Whether a class can be built by its public name alone."""
    options = signature(kind).parameters.values()
    needless = all(option.default is not option.empty for option in options)
    return not isabstract(kind) and needless and public_name(kind).isidentifier()
