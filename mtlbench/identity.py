"""The identity of a component in a result: its public name and the values of its options, no Python paths.

A class may move, and an option may be written as ``1`` or ``1.0`` or left at its default: the identity does not
change, so every stored result stays valid.
"""

from collections.abc import Mapping
from inspect import signature
from typing import Any


class Identified:
    """An objective, step rule or backbone.

    The constructor stores every option in an attribute of the same name, converted to the value that it computes with
    (a float for a number, the default for a null).

    Attributes:
        name: public name, as in conf/.
        version: raise it when the same options give other numbers.
    """

    name: str
    version: int = 1

    def options(self) -> dict[str, Any]:
        """Option of the constructor -> JSON value. Neutral options (None or False) are left out."""
        names = signature(type(self)).parameters
        return without_neutral({name: as_json(getattr(self, name)) for name in names})

    def identity(self) -> dict[str, Any]:
        """Name, options, and the version where it is not the first."""
        version = {"version": self.version} if self.version > 1 else {}
        return {"name": public_name(type(self)), **version, **self.options()}


def public_name(kind: type) -> str:
    """The name that a class declares itself, not inherited; the name of the class if it declares none."""
    declared = vars(kind).get("name")
    return declared if isinstance(declared, str) else kind.__name__


def dotted(found: Any) -> str:
    """The import path of a user's function or class, ``module:name``."""
    kind = found if hasattr(found, "__qualname__") else type(found)
    return f"{kind.__module__}:{kind.__qualname__}"


def without_neutral(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options without neutral values (None and False), so that new options leave old keys unchanged."""
    return {key: value for key, value in options.items() if value is not None and value is not False}


def as_json(value: Any) -> Any:
    """The value with tuples as lists, so that it equals what is read back from JSON."""
    if isinstance(value, Mapping):
        return {str(key): as_json(inner) for key, inner in value.items()}
    return [as_json(inner) for inner in value] if isinstance(value, (list, tuple)) else value
