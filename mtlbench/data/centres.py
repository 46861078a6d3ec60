"""Known centres of the classes of a dataset, for measurements of what a network has aligned with."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Centres:
    """The centres of a generated dataset.

    Attributes:
        points: [K, D], one row a cluster.
        labels: task -> the class of each cluster, int64 [K].
    """

    points: Tensor
    labels: Mapping[str, Tensor]
