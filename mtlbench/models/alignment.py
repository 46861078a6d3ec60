"""With what have the neurons of a two-layer network aligned? Min and Vidal 2024 (arXiv 2405.15942) and 2025.

A neuron along the average of its label's centres averages features: it cannot tell which cluster it sees, and a small
move along all centres flips it. One along a single centre is what the optimal classifier is made of.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlbench.models.model import MultiTaskModel
from mtlbench.models.tree_model import TreeModel, block_name
from mtlbench.models.two_layer import Neurons


def alignment(
    model: MultiTaskModel, centres: Tensor, labels: Mapping[str, Tensor], tasks: Sequence[str]
) -> dict[str, float] | None:
    """Cosines and rank of the hidden neurons, the mean over the copies of the hidden layer.

    Args:
        model: any; only trees of two layers have neurons to measure.
        centres: [K, D].
        labels: task -> class of each centre, int64 [K].
        tasks: their names, in the order of the tree.

    Returns:
        ``centre``: the cosine of a neuron with the nearest centre, and ``average``: with the nearest average of the
        centres of one class of a task it serves, means over the neurons, each weighted by its |w|^2 (most neurons of
        a large p stay as small as they start); ``rank``: the stable rank |W|_F^2 / |W|_2^2. None for other models.
    """
    if not isinstance(model, TreeModel) or not all(isinstance(block, Neurons) for block in model.blocks.values()):
        return None
    found = []
    for group in model.tree.partitions[0]:
        neurons = model.blocks[block_name(0, group)]
        assert isinstance(neurons, Neurons)
        averages = [
            centres[labels[tasks[number]] == label].mean(0)
            for number in group
            for label in labels[tasks[number]].unique()
        ]
        found.append(_of(neurons.weight.detach().cpu().double(), centres, torch.stack(averages)))
    return {name: sum(one[name] for one in found) / len(found) for name in found[0]}


def _of(weights: Tensor, centres: Tensor, averages: Tensor) -> dict[str, float]:
    """The measures of one layer's weights [h, D]."""
    unit, share = F.normalize(weights, dim=1), weights.square().sum(1)
    share = share / share.sum()

    def nearest(points: Tensor) -> float:
        cosines = unit @ F.normalize(points, dim=1).T
        return float((share * cosines.amax(1)).sum())

    largest = torch.linalg.matrix_norm(weights, 2)
    return {
        "centre": nearest(centres),
        "average": nearest(averages),
        "rank": float(weights.square().sum() / largest**2),
    }
