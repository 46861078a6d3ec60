"""What a conversion has written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


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
