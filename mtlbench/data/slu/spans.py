"""Slots of a sentence: spans of BIO tags, as the evaluation of CoNLL and seqeval read them."""

from collections.abc import Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """Words `start` to `stop` - 1 hold a value of `slot`."""

    slot: str
    start: int
    stop: int


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans of a sentence, in order; an ``I-x`` that continues no x begins a span."""
    found: list[Span] = []
    before = ""
    for place, tag in enumerate(tags):
        kind, _, slot = tag.partition("-")
        if kind == "I" and before == slot:
            found[-1] = found[-1]._replace(stop=place + 1)
        elif slot:
            found.append(Span(slot, place, place + 1))
        before = slot
    return found
