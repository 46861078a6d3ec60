"""Generated sentences: same numbers, same sentence; labels that agree; the form of ATIS and SNIPS on disk."""

from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from mtlbench.config.dataset import dataset_root
from mtlbench.data import sentences
from mtlbench.data.generated import default_root, make
from mtlbench.data.sentences.grammar import TEMPLATES, Piece, render, spoken
from mtlbench.data.sentences.values import LISTED, SLOTS, drawn
from mtlbench.data.slu.files import Sentence, files_of, read
from mtlbench.data.slu.spans import spans
from mtlbench.errors import DataError, UsageError

(FORM,) = sentences.FORMS.values()
SOME = [render(0, "train", index) for index in range(400)]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_sentence_is_a_function_of_its_numbers() -> None:
    assert [render(0, "train", index) for index in range(400)] == SOME
    others = [render(seed, split, 0).words for seed in (0, 1) for split in ("train", "test")]
    assert all(a != b for a, b in combinations(others, 2))


def test_intents_take_turns() -> None:
    assert Counter(one.intent for one in SOME) == dict.fromkeys(TEMPLATES, 50)


def test_values_are_those_of_their_slots() -> None:
    for one in SOME:
        for span in spans(one.tags):
            value = " ".join(one.words[span.start : span.stop])
            assert span.slot in SLOTS
            assert span.slot not in LISTED or value in LISTED[span.slot]


def test_every_slot_and_value_occurs() -> None:
    found = {(span.slot, " ".join(one.words[span.start : span.stop])) for one in _many() for span in spans(one.tags)}
    assert {slot for slot, _ in found} == set(SLOTS)
    assert {(slot, value) for slot, values in LISTED.items() for value in values} <= found


def _many() -> list[Sentence]:
    return [render(3, "train", index) for index in range(4000)]


def test_words_mean_different_things() -> None:
    """A city is a place to start from, to go to or to be in, a day may be a title: a word alone does not say."""
    tags: dict[str, set[str]] = {}
    for one in _many():
        for word, tag in zip(one.words, one.tags, strict=True):
            tags.setdefault(word, set()).add(tag)
    assert tags["paris"] >= {"B-from_city", "B-to_city", "B-city", "B-title"}
    assert tags["monday"] >= {"B-date", "B-title"}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("a b", {"a b"}),
        ("(a|b c) d", {"a d", "b c d"}),
        ("[a] b", {"a b", "b"}),
        ("[(a|b)] c", {"a c", "b c", "c"}),
        ("[a [b]] c", {"a b c", "a c", "c"}),
        ("(a (b|c)|d)", {"a b", "a c", "d"}),
    ],
)
def test_templates(template: str, expected: set[str]) -> None:
    said = {" ".join(word for piece in spoken(template, rng(seed)) for word in piece.words) for seed in range(80)}
    assert said == expected


def test_a_slot_in_a_template() -> None:
    (before, city) = spoken("in {city}", rng())
    assert before == Piece(("in",), "")
    assert city.slot == "city"
    assert " ".join(city.words) in LISTED["city"]


def test_first_values_are_more_frequent() -> None:
    draws = Counter(drawn(generator, "time") for generator in [rng()] for _ in range(4000))
    first, *_, last = LISTED["time"]
    assert 2 < draws[first] / draws[last] < 5


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sentences") / "s"
    make(root, FORM, 130, 1, 7)
    return root


def test_files(made: Path) -> None:
    """They read as what was rendered."""
    for split, number in (("train", 120), ("test", 10)):
        found = read(files_of(made, split))
        assert found == tuple(render(7, split, index) for index in range(number))


def test_folders_are_named_by_what_is_in_them(made: Path) -> None:
    assert default_root(made.parent, FORM, 130, 1, 7).name == "sentences-v1-130-s7"
    make(made, FORM, 130, 1, 7)  # nothing to do
    with pytest.raises(DataError, match="the folder holds sentences with"):
        make(made, FORM, 130, 1, 8)


def test_the_number_of_sentences_is_checked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"dataset.sentences=1: expected"):
        make(tmp_path / "s", FORM, 1, 1, 0)


def test_made_on_first_use(tmp_path: Path) -> None:
    reader = {"_target_": "mtlbench.data.slu.dataset.SLU", "dim": 8, "window": 2}
    dataset = {
        "name": "sentences",
        "reader": reader,
        "root": None,
        "make": {"form": "slu"},
        "sentences": 26,
        "seed": 1,
    }
    config = {"dataset": dataset, "plugins": [], "outputs": str(tmp_path)}
    root = dataset_root(config)
    assert root == tmp_path / "datasets" / "sentences-v1-26-s1"
    assert dataset_root(config) == root
