"""What a training text defines: vocabulary, labels, and which words may replace each other."""

from pathlib import Path

import pytest
import torch

from mtlbench.data.embedding import DIGITS, UNKNOWN
from mtlbench.data.sentences.grammar import render
from mtlbench.data.slu.files import Sentence, files_of
from mtlbench.data.slu.spans import spans
from mtlbench.data.slu.text import ALIKE, NEAREST, NEIGHBOURS, VALUES, Text, text_of
from mtlbench.data.substitutes import Substitutes
from tests.slu_files import atis

SENTENCES = tuple(render(5, "train", index) for index in range(400))


@pytest.fixture(scope="module")
def text() -> Text:
    return Text(SENTENCES, 16, 3)


def word(text: Text, number: int) -> str:
    return list(text.number)[number]


def test_the_vocabulary(tmp_path: Path) -> None:
    """Words seen twice, without case, numbers alike; all others are word 0."""
    text = text_of(files_of(atis(tmp_path), "train"), 4, 2)
    assert next(iter(text.number)) == UNKNOWN
    known = {"flights", "from", "boston", "to", "denver", "please", "fares", "on", "show", "monday"}
    assert text.number.keys() - {UNKNOWN} == known
    assert text.numbers(["Boston", "tuesday", "17"]) == [text.number["boston"], 0, 0]
    assert text.tags == ("O", "B-day", "B-from", "B-to", "I-day", "I-to")
    assert text.intents == ("atis_airfare", "atis_flight", "atis_thanks")


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    files = files_of(atis(tmp_path), "train")
    before = text_of(files, 4, 2)
    assert text_of(files, 4, 2) is before
    files[2].write_text("a longer label\n" * 6)
    assert text_of(files, 4, 2).fingerprint != before.fingerprint


def test_what_a_fingerprint_covers(text: Text) -> None:
    """Words, tags, intents and both options; nothing else."""
    first, *others = SENTENCES
    changed = (
        Text(SENTENCES, 8, 3),
        Text(SENTENCES, 16, 2),
        Text((Sentence(first.words, first.tags, "other"), *others), 16, 3),
        Text((Sentence(first.words, ("O",) * len(first.tags), first.intent), *others), 16, 3),
        Text((Sentence(("word", *first.words[1:]), first.tags, first.intent), *others), 16, 3),
    )
    prints = [text.fingerprint, *(one.fingerprint for one in changed)]
    assert len(set(prints)) == len(prints)
    assert Text(tuple(SENTENCES), 16, 3).fingerprint == text.fingerprint


def test_values_are_single_words_of_the_slot(text: Text) -> None:
    """Those that the training text shows alone in a span of this slot, and only known words."""
    seen = {
        (span.slot, text.numbers(one.words)[span.start])
        for one in SENTENCES
        for span in spans(one.tags)
        if span.stop == span.start + 1
    }
    assert {(slot, number) for slot, numbers in text.values.items() for number in numbers} == {
        (slot, number) for slot, number in seen if number
    }
    assert {"paris", "rome"} <= {word(text, number) for number in text.values["city"]}
    assert DIGITS in {word(text, number) for number in text.values["people"]}


def test_neighbours_are_near_and_under_the_same_tags(text: Text) -> None:
    under: dict[int, set[str]] = {}
    for one in SENTENCES:
        for number, tag in zip(text.numbers(one.words), one.tags, strict=True):
            under.setdefault(number, set()).add(tag)
    vectors = torch.from_numpy(text.vectors).double()
    assert text.neighbours[0] == ()
    assert sum(map(len, text.neighbours)) > 100
    for number, near in enumerate(text.neighbours):
        assert len(near) <= NEAREST
        assert number not in near
        cosines = torch.cosine_similarity(vectors[number][None], vectors[list(near)]) if near else torch.ones(0)
        assert (cosines > ALIKE - 1e-9).all()
        assert (cosines.diff() <= 1e-9).all()
        assert all(under[other] == under[number] for other in near)


def substitutes(text: Text, *sentences: Sentence) -> Substitutes:
    length = max(len(one.words) for one in sentences) + 2
    found = []
    for one in sentences:
        words = torch.zeros(length, dtype=torch.long)
        words[: len(one.words)] = torch.tensor(text.numbers(one.words))
        found.append(Substitutes(text.inputs, text.members, words, text.groups(one, length)))
    return Substitutes.stack(found)


def test_values_never_change_a_label(text: Text) -> None:
    """What may stand in the place of a word is another value of its slot; other words, and padding, have nothing."""
    chosen = SENTENCES[:50]
    found = substitutes(text, *chosen).of(VALUES)
    count = 0
    for one, rows in zip(chosen, found.tolist(), strict=True):
        single = {span.start: span.slot for span in spans(one.tags) if span.stop == span.start + 1}
        for place, row in enumerate(rows):
            options = {number for number in row if number >= 0}
            count += len(options)
            if place in single:
                own = text.numbers(one.words)[place]
                assert options == set(text.values.get(single[place], ())) - {own}
            else:
                assert options == set()
    assert count > 100


def test_neighbours_of_words(text: Text) -> None:
    one = SENTENCES[0]
    rows = substitutes(text, one).of(NEIGHBOURS)[0].tolist()
    for number, row in zip(text.numbers(one.words), rows, strict=False):
        assert [other for other in row if other >= 0] == list(text.neighbours[number])
    assert all(set(row) == {-1} for row in rows[len(one.words) :])


def test_slices_and_joins(text: Text) -> None:
    whole = substitutes(text, *SENTENCES[:4])
    joined = Substitutes.join([whole[:1], whole[1:]])
    assert torch.equal(joined.of(VALUES), whole.of(VALUES))
    assert torch.equal(whole[2:3].of(NEIGHBOURS), whole.of(NEIGHBOURS)[2:3])
