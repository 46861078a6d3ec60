"""Input conventions. Callers pass RGB in [0, 1], so that eps keeps its unit; the model converts internally."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mtlbench.errors import UsageError
from mtlbench.options import is_number

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BGR_MEAN = (104.00698793, 116.66876762, 122.67891434)
"""Mean grey level of ImageNet per channel, as in the published models of arXiv 2305.12066."""


@dataclass(frozen=True)
class Convention:
    """RGB in [0, 1] -> (channels in the model's order * scale - mean) / std.

    Attributes:
        name: of the convention.
        bgr: whether the model expects blue first.
        scale: 255 for grey levels.
        mean: of the channels in the model's order, after scaling.
        std: the same.
    """

    name: str
    bgr: bool = False
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)


class Inputs(nn.Module):
    """Module that applies a convention; it has no state and is not part of the weights."""

    mean: Tensor
    std: Tensor

    def __init__(self, convention: Convention) -> None:
        super().__init__()
        self.convention = convention
        self.shifts, self.scales = any(convention.mean), set(convention.std) != {1.0}
        for name in ("mean", "std"):
            values = torch.tensor(getattr(convention, name))[:, None, None]
            self.register_buffer(name, values, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, 3, H, W]."""
        x = image.flip(1) if self.convention.bgr else image
        if self.convention.scale != 1:
            x = x * self.convention.scale
        if self.shifts:
            x = x - self.mean
        return x / self.std if self.scales else x


CONVENTIONS = {
    one.name: one
    for one in (
        Convention("rgb01"),
        Convention("imagenet", mean=IMAGENET[0], std=IMAGENET[1]),
        Convention("half", mean=(0.5,) * 3, std=(0.5,) * 3),
        Convention("rgb255", scale=255.0),
        Convention("bgr01", bgr=True),
        Convention("bgr255-mean", bgr=True, scale=255.0, mean=BGR_MEAN),
    )
}
"""The named conventions."""


def convention(given: object, option: str = "inputs") -> Convention:
    """A convention by its name, or from a pair (mean, std) of RGB in [0, 1].

    Raises:
        UsageError: it is neither of these.
    """
    if isinstance(given, Convention):
        return given
    if isinstance(given, str) and given in CONVENTIONS:
        return CONVENTIONS[given]
    if isinstance(given, Sequence) and not isinstance(given, str) and len(given) == 2 and all(map(_triple, given)):
        mean, std = (tuple(map(float, part)) for part in given)
        if min(std) > 0:
            return Convention(f"mean={_words(mean)},std={_words(std)}", mean=mean, std=std)
    raise UsageError(
        f"{option}={given!r}: expected {', '.join(CONVENTIONS)}, or (mean, std) with three numbers each, "
        "for images in [0, 1]"
    )


def _triple(values: object) -> bool:
    return isinstance(values, Sequence) and len(values) == 3 and all(map(is_number, values))


def _words(values: Sequence[float]) -> str:
    return "/".join(f"{value:g}" for value in values)
