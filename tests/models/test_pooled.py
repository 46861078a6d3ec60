"""Heads of tasks per image: one prediction an image, beside dense heads that stay what they were."""

import pytest
import torch

from mtlbench.models.backbone import Backbone
from mtlbench.models.deeplab_resnet34 import DeepLabResNet34
from mtlbench.models.mobilenet_v2 import MobileNetV2
from mtlbench.models.pooled import PooledHead
from mtlbench.models.sharing import level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import TreeModel, build
from mtlbench.tasks import classification, regression, segmentation
from tests.quickly import first

TASKS = (classification(5, name="defect"), segmentation(2, name="mask"), regression(name="severity", outputs=2))


@pytest.mark.parametrize(
    "backbone", first((Tiny(), Tiny(0.5), DeepLabResNet34(), MobileNetV2())), ids=lambda b: b.name
)
def test_one_prediction_an_image_at_any_size(backbone: Backbone) -> None:
    with torch.device("meta"):
        model = TreeModel(backbone, level(3, 2), TASKS)
    for height, width in [(66, 66), (61, 45)]:
        found = model(torch.empty(2, 3, height, width, device="meta"))
        assert found["defect"].shape == (2, 5, 1, 1)
        assert found["severity"].shape == (2, 2, 1, 1)
        assert found["mask"].shape[:2] == (2, 2)
        assert min(found["mask"].shape[2:]) > 1


def test_what_is_small_counts_as_what_is_large() -> None:
    """Of features that are 0 but in one place, a mean over 32 x 32 would leave a thousandth."""
    torch.manual_seed(0)
    head = PooledHead(4, 3, 8).eval()
    small = torch.zeros(1, 4, 32, 32)
    small[..., 16, 16] = 50
    large = torch.zeros(1, 4, 32, 32)
    large[..., 8:24, 8:24] = 50
    empty = head([torch.zeros(1, 4, 32, 32)])
    change = [(head([features]) - empty).abs().max().item() for features in (small, large)]
    assert change[0] > 0.1 * change[1]


def test_no_image_sees_another() -> None:
    model = build(Tiny(0.5), level(3, 5), TASKS, 0).eval()
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    together = model(images)
    for index in range(3):
        alone = model(images[index : index + 1])
        for name, prediction in together.items():
            torch.testing.assert_close(alone[name][0], prediction[index], rtol=1e-4, atol=1e-5)


def test_dense_heads_are_drawn_as_before() -> None:
    """A task per image at the end takes no random number from the heads before it."""
    dense = (segmentation(13), segmentation(3, name="other"))
    alone = build(Tiny(0.5), level(2, 5), dense, 0)
    beside = build(Tiny(0.5), level(3, 5), (*dense, TASKS[0]), 0)
    for task in ("segmentation", "other"):
        for name, tensor in alone.heads[task].state_dict().items():
            assert torch.equal(tensor, beside.heads[task].state_dict()[name]), name


def test_the_gradient_of_every_task_reaches_the_image() -> None:
    model = build(Tiny(0.5), level(3, 0), TASKS, 0).eval()
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    for prediction in model(image).values():
        weights = torch.randn(prediction.shape, generator=torch.Generator().manual_seed(1))
        (slope,) = torch.autograd.grad((prediction * weights).sum(), image, retain_graph=True)
        assert (slope != 0).float().mean() > 0.9
