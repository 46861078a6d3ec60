"""Clusters: their distribution, their groupings, what an attack may start from, and what options are refused."""

from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtlbench.constants import AVERAGE_OTHER, NEAREST_OTHER
from mtlbench.data.batch import collate, join
from mtlbench.data.clusters import Clusters, Mixture
from mtlbench.data.fingerprint import fingerprint
from mtlbench.data.loader import in_order
from mtlbench.errors import UsageError

OPTIONS: dict[str, Any] = {"K": 10, "K1": 6, "D": 30, "alpha": 0.1, "tasks": 3, "generator": 0}


def clusters(split: str = "test", **options: Any) -> Clusters:
    return Clusters(Path(), split, **{**OPTIONS, "train": 100, "test": 50, **options})


def test_vectors_are_centres_and_noise_of_length_alpha():
    data = clusters(test=2000, D=400, alpha=0.3)
    noise = torch.stack([data.sample(i).input for i in range(len(data))])
    noise[torch.arange(2000), torch.arange(2000) % 10] -= 1
    assert float(noise.square().sum(1).mean()) == pytest.approx(0.09, rel=0.01)
    assert float(noise.mean().abs()) < 1e-4
    assert noise.dtype == torch.float64


def test_every_cluster_has_as_many_vectors():
    counts = np.unique([data[1] for data in map(clusters().values, range(50))], return_counts=True)[1]
    assert counts.tolist() == [5] * 10


def test_a_vector_depends_on_split_and_generator_and_not_on_the_size():
    long, short = clusters(), clusters(limit=7)
    assert torch.equal(long.sample(6).input, short.sample(6).input)
    assert (len(short), short.listed) == (7, 50)
    assert not torch.equal(clusters("train").sample(6).input, long.sample(6).input)
    assert not torch.equal(clusters(generator=1).sample(6).input, long.sample(6).input)


def test_the_first_task_groups_by_k1_and_the_others_into_halves():
    groups = Mixture(10, 6, 30, 0.1, 40, 0).groups()
    assert groups[0].tolist() == [True] * 6 + [False] * 4
    assert (groups[1:].sum(1) == 5).all()
    signed = groups ^ groups[:, :1]
    assert len(np.unique(signed, axis=0)) == 40, "no two tasks group alike, up to the names of the classes"


def test_targets_are_the_groups():
    data = clusters()
    groups = data.mixture.groups()
    for index in (0, 13, 29):
        targets = data.sample(index).targets
        assert [int(targets[f"group{n + 1}"]) for n in range(3)] == groups[:, index % 10].astype(int).tolist()


def test_all_groupings_of_few_clusters_and_no_more():
    """Four clusters: K1 = 1 is no half, so there are three halves more; K1 = 2 is one of the three."""
    assert len(Mixture.of({**OPTIONS, "K": 4, "K1": 1, "tasks": 4}).groups()) == 4
    with pytest.raises(UsageError, match=r"^dataset\.tasks=4: expected at most 3$"):
        Mixture.of({**OPTIONS, "K": 4, "K1": 2, "tasks": 4})


def test_the_nearest_other_start_is_a_centre_with_another_label():
    data = clusters()
    groups = data.mixture.groups()
    for index in range(len(data)):
        sample = data.sample(index)
        for row, point in zip(groups, sample.starts[NEAREST_OTHER].values(), strict=True):
            distances = (torch.eye(10, 30, dtype=torch.float64) - sample.input).norm(dim=1)
            distances[torch.from_numpy(row == row[index % 10])] = torch.inf
            assert torch.equal(point, torch.eye(10, 30, dtype=torch.float64)[distances.argmin()])


def test_the_average_start_leads_along_all_centres():
    """From a vector of class 1: away from all centres of class 1, towards all others, sqrt(K) long."""
    sample = clusters().sample(0)
    move = sample.starts[AVERAGE_OTHER]["group1"] - sample.input
    assert move[:10].tolist() == pytest.approx([-1] * 6 + [1] * 4)
    assert float(move.norm()) == pytest.approx(sqrt(10))


def test_starts_stay_with_their_inputs():
    """Through batches, their parts and their joining; training samples have none."""
    data = clusters()
    (whole,) = in_order(data, 50)
    point = data.sample(20).starts[NEAREST_OTHER]["group2"]
    assert torch.equal(whole.starts[NEAREST_OTHER]["group2"][20], point)
    assert torch.equal(whole[20:22].starts[NEAREST_OTHER]["group2"][0], point)
    assert torch.equal(
        join([whole[:20], whole[20:]]).starts[NEAREST_OTHER]["group2"], whole.starts[NEAREST_OTHER]["group2"]
    )
    assert collate([data[3, 0]]).starts == {}


def test_limits_and_radii():
    """No classifier keeps more than 1 - min(K1, K - K1) / K."""
    data = clusters(tasks=2)
    assert data.limits() == {"group1": (sqrt(0.5), 0.6), "group2": (sqrt(0.5), 0.5)}
    assert data.radii() == {"1/sqrt(K)": sqrt(0.1), "sqrt(2)/2": sqrt(0.5)}


def test_k1_is_three_fifths_unless_it_is_given():
    assert [Mixture.of({**OPTIONS, "K": k, "K1": None}).K1 for k in (4, 10, 20)] == [2, 6, 12]


def test_names_tell_datasets_apart():
    """The default is plain; K1 shows where it is not three fifths."""
    usual = {**OPTIONS, "D": 300, "tasks": 1}
    names = [
        Mixture.of({**usual, **one}).suffix
        for one in ({}, {"K": 20, "K1": 12}, {"K1": 5}, {"alpha": 0.3}, {"tasks": 3}, {"D": 30})
    ]
    assert names == ["", "-K20", "-K1_5", "-alpha0.3", "-t3", "-D30"]


def test_the_fingerprint_is_of_options_and_vectors():
    same = fingerprint(clusters())
    assert fingerprint(Clusters(Path("elsewhere"), "test", **OPTIONS, train=100, test=50)) == same
    others = [clusters(generator=1), clusters(alpha=0.2), clusters("train"), clusters(train=90), clusters(limit=49)]
    assert len({same, *map(fingerprint, others)}) == 6


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"K": 1}, "dataset.K=1: expected a whole number of at least 2"),
        ({"K1": 10}, "dataset.K1=10: expected fewer than all dataset.K=10 clusters"),
        ({"K1": 11}, "dataset.K1=11: expected fewer than all dataset.K=10 clusters"),
        ({"K1": 0}, "dataset.K1=0: expected a whole number of at least 1"),
        ({"D": 9}, "dataset.D=9: expected at least dataset.K=10"),
        ({"alpha": -0.1}, "dataset.alpha=-0.1: expected the length of the noise, at least 0"),
        ({"tasks": 0}, "dataset.tasks=0: expected a whole number"),
        ({"generator": -1}, "dataset.seed=-1: expected a whole number of at least 0"),
        ({"train": 9}, "dataset.train=9: expected a whole number of at least 10"),
        ({"limit": 0}, "limit=0: expected a whole number"),
        (
            {"D": 2**31 - 1, "test": 1000},
            "dataset.test=1000, dataset.D=2147483647: expected at most 1000000000 values",
        ),
    ],
)
def test_refusals(options, said):
    with pytest.raises(UsageError, match="^" + said):
        clusters(**options)
