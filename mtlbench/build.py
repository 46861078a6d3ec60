"""Configuration to objects. Builds classes of mtlbench and of the modules named in `plugins`, nothing else."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from mtlbench.errors import UsageError

TARGET = "_target_"


def build(node: Mapping[str, Any], plugins: Sequence[str] = (), /, kind: type = object, **more: Any) -> Any:
    """Call the class named by `node`'s ``_target_`` with its other entries and `more`.

    Args:
        node: plain values; `more` wins where both give a value.
        plugins: modules of the user that may be built from, beside mtlbench.
        kind: what the class must be.
        more: further keyword arguments.

    Raises:
        UsageError: the target is not such a class, defined in mtlbench or a plugin, or does not take these options.
    """
    if not isinstance(node, Mapping):
        raise UsageError(f"{node}: expected options with a {TARGET}, the {kind.__name__} to build")
    target = resolve(str(node.get(TARGET, "")), plugins)
    if not issubclass(target, kind):
        raise UsageError(f"{TARGET}={node[TARGET]}: expected a kind of {kind.__module__}.{kind.__name__}")
    options = {str(key): value for key, value in node.items() if key != TARGET} | more
    try:
        return target(**options)
    except TypeError as error:
        raise UsageError(f"{node[TARGET]}: {error}") from error


def resolve(path: str, plugins: Sequence[str] = ()) -> type:
    """The class at ``package.module.Class``.

    A class re-exported by mtlbench from elsewhere does not count: its own module must lie inside.
    """
    roots = ("mtlbench", *plugins)
    module_name, _, name = path.rpartition(".")
    refusal = UsageError(
        f"_target_={path}: expected a class of {' or '.join(roots)}; name your module in plugins=[...]"
    )
    if not _inside(module_name, roots):
        raise refusal
    try:
        found = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"_target_={path}: {error}") from error
    if not isinstance(found, type) or not _inside(found.__module__, roots):
        raise refusal
    return found


def _inside(module: str, roots: Sequence[str]) -> bool:
    return any(module == root or module.startswith(f"{root}.") for root in roots)
