"""``model=timm model.name=...``: any trunk of timm that is a chain of levels, any sharing tree over it.

timm initialises the last normalisation of each residual branch of its ResNets with zero: in a fresh trunk nothing of
such a branch has a gradient but that normalisation. This is how it should be trained, and we leave it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mtlbench.errors import UsageError
from mtlbench.extras import library
from mtlbench.identity import as_json, without_neutral
from mtlbench.models.backbone import Backbone, Head
from mtlbench.models.inputs import CONVENTIONS, Convention, convention
from mtlbench.models.levels import EXTRA, Level, create, cut
from mtlbench.models.model import weights_hash
from mtlbench.models.pooled import PooledHead
from mtlbench.models.pyramid import Pyramid
from mtlbench.models.timm_weights import fill
from mtlbench.models.tokens import OfPatches
from mtlbench.options import whole
from mtlbench.tasks import Task


class TimmBackbone(Backbone):
    """A trunk of timm, cut into its levels; per task a decoder of all of them, or a `PooledHead` of the last.

    Images are normalised as timm's own weights of that name want them. Nothing is ever downloaded.

    Args:
        name: of the model in timm.
        weights: a file with weights of this trunk to start from (safetensors, .pt, .pth), with its classifier or
            without; None for random ones.
        img_size: side, or height and width, of the images that the trunk is built for; None = as timm has it, which
            takes images of any size but for some trunks with windows of a fixed number.
        width: channels within the decoders.
    """

    public = "timm"

    def __init__(
        self,
        name: str = "resnet18",
        weights: str | None = None,
        img_size: int | Sequence[int] | None = None,
        width: int = 64,
    ) -> None:
        self.trunk, self.name = name, f"{self.public}-{name}"
        self.width, self.img_size = whole(width, "model.width"), _size(img_size)
        if weights is not None and not isinstance(weights, (str, Path)):
            raise UsageError(f"model.weights={weights}: expected a file")
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            shape = cut(create(name, self.img_size), name)
        self.blocks = len(shape.levels)
        self.channels, self.strides, self.prefix = shape.channels, shape.strides, shape.prefix
        self.inputs = _inputs(name)
        self.notes = (f"{self.name}: {self.blocks} blocks: {shape}",)
        self.state: dict[str, Tensor] | None = None
        self.weights: str | None = None
        if weights is not None:
            self._read(Path(weights).expanduser())

    def options(self) -> dict[str, Any]:
        """Weights count by what is in them, not by where they lie."""
        return without_neutral(
            {"trunk": self.trunk, "weights": self.weights, "img_size": as_json(self.img_size), "width": self.width}
        )

    def identity(self) -> dict[str, Any]:
        """As of any backbone; the trunk is an option."""
        return {**super().identity(), "name": self.public}

    def block(self, index: int) -> nn.Module:
        """Level `index` of a fresh trunk."""
        return self._levels()[index]

    def copies(self, numbers: Sequence[int]) -> list[list[nn.Module]]:
        """As many fresh trunks as the largest of `numbers` says; each gives its levels once."""
        trunks = [self._levels() for _ in range(max(numbers))]
        return [[trunk[index] for trunk in trunks[:number]] for index, number in enumerate(numbers)]

    def head(self, task: Task) -> Head:
        """A `Pyramid` over all levels; of a task per image a `PooledHead`."""
        made: Head
        if task.per_image:
            made = PooledHead(self.channels[-1], task.channels, self.width)
        else:
            made = Pyramid(self.channels, self.strides, task.channels, self.width)
        return OfPatches(made, self.prefix) if self.prefix else made

    def _levels(self) -> tuple[Level, ...]:
        trunk = create(self.trunk, self.img_size)
        if self.state is not None:
            trunk.load_state_dict(self.state)
        return cut(trunk, self.trunk).levels

    def _read(self, file: Path) -> None:
        with torch.random.fork_rng(devices=[]):
            trunk = create(self.trunk, self.img_size)
            found = fill(trunk, self.trunk, self.img_size, file)
        self.notes += tuple(f"{file}: {note}" for note in found)
        self.state = trunk.state_dict()
        self.weights = weights_hash(trunk)


def _size(given: object) -> tuple[int, int] | None:
    if given is None:
        return None
    sides = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given, given]
    if len(sides) != 2:
        raise UsageError(f"model.img_size={given}: expected a number of pixels, or [HEIGHT, WIDTH]")
    return whole(sides[0], "model.img_size"), whole(sides[1], "model.img_size")


def _inputs(name: str) -> Convention:
    """What timm's own weights of that name want to see; by the name that we have for it, where we have one."""
    about = library("timm", EXTRA, "model=timm").get_pretrained_cfg(name)
    mean, std = tuple(map(float, about.mean)), tuple(map(float, about.std))
    for known in CONVENTIONS.values():
        if not known.bgr and known.scale == 1 and (known.mean, known.std) == (mean, std):
            return known
    return convention((mean, std))
