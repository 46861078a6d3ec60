"""A network of one hidden layer of polynomial ReLU neurons (Min and Vidal 2024, arXiv 2405.15942), for vectors.

f(x) = sum_j v_j s(<w_j, x>)^p / |w_j|^(p-1), with s(t) = max(t, 0): of degree one in w_j for every p, and a ReLU
network for p = 1. From a small start, gradient descent on clusters aligns the neurons of p = 1 with the average of
their label's centres, and those of p > 2 with single centres, which makes the network as robust as can be (Min and
Vidal 2025). Not to be confused with the leaky PReLU, nor with s(<w, x>)^p, which trains otherwise.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtlbench.errors import UsageError
from mtlbench.models.activations import activation, activation_option
from mtlbench.models.backbone import Backbone, Head
from mtlbench.models.inputs import CONVENTIONS
from mtlbench.options import flag, is_whole, number, positive, whole
from mtlbench.tasks import Task

HIDDEN, INIT = 100, 1e-6
"""Defaults; other values show in the model's name."""

LARGEST_P = 16


class Neurons(nn.Module):
    """|w_j| a(<x, w_j / |w_j|>) s(<x, w_j / |w_j|>)^(p-1), where the activation a is s, the ReLU, by default.

    The same as s(<w_j, x>)^p / |w_j|^(p-1), but no power of a tiny |w_j| underflows.

    Args:
        inputs: length of a vector.
        hidden: number of neurons.
        p: degree.
        init: length of every w_j at the start; its direction is uniform.
        normalise: divide by |x|^(p-1), so that the degree in x is one, too.
        shift: is subtracted from every input value.
        act: name of the activation, None for ReLU.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        p: float,
        init: float = 1.0,
        normalise: bool = False,
        shift: float = 0.0,
        act: str | None = None,
    ) -> None:
        super().__init__()
        directions = torch.randn(hidden, inputs, dtype=torch.float64)
        self.weight = nn.Parameter(init * directions / directions.norm(dim=1, keepdim=True))
        self.p, self.normalise, self.shift = p, normalise, shift
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """[B, D] -> [B, hidden]; in float64 whatever the type of `x`."""
        x = x.flatten(1).double() - self.shift
        length = self.weight.norm(dim=1)
        along = x @ (self.weight / length[:, None]).T
        found: Tensor = length * self.act(along)
        if self.p == 1:
            return found
        gate = along.clamp_min(0)
        if self.normalise:
            gate = gate / x.norm(dim=1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
        return found * gate ** (self.p - 1)


class Signed(Head):
    """v_j for every class, +init or -init at the start: half of each, in random order, so that |v_j| = |w_j|.

    Two classes have the logits -f/2 and f/2 of one output f, so that their cross-entropy is the logistic loss of f.
    """

    def __init__(self, hidden: int, classes: int, init: float = 1.0) -> None:
        super().__init__()
        signs = torch.ones(1 if classes == 2 else classes, hidden, dtype=torch.float64)
        for row in signs:
            row[torch.randperm(hidden)[: hidden // 2]] = -1
        self.weight = nn.Parameter(init * signs)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """The neurons' outputs [B, hidden] -> logits [B, classes, 1, 1]."""
        found = features[-1] @ self.weight.T
        logits = torch.cat([-found / 2, found / 2], 1) if len(self.weight) == 1 else found
        return logits[:, :, None, None]


def degree_of(p: object) -> float:
    """``model.p``, checked."""
    return number(p, "model.p", f"a number from 1, which is a ReLU network, to {LARGEST_P}", 1, LARGEST_P)


class TwoLayer(Backbone):
    """One block, the hidden layer; a head is a task's output weights. `blocks` is 1: all shared, or independent.

    Args:
        D: length of an input vector; the configuration takes it from the dataset.
        p: degree, at least 1; 1 is a ReLU network.
        hidden: neurons of one copy of the block.
        init: length of every weight vector at the start. From a large one, neurons align less.
        normalise: divide the neurons' outputs by |x|^(p-1), as the paper's code does on real data.
        shift: is subtracted from every input value, such as the mean over a dataset.
        activation: in the place of one of the p factors s, see `Neurons`.
    """

    name = "two_layer"
    blocks = 1
    forms = ("vector",)
    inputs = CONVENTIONS["rgb01"]  # as they are

    def __init__(
        self,
        D: object,  # noqa: N803  # the paper's letter
        p: float = 1.0,
        hidden: int = HIDDEN,
        init: float = INIT,
        normalise: bool = False,
        shift: float | None = None,
        activation: str | None = None,
    ) -> None:
        if not is_whole(D, 1):
            raise UsageError(f"model.D={D}: expected the length of an input vector; a dataset of vectors has it as D")
        self.D = D
        self.p = degree_of(p)
        self.hidden = whole(hidden, "model.hidden")
        self.init = positive(init, "model.init", ", for example 1e-6")
        self.normalise = flag(normalise, "model.normalise")
        self.shift = None if shift is None else number(shift, "model.shift", "a number")
        self.activation = activation_option(activation)
        self.name = f"two_layer-p{self.p:g}{self._others()}"  # in tables

    def _others(self) -> str:
        """The options whose values are not the default ones, in short."""
        return "".join(
            (
                f"-h{self.hidden}" if self.hidden != HIDDEN else "",
                f"-i{self.init:g}" if self.init != INIT else "",
                "-normalised" if self.normalise else "",
                f"-{self.activation}" if self.activation else "",
            )
        )

    def block(self, index: int) -> nn.Module:
        """The hidden layer."""
        shift = self.shift or 0.0
        return Neurons(self.D, self.hidden, self.p, self.init, self.normalise, shift, self.activation)

    def head(self, task: Task) -> Head:
        """The output weights.

        Raises:
            UsageError: the task is not a classification of whole inputs.
        """
        if not task.per_image or task.holds != "classes":
            raise UsageError(f"model=two_layer: {task.name} is no classification of whole inputs, the only ones")
        return Signed(self.hidden, task.channels, self.init)
