"""The 8x8 digits that come with scikit-learn, as vectors with three tasks of two classes.

1,797 handwritten digits, 64 values of 0 to 16, here divided by 16: E. Alpaydin and C. Kaynak, Optical recognition of
handwritten digits, UCI 1998 (CC BY 4.0). Nothing is downloaded: the file is part of the installed package, which is
not imported.
"""

import importlib.util
import zlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtlbench.constants import AVERAGE_OTHER, NEAREST_OTHER
from mtlbench.data.base import MultiTaskDataset
from mtlbench.data.batch import Sample
from mtlbench.errors import DataError, MachineError
from mtlbench.options import one_of, whole
from mtlbench.space import Space
from mtlbench.storage.bounded import read_bytes
from mtlbench.tasks import Task, classification

FILE = "digits.csv.gz"
PACKAGED = Path("datasets", "data")
DIGITS, VALUES, WHITE = 10, 64, 16
TRAIN_SHARE = 0.8
FAR = 10.0
"""Longer than any radius: the whole box has a diagonal of 8."""

MOST_BYTES, MOST_UNZIPPED = 1_000_000, 10_000_000
EXPECTED = "not the digits of scikit-learn: expected gzipped lines of 64 whole numbers from 0 to 16 and a digit"
LARGEST_SEED = 2**32 - 1
OF_TASK: Mapping[str, tuple[int, ...]] = {"odd": (1, 3, 5, 7, 9), "large": (5, 6, 7, 8, 9), "loop": (0, 6, 8, 9)}
"""Task -> the digits of its class 1."""

TASKS: tuple[Task, ...] = tuple(
    classification((f"not {name}", name), name=name, metrics=("accuracy",)) for name in OF_TASK
)

PIXELS = Space("vector", unit="white", scale=1.0, most=10.0, box=(0.0, 1.0), euclidean=True, block=256)


class Digits(MultiTaskDataset):
    """One split: four fifths of the digits to train, the others to test, drawn at random.

    Args:
        root: the folder of ``digits.csv.gz``.
        split: ``train`` or ``test``.
        generator: ``dataset.seed``, which splits.
        limit: number of digits of the split; None is all.
        name: in tables.
        seed: of the training; not read.

    Raises:
        DataError: the file is missing, damaged, or holds something else.
    """

    space = PIXELS
    starts = (NEAREST_OTHER, AVERAGE_OTHER)
    tasks = TASKS

    def __init__(
        self,
        root: Path,
        split: str,
        *,
        generator: int = 0,
        limit: int | None = None,
        name: str = "digits",
        seed: int = 0,
    ) -> None:
        self.name, self.root, self.split = name, root, one_of(split, "split", ("train", "test"))
        self.generator = whole(generator, "dataset.seed", 0, LARGEST_SEED)
        values, digits = read_digits(root / FILE)
        order = np.random.default_rng(self.generator).permutation(len(digits))
        cut = round(TRAIN_SHARE * len(digits))
        self._training = torch.from_numpy(values[order[:cut]]), torch.from_numpy(digits[order[:cut]])
        mine = order[:cut] if split == "train" else order[cut:]
        self._listed = len(mine)
        self._rows = mine[: None if limit is None else whole(limit, "limit")]
        self._values, self._digits = torch.from_numpy(values[self._rows]), digits[self._rows]

    @classmethod
    def tasks_of(cls, options: Mapping[str, object]) -> tuple[Task, ...]:
        """See `MultiTaskDataset.tasks_of`."""
        whole(options["generator"], "dataset.seed", 0, LARGEST_SEED)
        return TASKS

    @classmethod
    def at_hand(cls) -> Path:
        """The folder of the file in the installed scikit-learn, which is not imported.

        Raises:
            MachineError: it is not installed.
        """
        found = importlib.util.find_spec("sklearn")
        if found is None or not found.submodule_search_locations:
            raise MachineError(
                f"dataset=digits: scikit-learn, which brings {FILE}, is not installed: "
                "pip install 'mtlbench[digits]', or name a folder with this file in dataset.root"
            )
        return Path(found.submodule_search_locations[0]) / PACKAGED

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def listed(self) -> int:
        """Size of the whole split."""
        return self._listed

    def sample(self, index: int, draw: int | None = None) -> Sample:
        """Digit `index`, 64 values from 0 to 1; training digits are not augmented and have no other starts."""
        classes = {name: int(self._digits[index]) in digits for name, digits in OF_TASK.items()}
        return Sample(
            self._values[index],
            {name: torch.tensor(one, dtype=torch.int64).reshape(1, 1, 1) for name, one in classes.items()},
            {name: torch.ones(1, 1, 1, dtype=torch.bool) for name in classes},
            f"{self.split}_{self._rows[index]:04d}",
            space=self.space,
            starts={} if draw is not None else self._starts(index),
        )

    def _starts(self, index: int) -> dict[str, dict[str, Tensor]]:
        x, digit = self._values[index], int(self._digits[index])
        values, nearest, average = self._training[0], {}, {}
        distances = (values - x).square().sum(1)
        for name, is_one in self._classes.items():
            other = is_one != (digit in OF_TASK[name])
            nearest[name] = values[torch.where(other, distances, torch.inf).argmin()]
            away = values[other].mean(0) - values[~other].mean(0)
            average[name] = x + FAR * away / away.norm()
        return {NEAREST_OTHER: nearest, AVERAGE_OTHER: average}

    @cached_property
    def _classes(self) -> dict[str, Tensor]:
        """Task -> which training digits are of its class 1."""
        return {name: torch.isin(self._training[1], torch.tensor(digits)) for name, digits in OF_TASK.items()}

    def files(self, index: int) -> Iterable[Path]:
        """The one file."""
        return (self.root / FILE,)

    def values(self, index: int) -> tuple[int]:
        """The line in it."""
        return (int(self._rows[index]),)

    def settings(self) -> dict[str, object]:
        """What splits."""
        return {"seed": self.generator, "train_share": TRAIN_SHARE}


def read_digits(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Values from 0 to 1, [N, 64], and digits [N].

    Raises:
        DataError: no such file, or not lines of 64 whole numbers from 0 to 16 and a digit.
    """
    data = read_bytes(path, MOST_BYTES)
    unzip = zlib.decompressobj(wbits=31)
    try:
        text = unzip.decompress(data, MOST_UNZIPPED)
        table = np.array([line.split(b",") for line in text.split()], dtype=np.float64)
    except (zlib.error, ValueError) as error:
        raise DataError(f"{path}: {EXPECTED} ({error})") from error
    if unzip.unconsumed_tail or table.ndim != 2 or table.shape[1] != VALUES + 1 or not _is_table(table):
        raise DataError(f"{path}: {EXPECTED}; found an array {list(table.shape)}")
    return table[:, :-1] / WHITE, table[:, -1].astype(np.int64)


def _is_table(table: NDArray[np.float64]) -> bool:
    most = np.array([WHITE] * VALUES + [DIGITS - 1])
    whole_numbers = (table == table.round()) & (table >= 0) & (table <= most)
    # Both classes of every task must be there to be trained on, and found as starts.
    return bool(whole_numbers.all()) and set(table[:, -1].astype(int)) == set(range(DIGITS))
