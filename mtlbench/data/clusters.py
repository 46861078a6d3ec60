"""Clusters around orthonormal centres: vectors on which the optimal robustness is known (arXiv 2405.15942).

Z is uniform on 1..K, X | Z ~ N(mu_Z, alpha^2 / D I) in R^D with orthonormal centres mu_k, here the first K unit
vectors, so that alpha is the length of the noise. A task says which of two groups a cluster belongs to: the first one
groups Z <= K1 against the rest, further ones are random halves of the clusters. No classifier survives l2
perturbations of length sqrt(2) / 2, and the Bayes classifier nearly does (Min and Vidal 2025, propositions 1 and 2).
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import comb, sqrt
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtlbench.constants import AVERAGE_OTHER, FIRST_GROUP, NEAREST_OTHER
from mtlbench.data.base import MultiTaskDataset
from mtlbench.data.batch import Sample
from mtlbench.data.centres import Centres
from mtlbench.errors import UsageError
from mtlbench.options import number, one_of, whole
from mtlbench.space import Space
from mtlbench.tasks import Task, classification

VERSION = 1
"""Increment it whenever the same options give other vectors."""

SPLITS = ("train", "test")
MOST_TASKS, MOST_VALUES = 1000, 10**9
LARGEST_SEED = 2**32 - 1
GROUPS = ("minus", "plus")
"""Labels of a task, class 0 and 1."""

USUAL: Mapping[str, float] = {"K": 10, "D": 300, "alpha": 0.1}
"""Other values show in the dataset's name, as do a K1 that is not `FIRST_GROUP` of K, and more than one task."""

VECTORS = Space("vector", unit="the data's unit", scale=1.0, most=10.0, box=None, euclidean=True, block=256)


@dataclass(frozen=True)
class Mixture:
    """The options of the data, checked.

    Attributes:
        K: number of clusters, at least 2.
        K1: clusters of the first task's class 1, from 1 to K - 1.
        D: length of a vector, at least K.
        alpha: length of the noise, at least 0.
        tasks: number of groupings.
        seed: of noise and groupings.
    """

    K: int
    K1: int
    D: int
    alpha: float
    tasks: int
    seed: int

    @classmethod
    def of(cls, options: Mapping[str, object]) -> "Mixture":
        """Check the options of a configuration; a K1 of None is `FIRST_GROUP` of K.

        Raises:
            UsageError: one of them is wrong.
        """
        k = whole(options["K"], "dataset.K", 2)
        k1 = round(FIRST_GROUP * k) if options["K1"] is None else whole(options["K1"], "dataset.K1")
        if k1 >= k:
            raise UsageError(f"dataset.K1={k1}: expected fewer than all dataset.K={k} clusters, class 0 needs one")
        d = whole(options["D"], "dataset.D")
        if d < k:
            raise UsageError(f"dataset.D={d}: expected at least dataset.K={k}, as the centres are orthonormal")
        return cls(
            k,
            k1,
            d,
            number(options["alpha"], "dataset.alpha", "the length of the noise, at least 0", 0),
            whole(options["tasks"], "dataset.tasks", most=min(MOST_TASKS, 1 + _halvings(k, k1))),
            whole(options["generator"], "dataset.seed", 0, LARGEST_SEED),
        )

    def groups(self) -> NDArray[np.bool_]:
        """Which clusters are of class 1, [tasks, K]; no two tasks group them alike."""
        first = np.arange(self.K) < self.K1
        found, known = [first], {_unsigned(first)}
        rng = np.random.default_rng([self.seed, len(SPLITS)])
        while len(found) < self.tasks:
            drawn = rng.permutation(self.K) < self.K // 2
            if _unsigned(drawn) not in known:
                known.add(_unsigned(drawn))
                found.append(drawn)
        return np.stack(found)

    def inputs(self, split: str, size: int) -> NDArray[np.float64]:
        """The vectors of a split [size, D]; vector i is of cluster i mod K, and does not depend on `size`."""
        noise = np.random.default_rng([self.seed, SPLITS.index(split)]).standard_normal((size, self.D))
        noise *= self.alpha / sqrt(self.D)
        noise[np.arange(size), np.arange(size) % self.K] += 1
        return noise

    @property
    def suffix(self) -> str:
        """The options that are not the default ones, in short."""
        parts = [f"-{name}{getattr(self, name):g}" for name, usual in USUAL.items() if getattr(self, name) != usual]
        parts += [f"-K1_{self.K1}"] if round(FIRST_GROUP * self.K) != self.K1 else []
        parts += [f"-t{self.tasks}"] if self.tasks > 1 else []
        return "".join(parts)

    def limits(self) -> dict[str, tuple[float, float]]:
        """Task -> (l2 radius, accuracy that no classifier exceeds there), Min and Vidal 2025, proposition 1."""
        fewest = np.minimum(self.groups().sum(1), self.K - self.groups().sum(1))
        return {name: (sqrt(0.5), 1 - few / self.K) for name, few in zip(self.names, fewest.tolist(), strict=True)}

    @property
    def names(self) -> tuple[str, ...]:
        """Of the tasks."""
        return tuple(f"group{number}" for number in range(1, self.tasks + 1))


def _halvings(clusters: int, first: int) -> int:
    """How many groupings into halves there are beside the first task's, which may be one; signs do not count."""
    half = clusters // 2
    ways = comb(clusters, half) // (2 if clusters == 2 * half else 1)
    return ways - (first in (half, clusters - half))


def _unsigned(group: NDArray[np.bool_]) -> bytes:
    """The same for a grouping and its complement."""
    return (group == group[0]).tobytes()


class Clusters(MultiTaskDataset):
    """One split, generated in memory: it has no files, its options say everything.

    Args:
        root: not read.
        split: ``train`` or ``test``.
        K: see `Mixture`.
        K1: see `Mixture.of`.
        D: see `Mixture`.
        alpha: see `Mixture`.
        tasks: see `Mixture`.
        generator: ``dataset.seed``, see `Mixture.seed`.
        train: size of the training split.
        test: size of the test split.
        limit: number of vectors of the split; None is all.
        name: in tables, followed by the options that are not the default ones.
        seed: of the training; not read.
    """

    space = VECTORS
    starts = (NEAREST_OTHER, AVERAGE_OTHER)

    def __init__(
        self,
        root: Path,
        split: str,
        *,
        K: int,  # noqa: N803  # the papers' letters
        K1: int | None,  # noqa: N803
        D: int,  # noqa: N803
        alpha: float,
        tasks: int,
        generator: int,
        train: int,
        test: int,
        limit: int | None = None,
        name: str = "clusters",
        seed: int = 0,
    ) -> None:
        options = {"K": K, "K1": K1, "D": D, "alpha": alpha, "tasks": tasks, "generator": generator}
        self.mixture = mixture = Mixture.of(options)
        self.split, self.root = one_of(split, "split", SPLITS), root
        self.sizes = {"train": whole(train, "dataset.train", K), "test": whole(test, "dataset.test", K)}
        self.name, self.tasks = name + mixture.suffix, tasks_of(mixture)
        size = self.sizes[split] if limit is None else min(whole(limit, "limit"), self.sizes[split])
        if size * D > MOST_VALUES:
            raise UsageError(f"dataset.{split}={size}, dataset.D={D}: expected at most {MOST_VALUES} values in all")
        self._inputs = torch.from_numpy(mixture.inputs(split, size))
        self._signs = torch.from_numpy(mixture.groups()).double() * 2 - 1

        # Training collates thousands of samples a second: what does not depend on the vector is made once.
        names = [task.name for task in self.tasks]
        classes = (self._signs > 0).long().reshape(len(names), K, 1, 1, 1)
        self._targets = [dict(zip(names, classes[:, cluster], strict=True)) for cluster in range(K)]
        self._masks = dict.fromkeys(names, torch.ones(1, 1, 1, dtype=torch.bool))

    @classmethod
    def tasks_of(cls, options: Mapping[str, object]) -> tuple[Task, ...]:
        """See `MultiTaskDataset.tasks_of`."""
        return tasks_of(Mixture.of(options))

    def __len__(self) -> int:
        return len(self._inputs)

    @property
    def listed(self) -> int:
        """Size of the whole split."""
        return self.sizes[self.split]

    def sample(self, index: int, draw: int | None = None) -> Sample:
        """Vector `index`; training vectors are not augmented, and come without other starts."""
        x, cluster = self._inputs[index], index % self.mixture.K
        return Sample(
            x,
            self._targets[cluster],
            self._masks,
            f"{self.split}_{index:06d}",
            space=self.space,
            starts={} if draw is not None else self._starts(x, cluster),
        )

    def _starts(self, x: Tensor, cluster: int) -> dict[str, dict[str, Tensor]]:
        return {NEAREST_OTHER: self._nearest(x, cluster), AVERAGE_OTHER: self._average(x, cluster)}

    def _nearest(self, x: Tensor, cluster: int) -> dict[str, Tensor]:
        """Task -> the nearest centre of the other label."""
        k = self.mixture.K
        found = {}
        for task, signs in zip(self.tasks, self._signs, strict=True):
            # All centres have length 1, so the nearest one has the largest product with x.
            nearest = torch.where(signs == signs[cluster], -torch.inf, x[:k]).argmax()
            found[task.name] = torch.zeros_like(x)
            found[task.name][nearest] = 1
        return found

    def _average(self, x: Tensor, cluster: int) -> dict[str, Tensor]:
        """Task -> the point in the direction -y d0, d0 = sum of y_k mu_k / sqrt(K), at a distance of sqrt(K)."""
        found = {}
        for task, signs in zip(self.tasks, self._signs, strict=True):
            found[task.name] = x.clone()
            found[task.name][: self.mixture.K] -= signs[cluster] * signs
        return found

    def files(self, index: int) -> Iterable[Path]:
        """None."""
        return ()

    def values(self, index: int) -> Sequence[object]:
        """A hash of the vector, and its cluster: the generator of another NumPy might give other ones."""
        return hashlib.sha256(self._inputs[index].numpy().tobytes()).hexdigest(), index % self.mixture.K

    def settings(self) -> dict[str, object]:
        """All options; of the training split its size."""
        return {**asdict(self.mixture), "version": VERSION, "train": self.sizes["train"]}

    @classmethod
    def at_hand(cls) -> Path:
        """Nowhere in particular, since it has no files."""
        return Path()

    def limits(self) -> Mapping[str, tuple[float, float]]:
        """See `Mixture.limits`."""
        return self.mixture.limits()

    def radii(self) -> Mapping[str, float]:
        """Where the limit of ReLU networks flips (`models.limits`), and where any classifier does."""
        return {"1/sqrt(K)": 1 / sqrt(self.mixture.K), "sqrt(2)/2": sqrt(0.5)}

    def centres(self) -> Centres:
        """The centres of the clusters and their labels."""
        points = torch.eye(self.mixture.K, self.mixture.D, dtype=torch.float64)
        labels = (self._signs > 0).long()
        return Centres(points, {task.name: row for task, row in zip(self.tasks, labels, strict=True)})


def tasks_of(mixture: Mixture) -> tuple[Task, ...]:
    """The tasks of a mixture, scored by accuracy."""
    return tuple(classification(GROUPS, name=name, metrics=("accuracy",)) for name in mixture.names)
