"""The order of images: reproducible, each image once per epoch, and the same from wherever it is resumed."""

import math
from collections import Counter
from itertools import islice

import torch
from hypothesis import given
from hypothesis import strategies as st

from mtlbench.data.loader import Shuffle, in_order, shuffled
from tests.fakes import FakeDataset


@given(st.integers(1, 20), st.integers(1, 8), st.integers(0, 3), st.integers(1, 6))
def test_every_image_once_per_epoch(images, batch_size, seed, epochs):
    iterations = math.ceil(images * epochs / batch_size)
    batches = list(Shuffle(images, batch_size, seed, 0, iterations))
    assert len(batches) == len(Shuffle(images, batch_size, seed, 0, iterations)) == iterations
    assert all(len(batch) == batch_size for batch in batches)
    order = [index for batch in batches for index, _ in batch]
    for epoch in range(epochs):
        assert sorted(order[epoch * images : (epoch + 1) * images]) == list(range(images))
    assert [draw for batch in batches for _, draw in batch] == [
        i for i in range(iterations) for _ in range(batch_size)
    ]


@given(st.integers(1, 20), st.integers(1, 8), st.integers(0, 3), st.integers(0, 30))
def test_a_late_start_gives_the_tail(images, batch_size, seed, start):
    whole = list(Shuffle(images, batch_size, seed, 0, 30))
    assert list(Shuffle(images, batch_size, seed, start, 30)) == whole[start:]
    assert len(Shuffle(images, batch_size, seed, start, 30)) == 30 - start


def test_epochs_and_seeds_differ():
    first, second = ([i for batch in Shuffle(50, 50, seed, 0, 2) for i, _ in batch] for seed in (0, 1))
    assert len({tuple(first[:50]), tuple(first[50:]), tuple(second[:50]), tuple(range(50))}) == 4


def test_loaders_give_batches():
    dataset = FakeDataset(images=7)
    assert [len(batch) for batch in in_order(dataset, 3)] == [3, 3, 1]
    assert [name for batch in in_order(dataset, 3) for name in batch.names] == [f"image{i}" for i in range(7)]
    batches = list(islice(shuffled(dataset, 3, 0, 0, 7), 7))
    assert Counter(name for batch in batches for name in batch.names) == Counter({f"image{i}": 3 for i in range(7)})


def test_a_training_draw_differs_from_the_test_form():
    dataset = FakeDataset()
    assert torch.equal(dataset[3].input, dataset[3].input)
    assert not torch.equal(dataset[3, 0].input, dataset[3].input)
    assert not torch.equal(dataset[3, 0].input, dataset[3, 1].input)
