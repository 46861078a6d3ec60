"""Some images of a split, spread over it evenly: the sample of a check that would be too dear on all of them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from torch import Tensor

from mtlbench.data.base import MultiTaskDataset
from mtlbench.data.batch import Sample


class Spread(MultiTaskDataset):
    """Some images of another dataset, in its order; its settings, names and targets are the same.

    Args:
        whole: the dataset.
        images: how many, at most all.
    """

    def __init__(self, whole: MultiTaskDataset, images: int) -> None:
        self.whole, self.positions = whole, positions(len(whole), images)
        self.name, self.root, self.tasks, self.space = whole.name, whole.root, whole.tasks, whole.space
        self.split = (
            f"{whole.split} sample"  # results of all images and of a sample of them, even if it is all, differ
        )
        self.chosen, self.scoring = whole.chosen, whole.scoring
        self.skipped, self.depth_stored_in = whole.skipped, whole.depth_stored_in

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def listed(self) -> int:
        """See `MultiTaskDataset.listed`."""
        return self.whole.listed

    def sample(self, index: int, draw: int | None = None) -> Sample:
        """See `MultiTaskDataset.sample`."""
        return self.whole.sample(self.positions[index], draw)

    def files(self, index: int) -> Iterable[Path]:
        """See `MultiTaskDataset.files`."""
        return self.whole.files(self.positions[index])

    def values(self, index: int) -> Sequence[object]:
        """See `MultiTaskDataset.values`."""
        return self.whole.values(self.positions[index])

    def settings(self) -> dict[str, object]:
        """See `MultiTaskDataset.settings`."""
        return self.whole.settings()

    def metres(self, depth: Tensor) -> Tensor:
        """See `MultiTaskDataset.metres`."""
        return self.whole.metres(depth)


def positions(images: int, wanted: int) -> tuple[int, ...]:
    """The middles of `wanted` equal parts of `images` images; all of them if they are no more."""
    count = min(images, wanted)
    return tuple((2 * part + 1) * images // (2 * count) for part in range(count))
