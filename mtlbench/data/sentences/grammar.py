"""What people say for each intent, as templates: ``(a|b)`` is one of several, ``[a]`` may be left out, ``{slot}`` is a
value of a slot.
"""

import re
from typing import NamedTuple

import numpy as np

from mtlbench.data.generated import SPLITS
from mtlbench.data.sentences.values import drawn
from mtlbench.data.slu.files import OUTSIDE, Sentence

BEFORE = "[(please|hey|hello|um|ok|well)]"
BEHIND = "[[(please|thanks|if you can)]]"
ROUTE = "(from {from_city} to {to_city}|to {to_city} from {from_city}|between {from_city} and {to_city}|to {to_city})"
WHEN = "[({date}|{date} at {time}|at {time}|around {time})]"

TEMPLATES: dict[str, tuple[str, ...]] = {
    "book_flight": (
        f"(book|find|get) [me] (a|the first|another) [{{airline}}] flight {ROUTE} {WHEN}",
        f"(i need|i want) [(a|some)] [{{class}} class] (flights|seats|tickets) {ROUTE} [with {{airline}}] {WHEN}",
        f"fly {{people}} of us {ROUTE} {WHEN}",
    ),
    "ask_fare": (
        f"(how much is|what is the price of|show me) (a|the cheapest) [{{class}} class] (flight|ticket) {ROUTE}",
        f"what does [{{airline}}] (ask|charge|want) for (flights|a seat|tickets) {ROUTE} {WHEN}",
        f"(cheapest|lowest) [{{class}}] (fares|tickets) {ROUTE} {WHEN}",
    ),
    "find_hotel": (
        "(book|find|reserve) [me] a (room|hotel|bed) in {city} for {nights} nights [{date}]",
        "(i need|we need) somewhere to (sleep|stay) in {city} {date} [for {people} people]",
        "a room for {people} in {city} {date}",
    ),
    "book_table": (
        f"(book|reserve|get) [me] a table for {{people}} at a {{cuisine}} {{venue}} [in {{city}}] {WHEN}",
        f"(i want|we want) to eat {{cuisine}} food in {{city}} {WHEN}",
        f"find a {{venue}} [in {{city}}] that has room for {{people}} {WHEN}",
    ),
    "get_weather": (
        "will it {condition} [in {city}] [{date}]",
        "(what is|tell me|show me) the (weather|forecast) [for {city}] [{date}]",
        "is it going to {condition} {date} [in {city}] [at {time}]",
    ),
    "play_music": (
        "play [me] {title} by {artist} [on {service}]",
        "(play|find|put on) [some] {genre} [by {artist}] [on {service}]",
        "i want to hear [the song] {title} [from {artist}]",
    ),
    "set_reminder": (
        f"(remind me|tell me) to {{errand}} {WHEN}",
        "wake [(me|us)] [up] at {time} [{date}]",
        "set an alarm for {time} [to {errand}] [{date}]",
    ),
    "send_message": (
        "(text|message|write to) {person} that i am (late|in {city}|at the {venue})",
        "(tell|ask|remind) {person} to {errand} [{date}]",
        "send {person} [the song] {title}",
    ),
}
"""Intent -> its templates."""

LOST = 0.03
"""Share of the words outside of slots that a speaker swallows."""

PART = re.compile(r"[\[\](|)]|\{\w+\}|[^\s\[\](|)]+")


class Piece(NamedTuple):
    """Words, and the slot that they are a value of, or nothing."""

    words: tuple[str, ...]
    slot: str


def render(seed: int, split: str, index: int) -> Sentence:
    """Sentence `index` of `split`, a pure function of the arguments; the intents take turns."""
    # Each word must stay below 2**32, or two triples could give the same stream.
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    intent = tuple(TEMPLATES)[index % len(TEMPLATES)]
    templates = TEMPLATES[intent]
    template = templates[int(rng.random() * len(templates))]
    pieces = spoken(f"{BEFORE} {template} {BEHIND}", rng)
    kept = [piece for piece in pieces if piece.slot or rng.random() >= LOST]
    words = tuple(word for piece in kept or pieces for word in piece.words)
    tags = tuple(tag for piece in kept or pieces for tag in _tags(piece))
    return Sentence(words, tags, intent)


def spoken(template: str, rng: np.random.Generator) -> list[Piece]:
    """A template with everything chosen."""
    found, rest = _sequence(PART.findall(template), rng)
    assert not rest, f"{template}: something closes that was not opened"
    return found


def _sequence(parts: list[str], rng: np.random.Generator) -> tuple[list[Piece], list[str]]:
    """What is said until something closes, and the parts from there on."""
    found: list[Piece] = []
    while parts and parts[0] not in ("]", ")", "|"):
        part, parts = parts[0], parts[1:]
        if part in ("[", "("):
            said, parts = _group(parts, rng)
            found += [] if part == "[" and rng.random() < 0.5 else said
        elif part.startswith("{"):
            slot = part[1:-1]
            found.append(Piece(tuple(drawn(rng, slot).split()), slot))
        else:
            found.append(Piece((part,), ""))
    return found, parts


def _group(parts: list[str], rng: np.random.Generator) -> tuple[list[Piece], list[str]]:
    """One of the alternatives up to the end of a bracket, and the parts behind it."""
    said, parts = _sequence(parts, rng)
    alternatives = [said]
    while parts[0] == "|":
        said, parts = _sequence(parts[1:], rng)
        alternatives.append(said)
    return alternatives[int(rng.random() * len(alternatives))], parts[1:]


def _tags(piece: Piece) -> list[str]:
    if not piece.slot:
        return [OUTSIDE] * len(piece.words)
    return [f"B-{piece.slot}", *[f"I-{piece.slot}"] * (len(piece.words) - 1)]
