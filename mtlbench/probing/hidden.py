"""Modules that a callable uses without anybody saying so: nobody freezes them, and their weights are unknown."""

import functools
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType
from typing import Any

from torch import nn


def hidden(call: Any) -> dict[str, nn.Module]:
    """Name -> module, of those that a function, method, partial or object holds; of a module there are none."""
    found: dict[str, nn.Module] = {}
    known: set[int] = set()
    for name, value in {}.items() if isinstance(call, nn.Module) else _held(call):
        if isinstance(value, nn.Module) and id(value) not in known:
            known.add(id(value))
            found[name] = value
    return found


def _held(call: Any) -> Iterator[tuple[str, Any]]:
    """What a callable can reach by name, one level deep."""
    if isinstance(call, functools.partial):
        yield from _held(call.func)
        yield from ((f"argument {number}", value) for number, value in enumerate(call.args))
        yield from call.keywords.items()
    elif isinstance(call, MethodType):
        yield "self", call.__self__
        yield from _held(call.__func__)
        yield from _attributes(call.__self__)
    elif isinstance(call, FunctionType):
        for name, cell in zip(call.__code__.co_freevars, call.__closure__ or (), strict=True):
            yield from _values(name, cell.cell_contents) if _filled(cell) else ()
        for name in _global_names(call.__code__):
            yield from _values(name, call.__globals__.get(name))
    else:
        yield from _attributes(call)


def _attributes(holder: object) -> Iterator[tuple[str, Any]]:
    if not isinstance(holder, nn.Module):
        for name, value in getattr(holder, "__dict__", {}).items():
            yield from _values(name, value)


def _values(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The value, or what a list or dict of values holds."""
    if isinstance(value, dict):
        yield from ((f"{name}[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, (list, tuple)):
        yield from ((f"{name}[{number}]", part) for number, part in enumerate(value))
    else:
        yield name, value


def _global_names(code: CodeType) -> Iterator[str]:
    """Names that a function and the functions inside it look up."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _global_names(constant)


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # the name is bound later
        return False
