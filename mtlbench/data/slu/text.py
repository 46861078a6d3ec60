"""What a training text defines: words and their vectors, tags, intents, and which words may replace each other."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtlbench.data import embedding
from mtlbench.data.slu.files import OUTSIDE, Sentence, read
from mtlbench.data.slu.spans import spans

VALUES, NEIGHBOURS = "values", "neighbours"
NEAREST = 20
ALIKE = 0.3
"""`NEIGHBOURS` are at most `NEAREST` words whose vectors have a cosine above `ALIKE`."""

AT_ONCE = 512
"""Words that are compared with all others at once, so that memory stays small."""


@dataclass(frozen=True)
class Text:
    """A training text with its table of word vectors.

    Args:
        sentences: of the training split.
        dim: of a vector.
        window: see `embedding.table`.
    """

    sentences: tuple[Sentence, ...]
    dim: int
    window: int

    @cached_property
    def number(self) -> dict[str, int]:
        """Token -> its number in the vocabulary."""
        tokens = [[embedding.token(word) for word in sentence.words] for sentence in self.sentences]
        return {word: number for number, word in enumerate(embedding.vocabulary(tokens))}

    def numbers(self, words: Iterable[str]) -> list[int]:
        """The numbers of words; 0 for unknown ones."""
        return [self.number.get(embedding.token(word), 0) for word in words]

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """The table [V, dim]."""
        numbers = [self.numbers(sentence.words) for sentence in self.sentences]
        return embedding.table(numbers, len(self.number), self.dim, self.window)

    @cached_property
    def inputs(self) -> Tensor:
        """What a model reads of each word: [V, dim + 1], its vector and a 1."""
        vectors = torch.from_numpy(self.vectors)
        return torch.cat([vectors, torch.ones(len(vectors), 1)], 1)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all that the table, the labels and the substitutes follow from; 16 hexadecimal digits.

        Not of the table's own bytes: libraries round differently, and the text with these options names it as well.
        """
        about = [embedding.VERSION, self.dim, self.window]
        content = [(one.words, one.tags, one.intent) for one in self.sentences]
        return hashlib.sha256(json.dumps([about, content]).encode()).hexdigest()[:16]

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """``O``, then the others, sorted."""
        return _sorted(self.sentences)

    @cached_property
    def intents(self) -> tuple[str, ...]:
        """Sorted."""
        return tuple(sorted({sentence.intent for sentence in self.sentences}))

    @cached_property
    def values(self) -> dict[str, tuple[int, ...]]:
        """Slot -> the numbers of known words that are a value of it by themselves."""
        found: dict[str, set[int]] = {}
        for sentence in self.sentences:
            numbers = self.numbers(sentence.words)
            for span in spans(sentence.tags):
                if span.stop - span.start == 1 and numbers[span.start]:
                    found.setdefault(span.slot, set()).add(numbers[span.start])
        return {slot: tuple(sorted(numbers)) for slot, numbers in sorted(found.items())}

    @cached_property
    def neighbours(self) -> tuple[tuple[int, ...], ...]:
        """Of each known word the nearest ones that the text has under exactly the same set of tags, nearest first."""
        under: dict[int, set[str]] = {}
        for sentence in self.sentences:
            for number, tag in zip(self.numbers(sentence.words), sentence.tags, strict=True):
                under.setdefault(number, set()).add(tag)
        alike: dict[frozenset[str], list[int]] = {}
        for number in sorted(under.keys() - {0}):
            alike.setdefault(frozenset(under[number]), []).append(number)
        found: list[tuple[int, ...]] = [()] * len(self.number)
        for numbers in alike.values():
            _fill_in(found, numbers, self.vectors)
        return tuple(found)

    @cached_property
    def members(self) -> dict[str, Tensor]:
        """Rule -> the substitutes of each group, see `Substitutes`."""
        return {VALUES: _padded(self.values.values()), NEIGHBOURS: _padded(self.neighbours)}

    def groups(self, sentence: Sentence, length: int) -> dict[str, Tensor]:
        """Rule -> the group [length] of each word of a sentence."""
        numbers, groups = self.numbers(sentence.words), {slot: i for i, slot in enumerate(self.values, start=1)}
        of_values = torch.zeros(length, dtype=torch.long)
        for span in spans(sentence.tags):
            if span.stop - span.start == 1:
                of_values[span.start] = groups.get(span.slot, 0)
        of_words = torch.zeros(length, dtype=torch.long)
        of_words[: len(numbers)] = torch.tensor(numbers) + 1
        return {VALUES: of_values, NEIGHBOURS: of_words}


def with_new(known: Sequence[str], found: Iterable[str]) -> tuple[str, ...]:
    """The known labels, then those that only other sentences have, sorted."""
    return (*known, *sorted(set(found) - set(known)))


def text_of(files: Sequence[Path], dim: int, window: int) -> Text:
    """The training text of these files, read and factorised once as long as they stay the same."""
    stamps = [(path.stat().st_size, path.stat().st_mtime_ns) for path in files if path.exists()]
    return _text_of(tuple(files), tuple(stamps), dim, window)


@lru_cache(maxsize=4)
def _text_of(files: tuple[Path, ...], stamps: tuple[tuple[int, int], ...], dim: int, window: int) -> Text:
    return Text(read(files), dim, window)


def _sorted(sentences: Iterable[Sentence]) -> tuple[str, ...]:
    return OUTSIDE, *sorted({tag for sentence in sentences for tag in sentence.tags} - {OUTSIDE})


def _fill_in(found: list[tuple[int, ...]], numbers: Sequence[int], vectors: NDArray[np.float32]) -> None:
    """Find the nearest of each of some words among them."""
    chosen = vectors[list(numbers)].astype(np.float64)
    chosen /= np.linalg.norm(chosen, axis=1, keepdims=True)
    for first in range(0, len(numbers), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        for number, cosines in zip(numbers[part], chosen[part] @ chosen.T, strict=True):
            order = np.argsort(-cosines, kind="stable")[: NEAREST + 1]
            near = [numbers[place] for place in order if cosines[place] > ALIKE]
            found[number] = tuple(other for other in near if other != number)[:NEAREST]


def _padded(groups: Iterable[Sequence[int]]) -> Tensor:
    """[G + 1, K]: an empty group, then the given ones, with -1 behind the last member of each."""
    rows = [(), *groups]
    found = torch.full((len(rows), max(1, *map(len, rows))), -1)
    for row, members in zip(found, rows, strict=True):
        row[: len(members)] = torch.tensor(members, dtype=torch.long)
    return found
