"""What names a part in a result: its public name and the values of its options, nothing of Python.

A class may move or be imported from elsewhere, an option may be written as ``1`` or ``1.0`` or left at its default:
the identity stays, and with it every stored result.
"""

from collections.abc import Mapping
from inspect import signature
from typing import Any


class Identified:
    """An objective, step rule or backbone.

    The constructor keeps every option under the option's own name, in the form that it computes with (a float where it
    takes a number, the value that a null stands for).

    Attributes:
        name: public name, as in conf/.
        version: raise it when the same options give other numbers.
    """

    name: str
    version: int = 1

    def options(self) -> dict[str, Any]:
        """Option of the constructor -> value, plain. Those that are None or False are neutral, and left out."""
        names = signature(type(self)).parameters
        return decisive({name: plain(getattr(self, name)) for name in names})

    def identity(self) -> dict[str, Any]:
        """Name, options, and the version where it is not the first."""
        version = {"version": self.version} if self.version > 1 else {}
        return {"name": public_name(type(self)), **version, **self.options()}


def public_name(kind: type) -> str:
    """The name that a class declares; that of the class itself where it declares none, never that of its parent."""
    declared = vars(kind).get("name")
    return declared if isinstance(declared, str) else kind.__name__


def dotted(found: Any) -> str:
    """Where a function or class of a user stands, ``module:name``."""
    kind = found if hasattr(found, "__qualname__") else type(found)
    return f"{kind.__module__}:{kind.__qualname__}"


def decisive(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options that are set: null and false are neutral, so that a new option keeps old results valid."""
    return {key: value for key, value in options.items() if value is not None and value is not False}


def plain(value: Any) -> Any:
    """Tuples as lists, so that what is read back from JSON equals what was written."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value
