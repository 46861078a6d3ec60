"""F1 of spans, as seqeval defines it, against a plain reading of its rules and numbers worked out by hand."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mtlbench.data.slu.spans import spans
from mtlbench.errors import DataError
from mtlbench.metrics import METRICS
from mtlbench.metrics.statistics import STATISTICS
from tests.golden import FOLDER

TAGS = ("O", "B-a", "I-a", "B-b", "I-b", "I-c")


def counted(true: list[list[str]], guessed: list[list[str]]) -> Tensor:
    """The statistic of sentences of several lengths, padded with what must not count."""
    most = max(map(len, true)) + 2
    ids = [[[TAGS.index(tag) for tag in one] + [1] * (most - len(one)) for one in each] for each in (true, guessed)]
    target, guess = (torch.tensor(each)[:, None, :, None] for each in ids)
    mask = torch.tensor([[i < len(one) for i in range(most)] for one in true])[:, None, :, None]
    logits = torch.zeros(len(true), len(TAGS), most, 1).scatter_(1, guess, 1.0)
    return counts(logits, target, mask)


def counts(logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    return STATISTICS["span_counts"](logits, target, mask, labels=TAGS)


@pytest.mark.parametrize(
    ("true", "guessed", "expected"),
    [
        ("B-a I-a O B-b", "B-a I-a O B-b", (2, 2, 2)),
        ("B-a I-a O B-b", "B-a O O B-b", (1, 2, 2)),  # the end is wrong
        ("B-a I-a O B-b", "B-b I-b O B-b", (1, 2, 2)),  # the slot is wrong
        ("B-a I-a O O", "I-a I-a O O", (1, 1, 1)),  # an I that begins a span
        ("B-a I-a I-a O", "B-a B-a I-a O", (0, 2, 1)),
        ("B-a I-a O O", "B-a I-b O O", (0, 2, 1)),  # another slot begins another span
        ("O O O O", "O I-c I-c O", (0, 1, 0)),
        ("O O O O", "O O O O", (0, 0, 0)),
    ],
)
def test_by_hand(true: str, guessed: str, expected: tuple[int, int, int]) -> None:
    (found,) = counted([true.split()], [guessed.split()]).tolist()
    assert found == [*expected, (expected[1] + expected[2]) / 2]


tag = st.sampled_from(TAGS)
pair = st.lists(st.tuples(tag, tag), min_size=1, max_size=7)


@settings(max_examples=60, deadline=None)
@given(st.lists(pair, min_size=1, max_size=4))
def test_against_spans_as_sets(sentences: list[list[tuple[str, str]]]) -> None:
    true, guessed = ([[each[i] for each in one] for one in sentences] for i in (0, 1))
    for row, one, other in zip(counted(true, guessed).tolist(), true, guessed, strict=True):
        a, b = set(spans(one)), set(spans(other))
        assert row == [len(a & b), len(b), len(a), (len(a) + len(b)) / 2]


def test_against_seqeval() -> None:
    """Sentences that seqeval has counted, ten of them odd by hand, see golden/README.md."""
    golden = json.loads((FOLDER / "spans.json").read_text())
    true, guessed = ([row[which].split() for row in golden["sentences"]] for which in ("true", "predicted"))
    sums = counted(true, guessed)
    assert sums[:, :3].tolist() == [row["spans"] for row in golden["sentences"]]
    found = METRICS["span_f1"].value({"span_counts": sums.numpy()}, np.ones((1, len(true))), "standard")
    assert found == pytest.approx([golden["f1"]], rel=1e-12)


def test_the_metric_divides_once() -> None:
    """Two sentences with F1 1 and 0 that have 1 and 3 spans: not the mean of the two."""
    sums = counted([["B-a", "O", "O"], ["B-a", "B-a", "B-a"]], [["B-a", "O", "O"], ["O", "O", "O"]]).numpy()
    found = METRICS["span_f1"].value({"span_counts": sums}, np.ones((1, 2)), "standard")
    assert found == pytest.approx([2 * 1 / (1 + 4)])


def test_a_broken_prediction_has_no_spans() -> None:
    logits = torch.zeros(2, len(TAGS), 3, 1)
    logits[0, 2, 1] = torch.nan
    target, mask = torch.zeros(2, 1, 3, 1, dtype=torch.long), torch.ones(2, 1, 3, 1, dtype=torch.bool)
    assert counts(logits, target, mask).isnan().all(1).tolist() == [True, False]
    mask[0, 0, 1] = False  # padding may be anything
    assert not counts(logits, target, mask).isnan().any()


def test_classes_without_names_are_refused() -> None:
    logits, target = torch.zeros(1, 3, 2, 1), torch.zeros(1, 1, 2, 1, dtype=torch.long)
    with pytest.raises(DataError, match=r"span_f1 is of 3 classes named O, B-<slot>, I-<slot>; they have 0 names"):
        STATISTICS["span_counts"](logits, target, torch.ones(1, 1, 2, 1, dtype=torch.bool))
