"""Which columns of a tidy frame are the interval of which value."""

from collections.abc import Sequence

LOW, HIGH = "_low", "_high"


def bounds(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Column -> the two right behind it that are its interval: ``x_low`` and ``x_high``, whatever x is called.

    A column called so on its own is a value like any other.
    """
    found: dict[str, tuple[str, str]] = {}
    bound: set[str] = set()
    for name, low, high in zip(names, names[1:], names[2:], strict=False):
        pair = low.endswith(LOW) and high == low.removesuffix(LOW) + HIGH
        if pair and name not in bound:
            found[name] = low, high
            bound |= {low, high}
    return found
