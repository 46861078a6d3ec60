"""A fixed table of word vectors from a training text: positive pointwise mutual information, factorised.

Levy and Goldberg 2014 (Neural word embedding as implicit matrix factorization). Words are counted beside each other
within a window; PPMI = max(log(p(w, c) / (p(w) p(c))), 0) of words w and contexts c is factorised by a singular value
decomposition, and a vector is U S^(1/2). Ours: contexts are the most frequent words only, so that the decomposition is
an eigenvalue problem of their number; every vector is scaled to root mean square 1; values are rounded to 2^-12, which
hides that libraries round differently.

The table belongs to the data, not to a model: one perturbation then attacks models that share nothing, and eps has
the same meaning for all of them.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

VERSION = 1
"""Increment it whenever the same text gives another table."""

UNKNOWN, DIGITS = "<unknown>", "<digits>"
CONTEXTS = 1000
GRID = 2.0**12


def token(word: str) -> str:
    """A word as it is counted: in lower case, all numbers alike."""
    return DIGITS if re.fullmatch(r"\d+", word) else word.lower()


def vocabulary(sentences: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The words of a training text that have a vector: `UNKNOWN`, then those seen more than once, most frequent first.

    Args:
        sentences: of tokens.
    """
    counts = Counter(word for sentence in sentences for word in sentence)
    known = [word for word, count in counts.items() if count > 1]
    return (UNKNOWN, *sorted(known, key=lambda word: (-counts[word], word)))


def table(sentences: Sequence[Sequence[int]], words: int, dim: int, window: int) -> NDArray[np.float32]:
    """The vectors [words, dim], each of root mean square 1, up to the rounding.

    Where the text has fewer dimensions than `dim`, the others are 0. A word beside no frequent one gets a constant.

    Args:
        sentences: of numbers of words below `words`.
        words: how many there are.
        dim: of a vector.
        window: how many words to the left and to the right of a word are beside it.
    """
    ppmi = _ppmi(_beside(sentences, words, window))
    values, right = np.linalg.eigh(ppmi.T @ ppmi)
    values, right = values[::-1][:dim].clip(0), right[:, ::-1][:, :dim]
    right = right * _signs(right)
    # The matrix times V is U S; directions without a singular value hold nothing but rounding.
    root = np.where(values > values.max() * 1e-12, values, np.inf) ** 0.25
    vectors = np.zeros((words, dim))
    vectors[:, : len(values)] = ppmi @ right / root
    size = np.sqrt(np.mean(vectors**2, axis=1, keepdims=True))
    found = np.where(size > 0, vectors / np.where(size > 0, size, 1), 1.0)
    return (np.rint(found * GRID) / GRID).astype(np.float32)


def _beside(sentences: Sequence[Sequence[int]], words: int, window: int) -> NDArray[np.float64]:
    """How often a word [words] and a context [contexts] are at most `window` words apart in a sentence."""
    flat = np.concatenate([np.asarray(sentence, np.int64) for sentence in sentences])
    owner = np.repeat(np.arange(len(sentences)), [len(sentence) for sentence in sentences])
    frequent = _most_frequent(flat, words)
    position = np.full(words, -1)
    position[frequent] = np.arange(len(frequent))
    counts = np.zeros((words, len(frequent)))
    for apart in range(1, window + 1):
        same = owner[apart:] == owner[:-apart]
        left, right = flat[:-apart][same], flat[apart:][same]
        for word, context in ((left, right), (right, left)):
            counted = position[context] >= 0
            np.add.at(counts, (word[counted], position[context[counted]]), 1)
    return counts


def _most_frequent(flat: NDArray[np.int64], words: int) -> NDArray[np.int64]:
    counts = np.bincount(flat, minlength=words)
    return np.sort(np.argsort(-counts, kind="stable")[:CONTEXTS])


def _ppmi(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positive pointwise mutual information in nats; 0 where nothing was counted."""
    expected = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / max(counts.sum(), 1)
    together = counts > 0
    return np.where(together, np.log(np.where(together, counts / np.where(together, expected, 1), 1)), 0).clip(0)


def _signs(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 or -1 for each column [n, k]: a decomposition leaves the sign open, here the largest entry is positive."""
    largest = vectors[np.abs(vectors).argmax(0), np.arange(vectors.shape[1])]
    return np.where(largest < 0, -1.0, 1.0)
