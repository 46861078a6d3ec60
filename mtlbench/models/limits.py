"""The classifiers that networks of two layers approach on clusters, in closed form: ``model=limit``.

For centres mu_k, of which the first K1 have label 1, and mu_+, mu_- their normalised sums (Min and Vidal 2024,
arXiv 2405.15942, conjectured; 2025, proved for p > 2):

- p = 1, ReLU: F(x) = sqrt(K1) s(<mu_+, x>) - sqrt(K - K1) s(<mu_-, x>), which an l2 move of 1 / sqrt(K) flips;
- p >= 2: F(x) = sum_{k <= K1} s(<mu_k, x>)^p - sum_{k > K1} s(<mu_k, x>)^p, flipped at sqrt(2) / 2, beyond which no
  classifier is robust.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtlbench.constants import FIRST_GROUP
from mtlbench.errors import UsageError
from mtlbench.models.two_layer import Neurons, Signed, degree_of
from mtlbench.tasks import Task


class Limit(nn.Module):
    """A network of two layers with given weights, for one task.

    Args:
        task: name of the task.
        weights: of the neurons [h, D].
        outputs: v of the neurons [h].
        p: degree.
    """

    def __init__(self, task: str, weights: Tensor, outputs: Tensor, p: float) -> None:
        super().__init__()
        hidden, inputs = weights.shape
        self.task = task
        self.neurons, self.head = Neurons(inputs, hidden, p), Signed(hidden, 2)
        self.neurons.weight.data.copy_(weights)
        self.head.weight.data.copy_(outputs[None])

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """[B, D] -> {task: logits [B, 2, 1, 1]}."""
        return {self.task: self.head([self.neurons(x)])}


def limit(tasks: Sequence[Task], D: int, K: int, K1: int | None, p: float) -> Limit:  # noqa: N803  # the papers' letters
    """The limit for the first task of `mtlbench.data.clusters`.

    Args:
        tasks: one task.
        D: length of a vector.
        K: number of clusters; their centres are the first unit vectors.
        K1: clusters of class 1; None is `FIRST_GROUP` of K, as of the data.
        p: degree; 1 is the limit of ReLU networks.

    Raises:
        UsageError: there is more than one task, or p is less than 1.
    """
    if len(tasks) != 1:
        raise UsageError(f"model=limit: known for one task, the dataset has {len(tasks)}; use dataset.tasks=1")
    degree, first = degree_of(p), round(FIRST_GROUP * K) if K1 is None else K1
    centres = torch.eye(K, D, dtype=torch.float64)
    signs = torch.where(torch.arange(K) < first, 1.0, -1.0).double()
    if degree > 1:
        return Limit(tasks[0].name, centres, signs, degree)
    # |sum of n centres| = sqrt(n): a neuron along a label's sum is the factor and the direction in one.
    sums = torch.stack([centres[:first].sum(0), centres[first:].sum(0)])
    return Limit(tasks[0].name, sums, torch.tensor([1.0, -1.0], dtype=torch.float64), degree)
