"""What every dataset offers, whatever its files look like."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset

from mtlbench.data.batch import Sample
from mtlbench.tasks import Task


class ImageDataset(Dataset[Sample], ABC):
    """One split of a dataset in a fixed order.

    Attributes:
        name: as in conf/dataset, for example ``nyuv2``.
        split: ``train`` or ``test``.
        root: the folder that every file must lie in.
        tasks: the tasks it has targets for.
        scoring: what its tasks are scored by where that is not what the published tables have, see `tasks.scoring`.
        skipped: (image, reason) for each image that the split should hold but does not, see `data.left_out`.
        depth_stored_in: the unit of depth in its files, where it has any; empty where depth in metres says nothing.
    """

    name: str
    split: str
    root: Path
    tasks: tuple[Task, ...]
    scoring: str = ""
    skipped: Sequence[tuple[str, str]] = ()
    depth_stored_in: str = "metres"

    @classmethod
    def tasks_of(cls, options: Mapping[str, object]) -> tuple[Task, ...] | None:
        """The tasks of a dataset with these options of the constructor, which are checked; it may not be there yet.

        None where only the files tell. Needed of datasets that are generated: what is wrong is said before that.
        """
        return None

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    def listed(self) -> int:
        """Images of the whole split, of which a limit may keep some."""
        return len(self)

    @abstractmethod
    def sample(self, index: int, draw: int | None = None) -> Sample:
        """Decode image `index`.

        Args:
            index: position in the split.
            draw: None for the test form. A number gives the augmented training form; the same
                (seed of the dataset, index, draw) always gives the same sample, in any process.

        Raises:
            DataError: a file is missing, damaged or out of range; the message names the file.
        """

    @abstractmethod
    def files(self, index: int) -> Iterable[Path]:
        """Absolute paths of the files that image `index` is read from, image first."""

    def values(self, index: int) -> Sequence[object]:
        """What is known of image `index` from elsewhere than its own files, a table say: plain values; none here."""
        return ()

    @abstractmethod
    def settings(self) -> dict[str, object]:
        """The options that change what a sample holds (resolution, normals, ...); part of every result's key.

        They are the same for every split: how a model was trained is told without its training images.
        """

    def metres(self, depth: Tensor) -> Tensor:
        """Depth targets in metres; overridden where they are something else."""
        return depth

    def __getitem__(self, key: int | tuple[int, int]) -> Sample:
        """`sample(key)`, or `sample(index, draw)` for a pair: what a training sampler yields."""
        return self.sample(*key) if isinstance(key, tuple) else self.sample(key)
