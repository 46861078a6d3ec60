"""The interface of a model: from images in [0, 1] and task names to a prediction for each task."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class MultiTaskModel(nn.Module, ABC):
    """A model that can be attacked. `TreeModel` is one; `Adapted` wraps any module or callable.

    Attributes:
        order: names of its tasks.
        random: whether its predictions depend on random numbers; it is then called input by input, with seeded draws.
        autocast: the type in which convolutions compute, None for float32; set by `precision.computing_in`.
    """

    order: tuple[str, ...]
    random: bool = False
    autocast: torch.dtype | None = None

    def forward(self, image: Tensor, tasks: Sequence[str] | None = None) -> dict[str, Tensor]:
        """RGB images [B, 3, H, W] in [0, 1] -> task name -> prediction [B, channels, h, w], float32 under autocast.

        Args:
            image: the images.
            tasks: which tasks to run; all where None.
        """
        names = self.order if tasks is None else tasks
        if self.autocast is None:
            return dict(self.predictions(image, names))
        with torch.autocast(image.device.type, self.autocast):
            found = self.predictions(image, names)
        return {name: prediction.float() for name, prediction in found.items()}

    @abstractmethod
    def predictions(self, image: Tensor, tasks: Sequence[str]) -> Mapping[str, Tensor]:
        """`forward` for the named tasks, in the current precision."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Its identity in a result: name, sharing, weights, and everything else that affects a prediction.

        The keys are ``model`` (its name), ``sharing``, ``shared_blocks``, ``tree``, ``weights`` (a hash) and others.
        """


def weights_hash(model: nn.Module) -> str:
    """sha256 over names, shapes, types and values of the state; the identity of the weights in a result's key."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        # As bytes: NumPy has no bfloat16, which users' models may have.
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
