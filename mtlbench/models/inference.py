"""A copy of a frozen model that computes the same in less time: no batch normalisation of its own, channels last.

In evaluation mode a batch normalisation is a factor and a shift per channel, which the convolution before it takes
over (Jacob et al. 2018, arXiv 1712.05877, section 3.2). That is exact but for rounding: the products are made in
float64. Channels-last (NHWC) maps are what the convolutions of CPUs and GPUs prefer.

Both need to know every reader of a map. So only trees of backbones that say so (`Backbone.folds`,
`Backbone.channels_last`) are changed, and there only what is checked to be as usual; any other model is returned as
it is. The weights' hash, the probe and all measurements of the model are of the original.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy
from itertools import pairwise

import torch
from torch import Tensor, nn

from mtlbench.models.model import MultiTaskModel
from mtlbench.models.tree_model import TreeModel

Fold = tuple[tuple[str, ...], str]
"""Names of convolutions whose outputs are summed, and of the batch normalisation that alone reads the sum."""

WATCHERS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_compiled_call_impl")


class ForInference(TreeModel):
    """What `for_inference` makes of a `TreeModel`."""

    def predictions(self, image: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        """As of `TreeModel`; predictions and gradients are laid out as theirs, for who wants a `view` of them."""
        if not self.backbone.channels_last:
            return super().predictions(image, tasks)
        seen = image.contiguous(memory_format=torch.channels_last)
        if seen.requires_grad:
            seen.register_hook(Tensor.contiguous)
        return {name: found.contiguous() for name, found in super().predictions(seen, tasks).items()}


def for_inference(model: MultiTaskModel) -> MultiTaskModel:
    """A copy of `model`, which is in evaluation mode; `model` itself if it is no `TreeModel` or somebody watches it.

    Weights that do not change are those of `model`: memory grows by the weights of the convolutions alone. Later
    changes of `model` do not reach the copy.
    """
    # Subclasses may read what is between two modules, and compiled ones were made fast by their owner.
    if type(model) is not TreeModel or _watched(model):
        return model
    backbone = model.backbone
    if not backbone.folds and not backbone.channels_last:
        return model
    kept = [*model.parameters(), *model.buffers(), backbone]
    copy = deepcopy(model, {id(one): one for one in kept})
    copy.__class__ = ForInference
    if backbone.folds:
        _fold(copy)
    if backbone.channels_last:
        for module in copy.modules():
            if isinstance(module, nn.Conv2d):
                module.weight = _constant(module.weight.contiguous(memory_format=torch.channels_last))
    return copy


def _watched(model: nn.Module) -> bool:
    """Whether hooks see what the modules compute, or one of them is compiled."""
    return any(getattr(module, kind) for module in model.modules() for kind in WATCHERS)


def _fold(model: nn.Module) -> None:
    """Fold in place what is safe."""
    uses = Counter(id(module) for _, module in model.named_modules(remove_duplicate=False))
    for parent in list(model.modules()):
        for names, last in _candidates(parent):
            convs, norm = _convolutions(parent, names), parent.get_submodule(last)
            if len(convs) < len(names) or not isinstance(norm, nn.BatchNorm2d) or not _plain(norm):
                continue
            if all(uses[id(module)] == 1 for module in (*convs, norm)):
                _into(convs, norm)
                parent.set_submodule(last, nn.Identity().eval())


def _candidates(parent: nn.Module) -> Iterator[Fold]:
    """What the class says of itself, and neighbours in a plain chain."""
    yield from getattr(parent, "folds", ())
    if isinstance(parent, nn.Sequential) and type(parent).forward is nn.Sequential.forward:
        yield from (((before,), after) for before, after in pairwise(parent._modules))


def _convolutions(parent: nn.Module, names: Sequence[str]) -> list[nn.Conv2d]:
    """Those of the named modules that are of exactly this class."""
    found = (parent.get_submodule(name) for name in names)
    return [module for module in found if isinstance(module, nn.Conv2d) and type(module) is nn.Conv2d]


def _plain(norm: nn.BatchNorm2d) -> bool:
    """Whether it multiplies and shifts by what is stored, and nothing else."""
    stored = norm.running_mean is not None and norm.running_var is not None
    return type(norm) is nn.BatchNorm2d and stored and norm.affine and not norm.training


def _into(convs: Sequence[nn.Conv2d], norm: nn.BatchNorm2d) -> None:
    """Let `convs` compute what `norm` makes of their sum; the first one adds the shift."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    shift = -norm.running_mean.double()
    for conv in convs:
        if conv.bias is not None:
            shift = shift + conv.bias.double()
    shift = shift * scale + norm.bias.double()
    for number, conv in enumerate(convs):
        exact = conv.weight.dtype
        conv.weight = _constant((conv.weight.double() * scale[:, None, None, None]).to(exact))
        conv.bias = _constant(shift.to(exact)) if number == 0 else None


def _constant(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.detach(), requires_grad=False)
