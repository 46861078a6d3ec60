"""The table of word vectors: what it is, and that nothing but the text decides it."""

import numpy as np
import pytest

from mtlbench.data.embedding import CONTEXTS, DIGITS, UNKNOWN, table, token, vocabulary

TEXT = [sentence.split() for sentence in ("a x b", "a y b", "c x d", "c y d", "a x b", "e f e f")]
NUMBER = {word: i for i, word in enumerate(sorted({word for sentence in TEXT for word in sentence}))}
NUMBERS = [[NUMBER[word] for word in sentence] for sentence in TEXT]


def test_tokens() -> None:
    assert [token(word) for word in ("Paris", "17", "7am", "1.5", "\u0663")] == ["paris", DIGITS, "7am", "1.5", DIGITS]


def test_words_seen_once_are_unknown() -> None:
    assert vocabulary([["b", "a", "once"], ["a", "b", "a"]]) == (UNKNOWN, "a", "b")


def test_a_hand_worked_table() -> None:
    """Two words that are beside themselves only, 2 and 4 times: PPMI is diagonal, log 3 and log 1.5."""
    assert table([[0, 0], [1, 1], [1, 1]], 2, 2, 1) == pytest.approx(np.array([[2**0.5, 0], [0, 2**0.5]]), abs=1e-3)


def test_against_a_plain_computation() -> None:
    """The cosines are those of U S^(1/2) of the whole PPMI matrix, counted word by word."""
    words, window = len(NUMBER), 2
    counts = np.zeros((words, words))
    for sentence in NUMBERS:
        for i, word in enumerate(sentence):
            for j, context in enumerate(sentence):
                counts[word, context] += 0 < abs(i - j) <= window
    shares = counts / counts.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        ppmi = np.nan_to_num(np.log(shares / shares.sum(1, keepdims=True) / shares.sum(0)), neginf=0).clip(0)
    left, values, _ = np.linalg.svd(ppmi)
    expected = left[:, :3] * np.sqrt(values[:3])
    found = table(NUMBERS, words, 3, window)
    assert values[2] - values[3] > 1e-3  # or the three are not determined
    cosines = (expected / np.linalg.norm(expected, axis=1, keepdims=True)) @ expected.T
    cosines /= np.linalg.norm(expected, axis=1)
    assert found @ found.T / 3 == pytest.approx(cosines, abs=2e-3)


def test_every_word_has_size_1() -> None:
    found = table(NUMBERS, len(NUMBER) + 1, 4, 3)  # the last one is never seen
    assert np.sqrt((found.astype(float) ** 2).mean(1)) == pytest.approx(np.ones(len(found)), abs=1e-3)
    assert (found[-1] == 1).all()


def test_the_same_text_gives_the_same_table() -> None:
    assert (table(NUMBERS, len(NUMBER), 3, 3) == table([list(s) for s in NUMBERS], len(NUMBER), 3, 3)).all()


def test_the_order_of_sentences_does_not_matter() -> None:
    assert table(NUMBERS[::-1], len(NUMBER), 3, 3) == pytest.approx(table(NUMBERS, len(NUMBER), 3, 3), abs=1e-3)


def test_more_dimensions_than_the_text_has_are_0() -> None:
    found = table(NUMBERS, len(NUMBER), 50, 3)
    assert found.shape == (len(NUMBER), 50)
    assert (found[:, len(NUMBER) :] == 0).all()


def test_rare_contexts_are_left_out() -> None:
    """With more words than contexts the table still has a vector of size 1 for each of them."""
    rng = np.random.default_rng(0)
    words = CONTEXTS + 50
    found = table([rng.integers(0, words, 5).tolist() for _ in range(2000)], words, 8, 2)
    assert np.sqrt((found.astype(float) ** 2).mean(1)) == pytest.approx(np.ones(words), abs=1e-3)
