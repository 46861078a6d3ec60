"""The interface of a dataset, independent of its file format."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset

from mtlbench.data.batch import Sample
from mtlbench.data.centres import Centres
from mtlbench.space import IMAGES, Space
from mtlbench.tasks import Task


class MultiTaskDataset(Dataset[Sample], ABC):
    """One split of a dataset in a fixed order.

    Attributes:
        name: as in conf/dataset, for example ``nyuv2``.
        space: what its inputs are to an attack. Readers of images take `resolution` and `augment`, others do not.
        split: ``train`` or ``test``.
        root: the folder that every file must lie in.
        tasks: the tasks it has targets for.
        chosen: suffix for tasks that are fewer than the data has; part of the names of results, as `scoring` is.
        scoring: suffix for metrics that differ from those of the published tables, see `tasks.scoring`.
        skipped: (input, reason) for each missing input of the split, see `data.left_out`.
        starts: where an attack may start beside the input, `constants.NEAREST_OTHER` and others; samples that are not
            for training hold these points.
        depth_stored_in: the unit of depth in its files; empty without depth in metres.
    """

    space: Space = IMAGES
    name: str
    split: str
    root: Path
    tasks: tuple[Task, ...]
    chosen: str = ""
    scoring: str = ""
    skipped: Sequence[tuple[str, str]] = ()
    starts: tuple[str, ...] = ()
    depth_stored_in: str = "metres"

    @classmethod
    def tasks_of(cls, options: Mapping[str, object]) -> tuple[Task, ...] | None:
        """The tasks of a dataset with these constructor options, which are checked; its files need not exist yet.

        None if they depend on the files. Required for generated datasets, so that errors are reported before
        generation.
        """
        return None

    @classmethod
    def at_hand(cls) -> Path | None:
        """The folder to read where ``dataset.root`` is null; None where it has to be given or made.

        Raises:
            MachineError: the package that brings it is not installed.
        """
        return None

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    def listed(self) -> int:
        """Number of inputs of the whole split, before `limit`."""
        return len(self)

    @abstractmethod
    def sample(self, index: int, draw: int | None = None) -> Sample:
        """Decode input `index`.

        Args:
            index: position in the split.
            draw: None for the test input, unaugmented. A number gives an augmented training input; the same
                (seed of the dataset, index, draw) always gives the same sample, in any process.

        Raises:
            DataError: a file is missing, damaged or out of range; the message names the file.
        """

    @abstractmethod
    def files(self, index: int) -> Iterable[Path]:
        """Absolute paths of the files that input `index` is read from, its own first."""

    def values(self, index: int) -> Sequence[object]:
        """Values of input `index` from sources other than its own files, such as a table; none by default."""
        return ()

    @abstractmethod
    def settings(self) -> dict[str, object]:
        """The options that change what a sample holds (resolution, normals, ...); part of every result's key.

        They are the same for every split, so that a model's recipe is known without its training images.
        """

    def limits(self) -> Mapping[str, tuple[float, float]]:
        """Task -> (l2 radius, accuracy that no classifier exceeds from there on), where theory knows them."""
        return {}

    def radii(self) -> Mapping[str, float]:
        """Name -> l2 radius that theory gives for the data, for plots."""
        return {}

    def centres(self) -> Centres | None:
        """The centres of the clusters that the inputs are drawn from, where there are any."""
        return None

    def metres(self, depth: Tensor) -> Tensor:
        """Depth targets in metres; overridden by datasets with other depth targets."""
        return depth

    def __getitem__(self, key: int | tuple[int, int]) -> Sample:
        """`sample(key)`, or `sample(index, draw)` for a pair: what a training sampler yields."""
        return self.sample(*key) if isinstance(key, tuple) else self.sample(key)
