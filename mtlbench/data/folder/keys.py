"""Checked access to a mapping: an error names the file, the key, the value and what would be right."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NoReturn

from mtlbench.errors import UsageError
from mtlbench.options import is_number, is_whole, near


class Keys:
    """A mapping inside a description.

    Args:
        value: the mapping.
        source: the file, for messages.
        at: the dotted key of the mapping in it; empty for the whole.
        known: the allowed keys.

    Raises:
        UsageError: it is no mapping, or has an unknown key.
    """

    def __init__(self, value: object, source: str, at: str, known: Sequence[str]) -> None:
        self.source, self.at = source, at
        if not isinstance(value, Mapping):
            self.refuse("", f"expected a mapping with {', '.join(known)}", value)
        self.values: Mapping[Any, Any] = value
        for key in value:
            if key not in known:
                self.refuse(str(key), f"no such key{near(str(key), known)}; there are {', '.join(known)}", value[key])

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def refuse(self, key: str, why: str, value: object = None) -> NoReturn:
        """Raise the error of a key."""
        path = ".".join(part for part in (self.at, key) if part)
        shown = self.values.get(key) if value is None and key else value
        text = f"{path}={_short(shown)}" if path else _short(shown)
        raise UsageError(f"{self.source}: {text}: {why}")

    def get(self, key: str) -> Any:
        """The value, or None."""
        return self.values.get(key)

    def text(self, key: str, example: str) -> str:
        """A required, non-empty string."""
        value = self.values.get(key)
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            self.refuse(key, f"expected a text such as {example}")
        return value

    def choice(self, key: str, choices: Sequence[str], default: str) -> str:
        """One of some names."""
        value = self.values.get(key, default)
        if value not in choices:
            self.refuse(key, f"expected {' or '.join(choices)}{near(str(value), choices)}")
        return str(value)

    def flag(self, key: str) -> bool:
        """A boolean; false by default."""
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            self.refuse(key, "expected true or false")
        return value

    def whole(self, key: str, least: int, most: int) -> int:
        """A whole number in a range."""
        value = self.values.get(key)
        if not is_whole(value, least) or value > most:
            self.refuse(key, f"expected a whole number from {least} to {most}")
        return value

    def fraction(self, key: str, default: int) -> Fraction:
        """A number exactly as written: ``0.001`` is 1/1000; also a string ``2/255``."""
        value = self.values.get(key, default)
        found = exact(value)
        if found is None:
            self.refuse(key, "expected a number, or a fraction such as 2/255")
        return found

    def number(self, key: str) -> float:
        """A finite number."""
        value = self.values.get(key)
        if not is_number(value):
            self.refuse(key, "expected a number")
        return float(value)

    def pair(self, key: str, example: str) -> tuple[float, float]:
        """A lower and an upper bound."""
        value: Any = self.values.get(key)
        two = isinstance(value, Sequence) and len(value) == 2 and all(map(_is_bound, value))
        if not two or value[0] >= value[1]:
            self.refuse(key, f"expected a lower and an upper bound such as {example}")
        return float(value[0]), float(value[1])

    def items(self, key: str, expected: str, right: Callable[[object], bool]) -> tuple[Any, ...]:
        """A list of checked items; empty by default."""
        value = self.values.get(key)
        if value is None:
            return ()
        plain = isinstance(value, Sequence) and not isinstance(value, str)
        if not plain or not all(map(right, value)):
            self.refuse(key, f"expected {expected}")
        return tuple(tuple(part) if isinstance(part, list) else part for part in value)


def exact(value: object) -> Fraction | None:
    """A number exactly as written, or a string of two integers ``a/b``; None for anything else."""
    if is_number(value):
        return Fraction(repr(value))
    if isinstance(value, str) and len(value) < 40:
        above, slash, below = value.partition("/")
        try:
            return Fraction(int(above), int(below)) if slash else None
        except (ValueError, ZeroDivisionError):
            return None
    return None


def _is_bound(value: object) -> bool:
    """A number, infinity included, that is not NaN."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value


def _short(value: object) -> str:
    text = "null" if value is None else str(value)
    return text if len(text) <= 80 else text[:77] + "..."
