"""Models that draw random numbers, predicting with draws that can be repeated.

A draw is a function of the seed, the input's name, a purpose and a number, and of nothing else: not of the batch, not
of what was computed before. What a model is attacked with (`ATTACK`, a new number for each call) is never what it is
scored with (`SCORE`, one number for clean and attacked inputs).
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from mtlbench.attacks.random import key
from mtlbench.models.model import MultiTaskModel

ATTACK, SCORE, RISE = "attack", "score", "rise"


def drawn(model: MultiTaskModel, seed: int, names: Sequence[str], purpose: str = SCORE) -> "MultiTaskModel | Draws":
    """The model itself; one that says that it is random, with draws for these inputs.

    Args:
        model: as it is.
        seed: of the run.
        names: of the B inputs of a batch, or of several copies of it.
        purpose: what is drawn for; under `SCORE` every call draws the same.
    """
    return Draws(model, seed, names, purpose) if model.random else model


class Draws:
    """A random model as a function of a batch; see `drawn`.

    It predicts each input alone, so that no input draws for another.
    """

    def __init__(self, model: MultiTaskModel, seed: int, names: Sequence[str], purpose: str) -> None:
        self.model, self.seed, self.names, self.purpose = model, seed, names, purpose
        self._calls = 0

    def __call__(self, x: Tensor, tasks: Sequence[str] | None = None) -> Mapping[str, Tensor]:
        """Task name -> prediction [B, ...] of inputs [B, ...], or of k copies of them [k B, ...]."""
        parts = []
        for i in range(len(x)):
            name = self.names[i % len(self.names)]
            with seeded(key(self.seed, f"{self.purpose}/{self._calls}/{name}"), x.device):
                parts.append(self.model(x[i : i + 1], tasks))
        self._calls += self.purpose != SCORE
        return {task: torch.cat([part[task] for part in parts]) for task in parts[0]}


@contextmanager
def seeded(number: int, device: torch.device) -> Iterator[None]:
    """Context manager: the global generators of PyTorch, NumPy and Python begin at `number`; put back afterwards."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(number)
        np.random.seed(number % 2**32)
        random.seed(number)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
