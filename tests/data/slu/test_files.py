"""Sentences as people have them: what is read, and what is refused with file and line."""

from pathlib import Path

import pytest

from mtlbench.data.slu.files import Sentence, files_of, read
from mtlbench.data.slu.spans import Span, spans
from mtlbench.errors import DataError, MissingSplitError
from tests.slu_files import TEST, TRAIN, atis, write


def sentences(root: Path, split: str) -> tuple[Sentence, ...]:
    return read(files_of(root, split))


def test_lines_become_sentences(tmp_path: Path) -> None:
    found = sentences(atis(tmp_path), "train")
    assert [" ".join(one.words) for one in found] == [words for words, _, _ in TRAIN]
    assert [" ".join(one.tags) for one in found] == [tags for _, tags, _ in TRAIN]


def test_of_several_intents_the_first_counts(tmp_path: Path) -> None:
    assert [one.intent for one in sentences(atis(tmp_path), "test")] == ["atis_flight", "atis_meal"]


@pytest.mark.parametrize("name", ["valid", "dev"])
def test_the_validation_split_has_two_names(tmp_path: Path, name: str) -> None:
    assert len(sentences(atis(tmp_path, name), "valid")) == 1


def test_only_spaces_separate_words(tmp_path: Path) -> None:
    """A no-break space or a line separator of Unicode belongs to a word."""
    write(tmp_path, "test", [("caf\u00e9\u00a0noir a\u2028b", "B-x O", "one")])
    assert sentences(tmp_path, "test")[0].words == ("caf\u00e9\u00a0noir", "a\u2028b")


def test_windows_line_ends_and_a_byte_order_mark_are_no_words(tmp_path: Path) -> None:
    write(tmp_path, "test", [("one two", "O B-x", "a")], end="\r\n")
    (tmp_path / "test" / "seq.in").write_bytes(b"\xef\xbb\xbfone two\r\n")
    assert sentences(tmp_path, "test") == (Sentence(("one", "two"), ("O", "B-x"), "a"),)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("seq.in", "one two\n", r"seq.out: 2 lines, but .*seq.in has 1; expected one a sentence"),
        ("label", "a\nb\nc\n", r"label: 3 lines, but .*seq.in has 2"),
        ("seq.in", "flights to boston on\nis dinner served from denver\n", r"seq.out: line 1 has 5 tags, .* 4 words"),
        ("seq.out", "O O B-to O B-day\nO B-meal O O\n", r"seq.out: line 2 has 4 tags, .* has 5 words"),
        ("seq.out", "O O B-to O E-day\nO B-meal O O B-from\n", r"seq.out: line 1 has the tag 'E-day'; expected O, B-"),
        ("seq.out", "O O B-to O day\nO B-meal O O B-from\n", r"line 1 has the tag 'day'"),
        ("seq.out", "O O B-to O B-\nO B-meal O O B-from\n", r"line 1 has the tag 'B-'"),
        ("seq.in", "flights to boston on tuesday\n \n", r"seq.in: line 2 is empty; expected a sentence"),
        ("seq.in", "\nis dinner served from denver\n", r"seq.in: line 1 is empty; expected a sentence"),
        ("label", "\natis_meal\n", r"label: line 1 is ''; expected an intent"),
        ("label", "#atis_meal\natis_meal\n", r"label: line 1 is '#atis_meal'; expected an intent"),
    ],
)
def test_what_is_refused(tmp_path: Path, file: str, text: str, message: str) -> None:
    write(tmp_path, "test", TEST)
    (tmp_path / "test" / file).write_text(text)
    with pytest.raises(DataError, match=message):
        sentences(tmp_path, "test")


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "test", TEST)
    (tmp_path / "test" / "seq.in").write_bytes("caf\u00e9\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"seq.in: not UTF-8 \(.* at byte 3\)"):
        sentences(tmp_path, "test")


def test_missing_parts(tmp_path: Path) -> None:
    atis(tmp_path)
    (tmp_path / "test" / "label").unlink()
    with pytest.raises(DataError, match=r"label: no such file"):
        sentences(tmp_path, "test")
    with pytest.raises(MissingSplitError, match="no folder valid or dev"):
        files_of(write(tmp_path / "other", "test", TEST), "valid")
    for name in ("seq.in", "seq.out", "label"):
        (tmp_path / "train" / name).write_text("")
    with pytest.raises(MissingSplitError, match=r"seq.in: empty"):
        sentences(tmp_path, "train")


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("O O", []),
        ("B-a I-a O B-b", [Span("a", 0, 2), Span("b", 3, 4)]),
        ("B-a B-a I-a", [Span("a", 0, 1), Span("a", 1, 3)]),
        ("I-a I-a O I-b", [Span("a", 0, 2), Span("b", 3, 4)]),
        ("B-a I-b I-b", [Span("a", 0, 1), Span("b", 1, 3)]),
        ("B-x-y I-x-y", [Span("x-y", 0, 2)]),
    ],
)
def test_spans(tags: str, expected: list[Span]) -> None:
    assert spans(tags.split()) == expected


def test_snips(snips: Path) -> None:
    """The counts of the set as it was published."""
    found = {split: sentences(snips, split) for split in ("train", "valid", "test")}
    assert [len(one) for one in found.values()] == [13084, 700, 700]
    assert len({tag for one in found["train"] for tag in one.tags}) == 72
    assert len({one.intent for one in found["train"]}) == 7
