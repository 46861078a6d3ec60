"""Samples of sentences: inputs, padding, targets; what a result's key holds."""

from pathlib import Path

import pytest
import torch

from mtlbench.data.batch import collate, join
from mtlbench.data.fingerprint import fingerprint
from mtlbench.data.slu.dataset import COUNT, INTENT, SLOTS, SLU
from mtlbench.data.slu.text import VALUES
from mtlbench.errors import DataError, MissingSplitError, UsageError
from tests.slu_files import TEST, TRAIN, atis, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return atis(tmp_path / "atis")


def opened(root: Path, split: str, dim: int = 4, window: int = 2, limit: int | None = None) -> SLU:
    return SLU(root, split, dim, window, limit=limit)


def test_inputs(root: Path) -> None:
    """A word is its vector and a 1; padding is 0; every sentence is as long as the longest of its split."""
    train, test = opened(root, "train"), opened(root, "test")
    assert [tuple(one.sample(0).input.shape) for one in (train, test)] == [(10, 5), (5, 5)]
    sample = test.sample(0)  # flights to boston on tuesday
    known = test.text.inputs[test.text.numbers(["flights", "to", "boston", "on"])]
    assert torch.equal(sample.input[:4], known)
    assert torch.equal(sample.input[4], test.text.inputs[0])  # never seen before
    first = train.sample(0).input
    assert (first[:6, -1] == 1).all()
    assert (first[6:] == 0).all()


def test_only_words_may_be_moved(root: Path) -> None:
    sample = opened(root, "train").sample(5)  # thanks
    assert sample.movable is not None
    assert sample.movable[0].tolist() == [True] * 4 + [False]
    assert not sample.movable[1:].any()


def test_targets(root: Path) -> None:
    train = opened(root, "train")
    sample = train.sample(4)  # please show fares on monday 17
    names = {INTENT: train.intents, SLOTS: train.tags}
    assert names[INTENT][int(sample.targets[INTENT])] == "atis_airfare"
    tags = [names[SLOTS][int(tag)] for tag in sample.targets[SLOTS][0, :6, 0]]
    assert tags == ["O", "O", "O", "O", "B-day", "I-day"]
    assert sample.masks[SLOTS][0, :, 0].tolist() == [True] * 6 + [False] * 4
    assert (sample.masks[INTENT].item(), sample.masks[COUNT].item()) == (True, True)
    classes = [int(train.sample(index).targets[COUNT]) for index in range(len(train))]
    assert classes == [1, 1, 0, 2, 0, 0]  # 2, 2, 1, 3, 1 and no slots


def test_the_largest_class_of_counts(tmp_path: Path) -> None:
    write(tmp_path, "train", [("a b c d e", "B-x B-x B-x I-y B-x", "i"), ("a b c d", "B-x B-x B-x B-x", "j")])
    write(tmp_path, "test", TEST)
    train = opened(tmp_path, "train")
    assert [int(train.sample(index).targets[COUNT]) for index in range(2)] == [3, 3]


def test_labels_that_only_the_test_has(root: Path) -> None:
    """They are classes behind the known ones, which no training sentence has, and the sentence stays."""
    train, test = opened(root, "train"), opened(root, "test")
    assert train.tasks == test.tasks
    assert test.intents == ("atis_airfare", "atis_flight", "atis_thanks", "atis_meal")
    assert test.tags == ("O", "B-day", "B-from", "B-to", "I-day", "I-to", "B-meal")
    assert int(test.sample(1).targets[INTENT]) == 3
    assert len(test) == len(TEST)
    seen = {int(train.sample(index).targets[INTENT]) for index in range(len(TRAIN))}
    assert seen == {0, 1, 2}
    assert test.settings()["only_in_test"] == ["atis_meal", "B-meal"]


def test_tasks_climb_cross_entropies(root: Path) -> None:
    tasks = {task.name: task for task in opened(root, "test").tasks}
    assert {name: (task.climbed, task.per_image) for name, task in tasks.items()} == {
        INTENT: ("cross_entropy", True),
        SLOTS: ("cross_entropy", False),
        COUNT: ("cross_entropy", True),
    }
    assert tasks[SLOTS].metric_names == ("span_f1", "token_accuracy")
    assert tasks[COUNT].labels == ("0-1", "2", "3", "4+")


def test_settings_are_those_of_all_splits(root: Path) -> None:
    splits = [opened(root, split) for split in ("train", "valid", "test")]
    assert splits[0].settings() == splits[1].settings() == splits[2].settings()
    assert [len(one) for one in splits] == [len(TRAIN), 1, len(TEST)]


def test_what_the_key_of_a_result_holds(root: Path) -> None:
    """The test sentences, the table's options and the training text; not the validation sentences."""
    before = fingerprint(opened(root, "test"))
    assert fingerprint(opened(root, "test", window=3)) != before
    assert fingerprint(opened(root, "test", limit=1)) != before
    (root / "dev" / "label").write_text("changed\n")
    assert fingerprint(opened(root, "test")) == before
    (root / "train" / "label").write_text("\n".join(["other"] * len(TRAIN)))
    assert fingerprint(opened(root, "test")) != before


def test_a_limit_changes_no_sentence(root: Path) -> None:
    """Padding is that of the whole split."""
    one, all_of_them = opened(root, "train", limit=1), opened(root, "train")
    assert (len(one), one.listed, len(all_of_them)) == (1, len(TRAIN), len(TRAIN))
    assert torch.equal(one.sample(0).input, all_of_them.sample(0).input)


def test_batches(root: Path) -> None:
    test = opened(root, "test")
    batch = collate([test.sample(0), test.sample(1)])
    assert batch.input.shape == (2, 5, 5)
    assert batch.targets[SLOTS].shape == batch.masks[SLOTS].shape == (2, 1, 5, 1)
    assert batch.targets[INTENT].shape == (2, 1, 1, 1)
    assert batch.substitutes is not None
    joined = join([batch[:1], batch[1:]])
    assert joined.substitutes is not None
    assert torch.equal(joined.substitutes.of(VALUES), batch.substitutes.of(VALUES))
    assert torch.equal(batch[[1]].input, batch.input[1:])


def test_values_come_from_the_training_text(root: Path) -> None:
    """``denver`` is the other destination that is one word, ``monday`` a day; an unknown word has substitutes, too."""
    batch = collate([opened(root, "test").sample(0)])
    assert batch.substitutes is not None
    text = opened(root, "test").text
    words = list(text.number)
    rows = batch.substitutes.of(VALUES)[0].tolist()
    assert [[words[number] for number in row if number >= 0] for row in rows] == [[], [], ["denver"], [], ["monday"]]


def test_without_a_training_text_there_is_no_table(tmp_path: Path) -> None:
    write(tmp_path, "test", TEST)
    with pytest.raises(MissingSplitError, match="no folder train"):
        opened(tmp_path, "test")


def test_links_that_lead_out_are_refused(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (root / "test" / "label").rename(outside)
    (root / "test" / "label").symlink_to(outside)
    with pytest.raises(DataError, match=r"dataset.follow_links=true"):
        opened(root, "test")
    assert len(SLU(root, "test", 4, 2, follow_links=True)) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 0}, r"dataset.embedding.dim=0: expected a whole number of at least 1"),
        ({"dim": 2000}, r"dataset.embedding.dim=2000: expected at most 1000"),
        ({"window": 1.5}, r"dataset.embedding.window=1.5"),
        ({"limit": 0}, r"limit=0: expected at least 1 sentence"),
    ],
)
def test_bad_options(root: Path, options: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SLU(root, "test", **options)  # type: ignore[arg-type]


def test_snips(snips: Path) -> None:
    test = SLU(snips, "test")
    assert (len(test), test.length, [task.channels for task in test.tasks]) == (700, 24, [7, 72, 4])
