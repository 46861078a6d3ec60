"""The digits of scikit-learn, of files in their format that the tests make; the package need not be installed."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from mtlbench.constants import NEAREST_OTHER
from mtlbench.data.digits import FILE, OF_TASK, Digits
from mtlbench.data.fingerprint import fingerprint
from mtlbench.errors import DataError, MachineError

NUMBER = 50


def write(folder: Path, table: np.ndarray | None = None, text: bytes | None = None) -> Path:
    """A folder with digits, whose first value is ten times their class less some noise."""
    if table is None:
        rng = np.random.default_rng(0)
        table = rng.integers(0, 17, (NUMBER, 65))
        table[:, -1] = np.arange(NUMBER) % 10
    lines = text if text is not None else "\n".join(",".join(map(str, row)) for row in table.tolist()).encode()
    folder.mkdir(exist_ok=True)
    (folder / FILE).write_bytes(gzip.compress(lines))
    return folder


def test_values_and_tasks(tmp_path):
    """Every line once, in one of the splits, its values over 16; the tasks are functions of the digit."""
    root = write(tmp_path / "digits")
    table = np.loadtxt(root / FILE, delimiter=",")
    seen = []
    for split in ("train", "test"):
        data = Digits(root, split)
        for index in range(len(data)):
            (line,), sample = data.values(index), data.sample(index)
            assert sample.input.tolist() == (table[line, :-1] / 16).tolist()
            expected = {name: int(table[line, -1] in ones) for name, ones in OF_TASK.items()}
            assert {name: int(target) for name, target in sample.targets.items()} == expected
            seen.append(line)
    assert sorted(seen) == list(range(NUMBER))
    assert len(Digits(root, "train")) == 40


def test_the_nearest_other_start_is_a_training_digit_of_another_class(tmp_path):
    root = write(tmp_path / "digits")
    train, test = Digits(root, "train"), Digits(root, "test")
    samples = [train.sample(i, 0) for i in range(len(train))]
    for index in range(len(test)):
        sample = test.sample(index)
        for task, point in sample.starts[NEAREST_OTHER].items():
            others = [one.input for one in samples if one.targets[task] != sample.targets[task]]
            nearest = min(others, key=lambda other: float((other - sample.input).norm()))
            assert torch.equal(point, nearest)


def test_the_seed_splits_and_the_limit_cuts(tmp_path):
    root = write(tmp_path / "digits")
    assert Digits(root, "test").values(0) != Digits(root, "test", generator=1).values(0)
    cut = Digits(root, "test", limit=3)
    assert (len(cut), cut.listed) == (3, 10)
    assert len({fingerprint(one) for one in (cut, Digits(root, "test"), Digits(root, "test", generator=1))}) == 3


@pytest.mark.parametrize(
    "text",
    [b"1,2,3\n", b"a" * 64, b"", b"\n".join([b",".join([b"17"] * 64 + [b"1"])] * 30), b"1,2\n1,2,3\n"],
    ids=["short", "letters", "empty", "above 16", "ragged"],
)
def test_other_files_are_refused(tmp_path, text):
    root = write(tmp_path / "digits", text=text)
    with pytest.raises(DataError, match=r"digits\.csv\.gz: not the digits of scikit-learn: expected gzipped lines"):
        Digits(root, "test")


def test_a_file_that_is_no_gzip_or_expands_too_far_is_refused(tmp_path):
    for number, data in enumerate((b"no gzip", gzip.compress(b"0" * 20_000_000))):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / FILE).write_bytes(data)
        with pytest.raises(DataError, match="not the digits of scikit-learn"):
            Digits(folder, "test")


def test_without_the_package_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MachineError, match=r"pip install 'mtlbench\[digits\]', or name a folder .* in dataset\.root$"):
        Digits.at_hand()
