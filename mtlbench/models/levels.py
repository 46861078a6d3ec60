"""Trunks of timm as chains of levels, which a sharing tree copies one by one.

The levels of a trunk end at the maps that timm's ``features_only=True`` returns. If these are outputs of a chain of
modules, the chain is cut after each of them, and our levels compute the same as timm, bit for bit. Vision transformers
are cut into patch embedding and groups of blocks (`models.tokens`). Trunks that are no chain (HRNet, with parallel
stages) are refused.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtlbench.errors import ModelError, UsageError
from mtlbench.extras import library
from mtlbench.models.tokens import Blocks, Embedding, groups
from mtlbench.options import near

EXTRA = "timm"
ANY_SIZE: Sequence[Mapping[str, bool]] = ({"dynamic_img_size": True}, {"strict_img_size": False}, {})
"""Options that make trunks with positions or windows accept images of any size; convolutions need none."""


class Level(nn.Module):
    """A sequence of modules of a trunk.

    Args:
        parts: the modules by their names in timm, dots as underscores.
        last_in: whether the first of them expects channels last.
        last_out: whether the last of them gives channels last.
        patch: height and width that images must be multiples of; zeros are put below and to the right of others.
    """

    def __init__(
        self,
        parts: Mapping[str, nn.Module],
        last_in: bool = False,
        last_out: bool = False,
        patch: tuple[int, int] = (1, 1),
    ) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(parts)
        self.last_in, self.last_out, self.patch = last_in, last_out, patch

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C', H', W'].

        Raises:
            ModelError: the trunk does not take images of this size, or several maps go from one level to the next.
        """
        below, right = -x.shape[2] % self.patch[0], -x.shape[3] % self.patch[1]
        found = F.pad(x, (0, right, 0, below)) if below or right else x
        found = found.permute(0, 2, 3, 1) if self.last_in else found
        try:
            for part in self.parts.values():
                found = part(found)
        except (torch.OutOfMemoryError, torch.AcceleratorError):
            raise
        except (AssertionError, RuntimeError) as error:  # how timm's modules refuse a size
            raise ModelError(
                f"model=timm: {' '.join(self.parts)} does not take maps of {x.shape[2]} x {x.shape[3]} ({error}); "
                "give the size of the images as model.img_size, or dataset.resolution as the trunk wants it"
            ) from error
        if not isinstance(found, Tensor):
            raise ModelError(
                f"model=timm: {' '.join(self.parts)} gives a {type(found).__name__} of maps, expected one map"
            )
        return found.permute(0, 3, 1, 2) if self.last_out else found


@dataclass(frozen=True)
class Trunk:
    """A trunk in levels.

    Attributes:
        levels: a chain: the first takes the image, each next one the output of the one before.
        channels: of the maps that they give.
        strides: pixels of the image for a pixel of the map.
        prefix: number of tokens of a transformer outside its maps, see `models.tokens`.
    """

    levels: tuple[Level, ...]
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    prefix: int = 0

    def __str__(self) -> str:
        """The modules of each level, as in ``conv1 bn1 act1 | maxpool layer1 | layer2``."""
        return " | ".join(" ".join(level.parts) for level in self.levels)


def create(name: str, img_size: tuple[int, int] | None = None) -> nn.Module:
    """Timm's own trunk of that name, with random weights; nothing is downloaded.

    Args:
        name: of the model in timm.
        img_size: height and width of the images that it is built for; None = its own, and any where it can.

    Raises:
        MachineError: timm is not installed.
        UsageError: timm has no such model, or gives none of its maps.
    """
    timm = library("timm", EXTRA, "model=timm")
    if not isinstance(name, str) or not timm.is_model(name):
        names = timm.list_models()
        raise UsageError(
            f"model.name={name}: expected one of the {len(names)} models of timm {timm.__version__}, such as "
            f"resnet18{near(str(name), names)}"
        )
    size = {} if img_size is None else {"img_size": img_size}
    for options in ANY_SIZE:
        try:
            made: nn.Module = timm.create_model(name, pretrained=False, features_only=True, **size, **options)
            return made
        except TypeError:  # no such option
            continue
        except (RuntimeError, AttributeError, AssertionError) as error:
            raise UsageError(f"model.name={name}: timm does not give the maps of this model ({error})") from error
    if img_size is None:
        raise UsageError(f"model.name={name}: timm does not give the maps of this model")
    raise UsageError(f"model.img_size={img_size}: {name} is built for no size, it takes images of any; leave it out")


def cut(trunk: nn.Module, name: str) -> Trunk:
    """The levels of a trunk made by `create`; they are its own modules.

    Raises:
        UsageError: it is not a chain.
    """
    models = library("timm.models", EXTRA, "model=timm")
    module: Any
    for module in trunk.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False  # a map may go into several copies of the next level, and into heads
    inner = getattr(trunk, "model", None)
    if isinstance(trunk, models.FeatureListNet):
        return _listed(trunk, dict(trunk.named_children()), [key.replace(".", "_") for key in trunk.return_layers])
    if type(trunk).__name__ in ("EfficientNetFeatures", "MobileNetV3Features") and trunk.feature_hooks is None:
        return _staged(trunk)
    if isinstance(inner, models.VisionTransformer) and _is_plain(inner, models.VisionTransformer):
        return _transformer(inner)
    raise UsageError(
        f"model.name={name}: timm does not give {type(trunk if inner is None else inner).__name__} as a chain of "
        "modules, which could be cut into levels; to attack such a model, build it with model=custom"
    )


def _listed(trunk: Any, parts: Mapping[str, nn.Module], ends: Collection[str]) -> Trunk:
    """A chain of modules, in which those named `ends` return the maps."""
    found: list[dict[str, nn.Module]] = [{}]
    for name, part in parts.items():
        found[-1][name] = part
        if name in ends:
            found.append({})
    assert not found.pop(), "timm cuts its trunks behind the last map"
    last = str(getattr(getattr(trunk, "output_fmt", "NCHW"), "value", "NCHW")) == "NHWC"
    patch = _patch(parts.values())
    levels = [
        Level(modules, last_in=last and number > 0, last_out=last, patch=patch if number == 0 else (1, 1))
        for number, modules in enumerate(found)
    ]
    return Trunk(tuple(levels), tuple(trunk.feature_info.channels()), tuple(trunk.feature_info.reduction()))


def _staged(trunk: Any) -> Trunk:
    """EfficientNet and MobileNetV3: a stem and numbered stages; 0 is the stem."""
    stem = {name: getattr(trunk, name) for name in ("conv_stem", "bn1", "act1") if hasattr(trunk, name)}
    stages = {f"blocks_{number}": stage for number, stage in enumerate(trunk.blocks)}
    names = [list(stem)[-1], *stages]
    return _listed(trunk, stem | stages, [names[number] for number in trunk._stage_out_idx])


def _transformer(vit: Any) -> Trunk:
    prefix, blocks = int(vit.num_prefix_tokens), list(vit.blocks)
    channels, patch = int(vit.embed_dim), _patch([vit.patch_embed])
    levels = [Level({"embedding": Embedding(vit)}, patch=patch)]
    for part in groups(len(blocks)):
        levels.append(Level({f"blocks_{part.start}_{part.stop - 1}": Blocks(blocks[part], prefix)}))
    return Trunk(tuple(levels), (channels,) * len(levels), (patch[0],) * len(levels), prefix)


def _is_plain(vit: Any, kind: Any) -> bool:
    """Whether it computes its maps like a VisionTransformer: patches of any image, then a sequence of blocks."""
    grid = _patch([vit.patch_embed]) != (1, 1) and not vit.patch_embed.flatten
    return bool(type(vit).forward_intermediates is kind.forward_intermediates and vit.dynamic_img_size and grid)


def _patch(parts: Iterable[nn.Module]) -> tuple[int, int]:
    """Sides of the patches that the image is cut into; 1 where convolutions do it, which take any size."""
    embedding = library("timm.layers", EXTRA, "model=timm").PatchEmbed
    sides = [(int(part.patch_size[0]), int(part.patch_size[1])) for part in parts if isinstance(part, embedding)]
    return sides[0] if sides else (1, 1)
