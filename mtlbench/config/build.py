"""Builds objects from configuration: only classes of mtlbench and of the modules named in `plugins`."""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from mtlbench.attacks.listed import fits, listed
from mtlbench.errors import UsageError
from mtlbench.identity import Identified, public_name
from mtlbench.options import near

TARGET = "_target_"
MOVED = {
    "mtlbench.attacks.steps.ReferenceAPGD": "mtlbench.reference.ReferenceAPGD",
    "mtlbench.attacks.steps.ReferenceSAGA": "mtlbench.reference.ReferenceSAGA",
}
"""Old import path of a class -> current one: stored results name the class by its path at that time."""


def build(node: Mapping[str, Any], plugins: Sequence[str] = (), /, kind: type = object, **more: Any) -> Any:
    """Call the class named by `node`'s ``_target_`` with its other entries and `more`.

    Args:
        node: plain values; `more` takes precedence.
        plugins: modules of the user that may be built from, beside mtlbench.
        kind: what the class must be.
        more: further keyword arguments.

    Raises:
        UsageError: the target is not such a class, defined in mtlbench or a plugin, or does not take these options.
    """
    target = target_of(node, plugins, kind)
    if issubclass(target, Identified) and not _inside(target.__module__, ("mtlbench",)):
        _check_name(target, kind)
    options = {str(key): value for key, value in node.items() if key != TARGET} | more
    try:
        return target(**options)
    except TypeError as error:
        raise UsageError(f"{node[TARGET]}: {error}") from error


def target_of(node: object, plugins: Sequence[str], kind: type) -> type:
    """The class that `build` calls; raises the same errors."""
    if not isinstance(node, Mapping):
        raise UsageError(f"{node}: expected options with a {TARGET}, the {kind.__name__} to build")
    target = resolve(str(node.get(TARGET, "")), plugins)
    if not issubclass(target, kind):
        raise UsageError(f"{TARGET}={node[TARGET]}: expected a kind of {kind.__module__}.{kind.__name__}")
    return target


def named(kind: type, plugins: Sequence[str] = ()) -> dict[str, Any]:
    """Public name -> class, of the objectives or step rules of mtlbench and of plugins that need no options."""
    found: dict[str, Any] = dict(listed(kind))
    load_plugins(plugins)
    for one in _kinds(kind):
        if _inside(one.__module__, plugins):
            _check_name(one, kind)
        if _inside(one.__module__, ("mtlbench", *plugins)) and fits(one):
            found[public_name(one)] = one
    return found


def resolve(path: str, plugins: Sequence[str] = ()) -> type:
    """The class at ``package.module.Class``."""
    found: type = _ours(path, plugins, TARGET, "a class", lambda one: isinstance(one, type))
    return found


def resolve_function(path: str, option: str, plugins: Sequence[str] = ()) -> Callable[..., Any]:
    """The function or class at ``package.module:name`` or ``package.module.name``, for `option`."""
    found: Callable[..., Any] = _ours(path, plugins, option, "a function", callable)
    return found


def _ours(path: str, plugins: Sequence[str], option: str, what: str, fits: Callable[[Any], bool]) -> Any:
    """`attribute` of mtlbench or a plugin, defined there and not imported from elsewhere."""
    roots = ("mtlbench", *plugins)
    found = attribute(path, option, what, roots)
    if not fits(found) or not _inside(found.__module__, roots):
        raise _refusal(path, option, what, roots)
    return found


def load_plugins(plugins: Sequence[str]) -> None:
    """Import modules of the user, so that the names in stored cells can be resolved.

    Raises:
        UsageError: there is no such module.
    """
    for name in plugins:
        try:
            _imported(name)
        except ImportError as error:
            raise UsageError(f"plugins={name}: {error}") from error


def attribute(path: str, option: str, what: str, roots: Sequence[str]) -> Any:
    """The object at ``package.module.name``, or ``package.module:name``, in one of the modules `roots`.

    Raises:
        UsageError: it is defined in another module, or does not exist; the message names `option` and says that `what`
            is expected.
    """
    module_name, _, name = MOVED.get(path, path).replace(":", ".").rpartition(".")
    if not _inside(module_name, roots):
        raise _refusal(path, option, what, roots)
    module = None
    try:
        module = _imported(module_name)
        return getattr(module, name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{option}={path}: {error}{near(name, dir(module)) if module else ''}") from error


def _refusal(path: str, option: str, what: str, roots: Sequence[str]) -> UsageError:
    whose = " or ".join(roots) or "a plugin"
    return UsageError(f"{option}={path}: expected {what} of {whose}; name your module in plugins=[...]")


def _imported(module: str) -> ModuleType:
    if importlib.util.find_spec(module.partition(".")[0]) is None and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # last; a console script does not search it, python -m does
    return importlib.import_module(module)


def _kinds(kind: type) -> list[type]:
    """The class and all its subclasses."""
    kinds = [kind]
    for other in kinds:
        kinds += other.__subclasses__()
    return kinds


def identity_of(part: Mapping[str, Any], plugins: Sequence[str]) -> dict[str, Any]:
    """The identity of a component that an old result names by the path of its class; unchanged if no plugin has it."""
    path = str(part.get("name", ""))
    if not _inside(path, plugins):
        return dict(part)
    options = {key: value for key, value in part.items() if key not in ("name", "loss_scale")}
    built: Identified = build({TARGET: path, **options}, plugins, kind=Identified)
    return built.identity() | {key: value for key, value in part.items() if key == "loss_scale"}


def _check_name(target: type, kind: type) -> None:
    """Refuse a plugin's class with the public name of a built-in one: their results would get the same keys."""
    for other in _kinds(kind):
        if _inside(other.__module__, ("mtlbench",)) and public_name(other) == public_name(target):
            raise UsageError(
                f"{target.__module__}.{target.__name__}: its name {public_name(target)!r} is that of mtlbench's own "
                f"{other.__name__}; expected a name of its own"
            )


def _inside(module: str, roots: Sequence[str]) -> bool:
    return any(module == root or module.startswith(f"{root}.") for root in roots)
