"""segmentation_models_pytorch: an encoder and a decoder by name; a classification branch for tasks per image."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from mtlbench.errors import UsageError
from mtlbench.extras import library
from mtlbench.models.adapted import Adapted
from mtlbench.models.builders.joined import channels, made, slices
from mtlbench.tasks import Task


def build(
    tasks: Sequence[Task], arch: str = "unet", encoder: str = "resnet18", inputs: object = "imagenet", **options: Any
) -> Adapted:
    """One network for all tasks, with random weights.

    Args:
        tasks: per pixel at least one; those per image come from the branch that is called ``aux_params`` there.
        arch: unet, fpn, deeplabv3plus, segformer, ...
        encoder: resnet18, mit_b0, tu-convnext_tiny, ...; most need sides divisible by 32.
        inputs: as the weights that will be loaded want the images, see `Adapted`.
        options: more arguments of ``create_model`` there.

    Raises:
        MachineError: the library is not installed.
        UsageError: it does not know a name or an option.
    """
    asked = f"model=smp arch={arch} encoder={encoder}"
    if options.get("encoder_weights") is not None:
        raise UsageError(f"{asked}: encoder_weights would be downloaded; give all weights with checkpoint=FILE")
    smp = library("segmentation_models_pytorch", "smp", "model=smp")
    dense = [task for task in tasks if not task.per_image]
    whole = [task for task in tasks if task.per_image]
    if not dense:
        raise UsageError(f"{asked}: it needs a task per pixel, these are all per image; use model=torchvision")
    fixed: dict[str, Any] = {"encoder_weights": None, "classes": channels(dense)}
    if whole:
        fixed["aux_params"] = {"classes": channels(whole)}
    network = made(asked, smp.create_model, arch, encoder, **{**options, **fixed})

    def outputs(found: Any) -> Mapping[str, Tensor]:
        maps, vector = found if whole else (found, found)
        parts = {name: maps[:, where] for name, where in slices(dense).items()}
        return parts | {name: vector[:, where] for name, where in slices(whole).items()}

    return Adapted(network, tasks, inputs, outputs, name=f"smp-{arch}-{encoder}")
