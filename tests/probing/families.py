"""Five families of models that the probe's thresholds were not chosen on, trained within seconds.

The images are soft coloured blobs with noise: the class of a pixel is the channel that is strongest, and whether it is
dark; its depth and its normal are functions of the colour too. So a model that sees channels, scale or normalisation
otherwise than in training is lost, as one of photographs would be. `scripts/probe_table.py` has rooms instead.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtlbench.data.batch import Batch
from mtlbench.data.own import OwnImages
from mtlbench.engine.losses import TaskLosses
from mtlbench.models.inputs import Inputs, convention
from mtlbench.models.sharing import BLOCKS, level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import TreeModel
from mtlbench.tasks import DEPTH, NORMALS, SEGMENTATION, Task, depth, normals, segmentation

CLASSES, SIZE = 5, 24
TASKS: tuple[Task, ...] = (segmentation(CLASSES), normals(), depth())


@dataclass(frozen=True)
class Scenes:
    """Images with targets of three tasks.

    Attributes:
        train: what a model is trained on.
        test: what it is asked with.
        tasks: with the number of classes.
    """

    train: Batch
    test: Batch
    tasks: tuple[Task, ...]


def pictures(images: int, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Images [B, 3, 24, 24] in [0, 1] and the targets of `TASKS`."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(images, 3, 5, 5, generator=random)
    clean = F.interpolate(coarse, (SIZE, SIZE), mode="bicubic", align_corners=True).clamp(0, 1)
    image = (clean + 0.04 * torch.randn(clean.shape, generator=random)).clamp(0, 1)
    red, green, blue = clean.unbind(1)
    bright = clean.amax(1)
    classes = torch.where(bright < 0.55, 4, torch.where(bright > 0.9, 3, clean.argmax(1)))
    facing = torch.stack([red - 0.5, 0.6 * (green - blue), 0.35 + 0.3 * blue], 1)
    metres = 1 + 3 * red.square() + 0.5 * (1 - blue)
    return image, {SEGMENTATION: classes, NORMALS: F.normalize(facing, dim=1), DEPTH: metres}


def blobs(seed: int = 0) -> Scenes:
    """The pictures above; other ones with another seed."""
    train, test = (OwnImages(pictures(n, first + seed), TASKS).first(n) for n, first in ((256, 1000), (64, 7)))
    return Scenes(train, test, TASKS)


class Heads(nn.ModuleDict):
    """A 1x1 convolution for each task."""

    def __init__(self, width: int, tasks: tuple[Task, ...]) -> None:
        super().__init__({task.name: nn.Conv2d(width, task.channels, 1) for task in tasks})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {name: head(x) for name, head in self.items()}


def plain(tasks: tuple[Task, ...], size: int) -> nn.Module:
    """Four convolutions with batch normalisation, stride 2."""
    widths = (3, 24, 24, 24, 24)
    layers = [
        nn.Sequential(nn.Conv2d(a, b, 3, 1 + (i == 1), 1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
        for i, (a, b) in enumerate(pairwise(widths))
    ]
    return nn.Sequential(*layers, Heads(24, tasks))


class Residual(nn.Module):
    """Group normalisation and dropout beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *(nn.GroupNorm(4, width), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.Dropout2d(0.05)),
            *(nn.GroupNorm(4, width), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.main(x)


def residual(tasks: tuple[Task, ...], size: int) -> nn.Module:
    """A residual network with group normalisation, stride 2."""
    return nn.Sequential(nn.Conv2d(3, 24, 4, 2, 1), Residual(24), Residual(24), Heads(24, tasks))


class UNet(nn.Module):
    """One level down and up again, at the images' size."""

    def __init__(self, tasks: tuple[Task, ...], size: int, width: int = 12) -> None:
        super().__init__()

        def block(inputs: int, outputs: int) -> nn.Module:
            return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.SiLU())

        self.enter, self.down = block(3, width), block(width, 2 * width)
        self.up, self.heads = block(3 * width, width), Heads(width, tasks)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        fine = self.enter(x)
        coarse = F.interpolate(self.down(F.max_pool2d(fine, 2)), scale_factor=2, mode="nearest")
        found: dict[str, Tensor] = self.heads(self.up(torch.cat([fine, coarse], 1)))
        return found


class PatchTransformer(nn.Module):
    """Patches of 4x4, two layers of attention, one prediction a patch."""

    def __init__(self, tasks: tuple[Task, ...], size: int, width: int = 48) -> None:
        super().__init__()
        self.cells = size // 4
        self.embed = nn.Conv2d(3, width, 4, 4)
        self.position = nn.Parameter(0.02 * torch.randn(1, self.cells**2, width))
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, 0.05, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.heads = Heads(width, tasks)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        tokens = self.layers(self.embed(x).flatten(2).mT + self.position)
        found: dict[str, Tensor] = self.heads(tokens.mT.unflatten(2, (self.cells, self.cells)))
        return found


def tree(tasks: tuple[Task, ...], size: int) -> nn.Module:
    """The project's own, which normalises for itself."""
    return TreeModel(Tiny(width=0.5), level(3, 3, BLOCKS), tasks)


@dataclass(frozen=True)
class Family:
    """How a family is built and trained.

    Attributes:
        build: a new model for tasks and square images of a size.
        inputs: the convention that it is trained with.
        rate: learning rate.
        steps: of training.
    """

    build: Callable[[tuple[Task, ...], int], nn.Module]
    inputs: str
    rate: float = 3e-3
    steps: int = 120


FAMILIES = {
    "plain": Family(plain, "imagenet"),
    "residual": Family(residual, "half"),
    "unet": Family(UNet, "rgb255", steps=250),
    "transformer": Family(PatchTransformer, "bgr255-mean", steps=400),
    "tree": Family(tree, "rgb01"),
}


def trained(family: Family, scenes: Scenes, seed: int = 0, longer: int = 1) -> nn.Module:
    """A model that is clearly better than a constant, on one thread within seconds.

    Args:
        family: which one.
        scenes: what it learns.
        seed: of its weights.
        longer: factor on the steps.
    """
    data, steps = scenes.train, longer * family.steps
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = family.build(scenes.tasks, data.input.shape[-1])
        shown = Inputs(convention(family.inputs))
        best = torch.optim.AdamW(model.parameters(), family.rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(best, family.rate, total_steps=steps)
        for step in range(steps):
            at = 8 * step % len(data)
            part = data[at : at + 8]
            losses = TaskLosses(lambda x, names: model(shown(x)), scenes.tasks, part.targets, part.masks)
            best.zero_grad()
            losses(part.input).mean(1).sum().backward()
            best.step()
            schedule.step()
    return model.eval()
