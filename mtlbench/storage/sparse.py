"""Long counts that are mostly zero are stored as the places and values that are not.

The fine histogram of angles has 92,161 counts, of which a finished cell keeps a handful (`metrics.sketch`).
"""

from collections.abc import Mapping

import numpy as np

LONG = 1000
"""Shorter arrays are stored whole."""

MAX_LENGTH = 10**7
"""Counts of the longest array that is restored; 80 MB."""


def shortened(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """The arrays, the long ones that are mostly zero as [2, k]: places and values; and name -> length of those."""
    lengths = {name: len(array) for name, array in arrays.items() if _mostly_zero(array)}
    stored = {name: _places(array) if name in lengths else array for name, array in arrays.items()}
    return stored, lengths


def _mostly_zero(array: np.ndarray) -> bool:
    counts = array.ndim == 1 and array.dtype == np.int64 and LONG <= len(array) <= MAX_LENGTH
    return counts and bool(2 * np.count_nonzero(array) < len(array))


def _places(array: np.ndarray) -> np.ndarray:
    places = np.flatnonzero(array)
    return np.stack([places, array[places]])


def restored(arrays: Mapping[str, np.ndarray], lengths: Mapping[str, int]) -> dict[str, np.ndarray]:
    """The arrays before `shortened`.

    Raises:
        ValueError: a length or a place is not what `shortened` writes.
        LookupError: an array is missing.
    """
    return {**arrays, **{name: _whole(arrays[name], length) for name, length in lengths.items()}}


def _whole(stored: np.ndarray, length: object) -> np.ndarray:
    if type(length) is not int or not 0 <= length <= MAX_LENGTH:
        raise ValueError(f"{length!r} counts; expected at most {MAX_LENGTH}")
    places, values = stored
    if len(places) and not 0 <= places.min() <= places.max() < length:
        raise ValueError(f"a place outside of {length} counts")
    array = np.zeros(length, np.int64)
    array[places] = values
    return array
