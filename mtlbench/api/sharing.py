"""`sharing`: how much of a model its tasks share."""

from collections.abc import Sequence

from torch import Tensor, nn

from mtlbench.api.running import Model, Tasks, adapt, as_tasks
from mtlbench.models import measured
from mtlbench.models.measured import Sharing
from mtlbench.models.outputs import Outputs


def sharing(
    model: Model,
    images: Tensor,
    tasks: Tasks,
    *,
    inputs: object = "rgb01",
    outputs: Outputs = None,
    modules: Sequence[nn.Module] = (),
    soft: bool = False,
) -> Sharing:
    """Which parameters serve which task, by the graph from predictions to images; one backward pass a task.

    Args:
        model: see `attack`.
        images: RGB in [0, 1], [B, 3, H, W], where the model is; one will do, several where gates choose by the image.
        tasks: see `attack`.
        inputs: see `attack`.
        outputs: see `attack`.
        modules: see `attack`; a callable without modules shows no parameters.
        soft: measure, too, how evenly the tasks pull at each parameter.

    Raises:
        ModelError: the model does not return its tasks.
    """
    chosen = as_tasks(tasks)
    adapted = adapt(model, chosen, inputs, outputs, modules).to(images.device)
    return measured.sharing(adapted, images, adapted.order, soft=soft)
