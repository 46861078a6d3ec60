"""torchvision: a segmentation network by name for tasks per pixel, a classifier by name for tasks per image."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from mtlbench.errors import UsageError
from mtlbench.extras import library
from mtlbench.models.adapted import Adapted
from mtlbench.models.builders.joined import channels, made, per_image, slices
from mtlbench.options import near
from mtlbench.tasks import Task


def build(
    tasks: Sequence[Task], name: str = "lraspp_mobilenet_v3_large", inputs: object = "imagenet", **options: Any
) -> Adapted:
    """One network for all tasks, with random weights.

    Args:
        tasks: all per pixel, or all per image.
        name: lraspp_mobilenet_v3_large, deeplabv3_resnet50, ...; resnet18, swin_t, ... for tasks per image.
        inputs: as the weights that will be loaded want the images, see `Adapted`.
        options: more arguments of the network there.

    Raises:
        UsageError: torchvision has no such network for such tasks, or does not know an option.
    """
    asked = f"model=torchvision name={name}"
    models = library("torchvision.models", "torchvision", "model=torchvision")
    whole = per_image(tasks, asked)
    kind = models if whole else models.segmentation
    names = models.list_models(module=kind)
    if name not in names:
        what = "classifiers" if whole else "segmentation networks"
        raise UsageError(f"{asked}: of torchvision's {what} expected one such as {names[0]}{near(str(name), names)}")
    if any(value is not None for key, value in options.items() if key.startswith("weights")):
        raise UsageError(f"{asked}: weights by name would be downloaded; give all of them with checkpoint=FILE")
    nothing = {"weights": None} if whole else {"weights": None, "weights_backbone": None}
    network = made(asked, models.get_model, name, num_classes=channels(tasks), **{**options, **nothing})

    def outputs(found: Any) -> Mapping[str, Tensor]:
        joined = found if whole else found["out"]
        return {task: joined[:, where] for task, where in slices(tasks).items()}

    return Adapted(network, tasks, inputs, outputs, name=name)
