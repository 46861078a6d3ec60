"""Losses: the reference's numbers, masked pixels that count for nothing, images that never influence each other."""

import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mtlbench.engine.losses import LOSSES, TaskLosses, at_size, masked_mean, valid_images
from mtlbench.errors import DataError
from mtlbench.metrics.layout import DELTAS
from mtlbench.metrics.measure import measure
from mtlbench.metrics.statistics import STATISTICS
from mtlbench.tasks import KINDS, Task
from tests.device import DEVICE, HERE, assert_bits, here
from tests.fakes import RGBGolden, rows
from tests.golden import DATASETS, NAMES, golden_batches, golden_model, golden_numbers, golden_tasks

B, C, H, W = 3, 3, 6, 5
OF_CLASSES, OF_LABELS, OF_DIRECTIONS = (
    tuple(loss for loss in LOSSES if KINDS.get(loss) == kind) for kind in ("classes", "attributes", "directions")
)
OF_DEPTH = ("relative", *(f"beyond_{name}" for name in DELTAS))

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("one_thread")]


def example(loss: str) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Prediction, target, mask and class weights that `loss` takes."""
    random = torch.Generator().manual_seed(0)
    channels = 1 if loss in ("l1", *OF_DEPTH) else C
    prediction = torch.randn(B, channels, H, W, generator=random)
    if loss in OF_CLASSES:
        target = torch.randint(0, C, (B, 1, H, W), generator=random)
    elif loss in OF_LABELS:
        target = torch.randint(0, 2, (B, C, H, W), generator=random)
    else:
        target = torch.randn(B, channels, H, W, generator=random)
    if loss in OF_DEPTH:
        prediction, target = prediction.abs() + 0.5, target.abs() + 0.5
    mask = torch.rand(B, 1, H, W, generator=random) > 0.4
    weights = torch.tensor([0.5, 1.0, 3.0], **HERE) if loss in OF_CLASSES else None
    return here(prediction), here(target), mask.to(DEVICE), weights


def gradient(loss: str, prediction: Tensor, *rest: Any) -> Tensor:
    prediction = prediction.clone().requires_grad_()
    return torch.autograd.grad(LOSSES[loss](prediction, *rest).sum(), prediction)[0]


each_loss = pytest.mark.parametrize("loss", LOSSES)


@pytest.mark.parametrize("ds", DATASETS)
def test_per_image_losses_of_the_reference(ds):
    model, tasks = golden_model(ds), golden_tasks(ds)
    for number, (image, targets, masks) in enumerate(golden_batches(ds)):
        found = TaskLosses(lambda x, _: model(x), tasks, targets, masks)(image)
        names = {NAMES[theirs]: values for theirs, values in golden_numbers()[ds]["loss_none"][number].items()}
        expected = torch.tensor([names[task.name] for task in tasks], **HERE)
        assert found.shape == (len(tasks), len(image))
        assert torch.allclose(found, expected, rtol=0, atol=1e-5)


def test_losses_by_hand():
    """Two pixels, worked out on paper."""
    mask = torch.ones(1, 1, 1, 2, dtype=torch.bool, device=DEVICE)
    logits = torch.zeros(1, 2, 1, 2, **HERE)
    classes = torch.tensor([[[[0, 1]]]], device=DEVICE)
    ln2 = torch.tensor([2.0], **HERE).log()
    assert torch.allclose(LOSSES["cross_entropy"](logits, classes, mask, None), ln2)
    logits[0, 0, 0, 0] = torch.tensor(3.0, **HERE).log()  # probability 3/4 of the right class: -ln 0.75 and -ln 0.5
    weighted = LOSSES["cross_entropy"](logits, classes, mask, torch.tensor([1.0, 3.0], **HERE))
    assert torch.allclose(weighted, (torch.tensor([4 / 3], **HERE).log() + 3 * ln2) / 4)
    there = torch.tensor([[[[1.0, 2.0]], [[0.0, 0.0]], [[0.0, 0.0]]]], **HERE)
    target = torch.tensor([[[[5.0, 0.0]], [[0.0, 0.0]], [[0.0, -1.0]]]], **HERE)
    assert torch.allclose(LOSSES["cosine"](there, target, mask, None), torch.tensor([0.5], **HERE))  # 0 and 90 degrees
    assert torch.allclose(LOSSES["l1"](there[:, :1], target[:, :1], mask, None), torch.tensor([3.0], **HERE))


JUNK = [(loss, junk) for loss in LOSSES for junk in (255.0, -7.0)]
JUNK += [(loss, junk) for loss in ("cosine", "l1", "l2") for junk in (1e30, float("inf"), float("nan"))]


@pytest.mark.parametrize(("loss", "junk"), JUNK)
def test_masked_targets_have_no_influence(loss, junk):
    prediction, target, mask, weights = example(loss)
    spoilt = torch.where(mask, target, torch.tensor(junk, device=DEVICE).to(target.dtype))
    value = LOSSES[loss](prediction, target, mask, weights)
    assert torch.equal(LOSSES[loss](prediction, spoilt, mask, weights), value)
    assert torch.equal(
        gradient(loss, prediction, spoilt, mask, weights), gradient(loss, prediction, target, mask, weights)
    )


@each_loss
def test_masked_predictions_have_no_influence_and_no_gradient(loss):
    prediction, target, mask, weights = example(loss)
    moved = torch.where(mask, prediction, prediction * -3 + 1)
    value = LOSSES[loss](prediction, target, mask, weights)
    assert torch.equal(LOSSES[loss](moved, target, mask, weights), value)
    found = gradient(loss, prediction, target, mask, weights)
    assert not found[~mask.expand_as(found)].any()
    assert found[mask.expand_as(found)].any() == (loss != "wrong_pixels")  # which has none, it is to judge by


@each_loss
def test_mean_runs_over_the_valid_pixels(loss):
    """The loss of an image equals the loss of its valid pixels alone, laid out in a row."""
    prediction, target, mask, weights = example(loss)
    for i in range(B):
        inside = mask[i, 0]
        alone = [part[i][:, inside][None, :, None] for part in (prediction, target, mask)]
        expected = LOSSES[loss](alone[0], alone[1], alone[2], weights)
        assert torch.allclose(LOSSES[loss](prediction, target, mask, weights)[i], expected[0])


@each_loss
def test_image_without_valid_pixel_is_zero_without_gradient(loss):
    prediction, target, mask, weights = example(loss)
    mask[1] = False
    target = torch.where(mask, target, 255)
    value, slope = LOSSES[loss](prediction, target, mask, weights), gradient(loss, prediction, target, mask, weights)
    assert value[1] == 0
    assert not slope[1].any()
    assert value.isfinite().all()
    assert slope.isfinite().all()
    assert (value[[0, 2]] > 0).all()
    assert valid_images(mask).tolist() == [True, False, True]


def test_image_whose_classes_all_weigh_nothing_is_zero():
    prediction, target, mask, _ = example("cross_entropy")
    target[1] = 0
    value = LOSSES["cross_entropy"](prediction, target, mask, torch.tensor([0.0, 1.0, 1.0], **HERE))
    assert value[1] == 0
    assert value.isfinite().all()


@each_loss
def test_zero_predictions_and_targets_are_finite(loss):
    prediction, target, mask, weights = example(loss)
    nothing = torch.zeros_like(prediction), torch.zeros_like(target), mask, weights
    assert LOSSES[loss](*nothing).isfinite().all()
    assert gradient(loss, *nothing).isfinite().all()


@each_loss
def test_images_do_not_influence_each_other(loss):
    prediction, target, mask, weights = example(loss)
    together = LOSSES[loss](prediction, target, mask, weights)
    slopes = gradient(loss, prediction, target, mask, weights)
    for i in range(B):
        one = prediction[i : i + 1], target[i : i + 1], mask[i : i + 1], weights
        assert_bits(LOSSES[loss](*one)[0], together[i])
        assert_bits(gradient(loss, *one)[0], slopes[i])


def test_unmasked_losses_match_torch():
    everywhere = torch.ones(B, 1, H, W, dtype=torch.bool, device=DEVICE)
    prediction, target, _, _ = example("l2")
    assert torch.allclose(
        LOSSES["l2"](prediction, target, everywhere, None), (prediction - target).square().sum(1).mean((1, 2))
    )
    prediction, target, _, _ = example("bce")
    per_label = F.binary_cross_entropy_with_logits(prediction, target.to(prediction), reduction="none")
    assert torch.allclose(LOSSES["bce"](prediction, target, everywhere, None), per_label.mean((1, 2, 3)))
    logits, classes, _, weights = example("cross_entropy")
    for i in range(B):
        found = LOSSES["cross_entropy"](logits, classes, everywhere, weights)[i]
        assert torch.allclose(found, F.cross_entropy(logits[i : i + 1], classes[i : i + 1, 0], weight=weights))
    prediction, target, _, _ = example("l1")
    per_pixel = F.l1_loss(prediction, target, reduction="none")
    assert torch.allclose(LOSSES["l1"](prediction, target, everywhere, None), per_pixel.mean((1, 2, 3)))
    prediction, target, _, _ = example("cosine")
    assert torch.allclose(
        LOSSES["cosine"](prediction, 7 * target, everywhere, None),
        LOSSES["cosine"](prediction, target, everywhere, None),
    )
    assert torch.allclose(LOSSES["cosine"](target, target, everywhere, None), torch.zeros(B, **HERE), atol=1e-6)
    assert torch.allclose(LOSSES["cosine"](-target, target, everywhere, None), torch.full((B,), 2.0, **HERE))


@given(st.tuples(*[st.integers(1, 70)] * 4))
def test_at_size_samples_at_the_floor(sizes):
    height, width, h, w = sizes
    labels = torch.arange(2 * height * width, device=DEVICE).reshape(2, 1, height, width)
    small = at_size(labels, (h, w))
    assert small.shape == (2, 1, h, w)
    for row, column in [(0, 0), (h // 2, w // 2), (h - 1, w - 1)]:
        assert torch.equal(small[..., row, column], labels[..., row * height // h, column * width // w])


@pytest.mark.parametrize("stride", [4, 8, 16])
def test_at_size_is_nearest_interpolation(stride):
    """At every size that a model predicts. (PyTorch's float32 ratio moves a row at odd pairs such as 62 to 14.)"""
    for side in range(16, 700):
        labels, size = torch.arange(float(side), device=DEVICE)[None, None, :, None], (-(-side // stride), 1)
        assert torch.equal(at_size(labels, size), F.interpolate(labels, size=size, mode="nearest")), side


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float32])
def test_at_size_keeps_the_type(dtype):
    labels = torch.arange(4 * 6, device=DEVICE).reshape(1, 1, 4, 6).to(dtype)
    small = at_size(labels, (2, 3))
    assert small.dtype == dtype
    assert torch.equal(small, labels[..., ::2, ::2])
    assert at_size(labels, (4, 6)) is labels


def test_masked_mean_of_nothing_is_zero():
    assert masked_mean(torch.ones(2, 3, 3, **HERE), torch.zeros(2, 3, 3, **HERE)).tolist() == [0, 0]


@pytest.mark.parametrize("ds", DATASETS)
class TestTaskLosses:
    def test_rows_are_the_tasks_and_columns_the_images(self, ds):
        golden = RGBGolden(ds)
        batch = golden.batches[0]
        everything = golden.losses(batch)(batch.input)
        for row, task in enumerate(golden.tasks):
            assert_bits(golden.losses(batch, [task])(batch.input)[0], everything[row])
        for column in range(len(batch)):
            one = rows(batch, [column])
            assert torch.allclose(golden.losses(one)(one.input)[:, 0], everything[:, column], rtol=1e-6, atol=0)

    def test_only_the_asked_tasks_are_run(self, ds):
        golden = RGBGolden(ds)
        batch, asked = golden.batches[0], []

        def forward(image, names):
            asked.append(list(names))
            return golden.forward(image, names)

        TaskLosses(forward, golden.tasks[1:2], batch.targets, batch.masks)(batch.input)
        assert asked == [[golden.tasks[1].name]]

    @pytest.mark.parametrize("times", [1, 2, 3])
    def test_repeat(self, ds, times):
        golden = RGBGolden(ds)
        batch = golden.batches[0]
        once = golden.losses(batch)(batch.input)
        several = golden.losses(batch).repeat(times)(batch.input.repeat(times, 1, 1, 1))
        assert torch.allclose(several, once.repeat(1, times), rtol=1e-6, atol=0)

    def test_of_predictions(self, ds):
        golden = RGBGolden(ds)
        batch = golden.batches[1]
        losses = golden.losses(batch)
        assert torch.equal(losses.of(golden.forward(batch.input)), losses(batch.input))


@pytest.mark.parametrize("channels", [2, 3])
def test_l1_counts_every_channel_as_its_metric_does(channels):
    random = torch.Generator().manual_seed(1)
    prediction, target = torch.randn(2, B, channels, H, W, generator=random)
    mask = torch.rand(B, 1, H, W, generator=random) > 0.4
    found = LOSSES["l1"](prediction, target, mask, None)
    expected = torch.stack(
        [(prediction - target)[i].abs().sum(0)[mask[i, 0]].mean() for i in range(B)]  # over the valid pixels
    )
    assert torch.allclose(found, expected)
    count, total = STATISTICS["l1_sums"](prediction, target, mask).T
    assert torch.allclose(found.double(), total / count)
    assert gradient("l1", prediction, target, mask, None)[mask.expand_as(target)].abs().gt(0).all()


def test_l1_of_one_channel_is_what_it_was():
    """Bit for bit the form that only knew channel 0: stored results and trained weights hang on it."""
    prediction, target, mask, _ = example("l1")

    def before(prediction: Tensor) -> Tensor:
        valid = mask[:, 0]
        error = (prediction[:, 0] - torch.where(valid, target[:, 0].to(prediction.dtype), 0)).abs()
        return masked_mean(error, valid.to(prediction.dtype))

    x = prediction.clone().requires_grad_()
    assert torch.equal(LOSSES["l1"](prediction, target, mask, None), before(prediction))
    assert torch.equal(gradient("l1", prediction, target, mask, None), torch.autograd.grad(before(x).sum(), x)[0])


def wrong_shapes() -> list[tuple[str, tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
    """(loss, shapes of prediction, target and mask) that broadcasting, or dropping channels, would take."""
    good = dict.fromkeys(OF_CLASSES, ((B, C, H, W), (B, 1, H, W))) | dict.fromkeys(OF_DIRECTIONS, ((B, 3, H, W),) * 2)
    good |= dict.fromkeys(OF_DEPTH, ((B, 1, H, W),) * 2)
    good |= dict.fromkeys(("l1", "l2", "mean_error", "root_mean_square", *OF_LABELS), ((B, 2, H, W),) * 2)
    assert good.keys() == LOSSES.keys()
    found = []
    for loss, (prediction, target) in good.items():
        mask = (B, 1, H, W)
        found += [
            (loss, prediction, (1, *target[1:]), mask),  # one target for all images
            (loss, prediction, target, (1, 1, H, W)),
            (loss, prediction, target, (B, 3, H, W)),  # a mask for each channel
            (loss, prediction, target, (B, 1, 1, 1)),
            (loss, prediction, (*target[:2], 1, W), mask),
        ]
    return [
        *found,
        ("cross_entropy", (B, C, H, W), (B, C, H, W), (B, 1, H, W)),  # one-hot
        ("cosine", (B, 3, H, W), (B, 1, H, W), (B, 1, H, W)),
        ("cosine", (B, 1, H, W), (B, 3, H, W), (B, 1, H, W)),
        ("cosine", (B, 1, H, W), (B, 1, H, W), (B, 1, H, W)),  # a sign is no direction
        ("l1", (B, 3, H, W), (B, 1, H, W), (B, 1, H, W)),
        ("l1", (B, 1, H, W), (B, 3, H, W), (B, 1, H, W)),
    ]


@pytest.mark.parametrize(("loss", "prediction", "target", "mask"), wrong_shapes())
def test_shapes_that_only_broadcasting_would_take_are_refused(loss, prediction, target, mask):
    name = getattr(LOSSES[loss], "base", LOSSES[loss]).__name__
    with pytest.raises(DataError, match=rf"{name}: .*prediction {re.escape(str(list(prediction)))}"):
        LOSSES[loss](
            torch.zeros(prediction), torch.zeros(target).long(), torch.ones(mask, dtype=torch.bool), torch.ones(C)
        )


@pytest.mark.parametrize("wrong", ["prediction", "target", "mask", "images"])
def test_wrong_shapes_name_the_task(wrong):
    task = Task("height", 1, "l1", ("keypoint_err",))
    shapes = {"prediction": [B, 1, H, W], "target": [B, 1, 2 * H, W], "mask": [B, 1, 2 * H, W]}
    shapes["mask" if wrong == "images" else wrong][0 if wrong == "images" else 1] = 2
    prediction, target, mask = (torch.ones(shape) for shape in shapes.values())
    message = r"height: prediction \[.*target \[.*mask \[.*; expected \[3, 1, h, w\], \[3, 1, H, W\] and \[3, 1, H, W"
    with pytest.raises(DataError, match=message):
        TaskLosses(lambda *_: {}, [task], {"height": target}, {"height": mask.bool()}).of({"height": prediction})
    with pytest.raises(DataError, match=message):
        measure([task], {"height": prediction}, {"height": target}, {"height": mask.bool()})


def test_shares_of_pixels_are_of_one_channel():
    """delta_1.25 over three channels would reach 300 %."""
    task = Task("depth", 3, "l1", ("delta_1.25",))
    depth, mask = torch.ones(B, 3, H, W), torch.ones(B, 1, H, W, dtype=torch.bool)
    with pytest.raises(DataError, match="depth metrics are of one channel; the prediction has 3"):
        measure([task], {"depth": depth}, {"depth": depth}, {"depth": mask})
