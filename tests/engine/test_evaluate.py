"""One pass: the batch size changes nothing, radius 0 is the clean cell, and every image is decoded once."""

import copy

import numpy as np
import pytest
import torch

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import DGBA, Single, Total, WeightedTotal
from mtlbench.attacks.steps import APGD, FGSM, PGD, Noise
from mtlbench.data.loader import in_order
from mtlbench.engine import precision
from mtlbench.engine.evaluate import Pass, evaluate, frozen
from mtlbench.engine.losses import TaskLosses
from mtlbench.engine.plan import Plan
from mtlbench.metrics import statistics_of, values
from mtlbench.models.model import weights_hash
from mtlbench.models.sharing import level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import TreeModel, build
from tests.device import DEVICE, HERE, ON_CPU
from tests.fakes import FakeDataset

IMAGES = 7
TASKS = FakeDataset().tasks
DEPTH_ONLY = TASKS[2:]
ATTACKS = {
    "fgsm": Attack(DGBA(), FGSM(), TASKS),
    "pgd": Attack(DGBA(), PGD(3), TASKS),
    "total": Attack(Total(), PGD(3), TASKS),
    "single": Attack(Single(), PGD(3), DEPTH_ONLY),
    "random": Attack(DGBA(), PGD(2), TASKS, random_start=True),
    "weighted": Attack(WeightedTotal(1), APGD(2), TASKS),
    "noise": Attack(Total(), Noise(), TASKS),
}
CELLS = [Plan("clean", None, 0.0), *(Plan(name, attack, 8.0) for name, attack in ATTACKS.items())]
ALTERNATIVES = tuple(Plan(f"part {i}", part, 8.0) for i, part in enumerate(ATTACKS["weighted"].alternatives))
SEARCH = Plan("search", ATTACKS["weighted"], 8.0, alternatives=ALTERNATIVES)
Arrays = dict[str, np.ndarray]

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def model() -> TreeModel:
    """Batch normalisation set as after some training, or predictions would hardly depend on the image."""
    built = build(Tiny(0.25), level(3, 2), TASKS, seed=0).to(**HERE)
    with torch.no_grad():
        for batch in in_order(FakeDataset(20), 10):
            built.train()(batch.to(DEVICE).input)
    return built.eval()


def run(model: TreeModel, batch_size: int = 7, cells=CELLS, seed: int = 0, dataset=None) -> dict[str, Arrays]:
    dataset = dataset or FakeDataset(IMAGES, empty=[4])
    records = evaluate(Pass(model, TASKS, cells, seed), in_order(dataset, batch_size), DEVICE, len(dataset))
    return {key: record.arrays() for key, record in records.items()}


@pytest.fixture(scope="module")
def whole(model) -> dict[str, Arrays]:
    return run(model)


STATISTICS = {f"{task.name}/{statistic}" for task in TASKS for statistic in statistics_of(task)}
CLEAN_ONLY = {"gradient", "gradient_zero", "gradient_nonfinite", "saturated"}
CHECKS = {"rise", "outside", "l2", "psnr", "ssim", "training_mode"}


def assert_same(found: Arrays, expected: Arrays) -> None:
    """Bit for bit on a CPU; other devices may add up in another order from run to run."""
    assert found.keys() == expected.keys()
    for name, array in found.items():
        assert array.dtype == expected[name].dtype, name
        if ON_CPU:
            assert np.array_equal(array, expected[name]), name
        else:
            np.testing.assert_allclose(array, expected[name], rtol=1e-3, atol=1e-5, err_msg=name)


def statistics(arrays: Arrays) -> Arrays:
    return {name: arrays[name] for name in STATISTICS}


def test_batch_size_changes_nothing(model):
    """In double precision, where the rounding of a convolution is too small to reach any statistic."""
    precise = copy.deepcopy(model).double()
    dataset = FakeDataset(IMAGES, empty=[4], dtype=torch.float64)
    whole, *others = (run(precise, size, dataset=dataset) for size in (IMAGES, 1, 3))
    for found in others:
        for cell in CELLS:
            assert_same(statistics(found[cell.key]), statistics(whole[cell.key]))
            for name, array in found[cell.key].items():
                np.testing.assert_allclose(array, whole[cell.key][name], rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_batch_size_changes_only_rounding(model, whole, batch_size):
    """In single precision convolutions round by batch size: pixels on an edge may change their bin, no more."""
    found = run(model, batch_size)
    everything = np.ones((1, IMAGES))
    for cell in CELLS:
        ours, expected = found[cell.key], whole[cell.key]
        for name, array in statistics(ours).items():
            difference, most = array - expected[name], 1e-3
            if name.endswith("fine"):  # bins of 1/512 degree: how many pixels move how far
                difference, most = difference.cumsum(), 1e-2
            assert np.abs(difference).sum() <= most * np.abs(expected[name]).sum(), name
        for name in ours.keys() - STATISTICS:
            if not name.endswith("fine"):
                np.testing.assert_allclose(ours[name], expected[name], rtol=1e-3, atol=1e-5, err_msg=name)
        numbers, others = (values(TASKS, arrays, everything, "standard") for arrays in (ours, expected))
        for metric, value in numbers.items():
            assert value == pytest.approx(others[metric], rel=1e-3), metric


def test_other_cells_in_the_pass_change_nothing(model, whole):
    for cell in CELLS:
        assert_same(run(model, cells=[cell])[cell.key], whole[cell.key])
    backwards = run(model, cells=CELLS[::-1])
    for cell in CELLS:
        assert_same(backwards[cell.key], whole[cell.key])


def test_form_of_the_record(whole):
    assert whole["clean"].keys() == STATISTICS | CLEAN_ONLY | {"losses"}
    assert whole["pgd"].keys() == STATISTICS | CHECKS | {"losses"}
    assert whole["weighted"].keys() == STATISTICS | CHECKS | {"losses"}
    for arrays in whole.values():
        assert arrays["losses"].shape == (IMAGES, len(TASKS))
        for name, array in arrays.items():
            if not name.endswith("fine"):  # summed over the images
                assert len(array) == IMAGES, name
            if name == "psnr":
                assert np.array_equal(np.isinf(array), arrays["l2"] == 0)
                assert not np.isnan(array).any()
            else:
                assert np.isfinite(array).all(), name
    assert (whole["clean"]["losses"][4] > 0).tolist() == [True, True, False], "no valid depth pixel in image 4"
    assert (whole["clean"]["gradient"] > 0).tolist() == (whole["clean"]["losses"] > 0).tolist()
    assert whole["clean"]["gradient_zero"][4].tolist()[2] == 1


@pytest.mark.parametrize("in_pass", [(0, 1, 2), (2, 0), ()], ids=["all", "some", "none"])
def test_a_cell_chooses_from_its_alternatives(model, whole, monkeypatch, in_pass):
    """As if it attacked by itself; every part is attacked once a batch, in the pass or not."""
    attacked, real = [], Pass.attacked

    def counting(work, batch, cell, alternatives):
        attacked.extend([] if alternatives else [cell.key])
        return real(work, batch, cell, alternatives)

    monkeypatch.setattr(Pass, "attacked", counting)
    cells = [*(ALTERNATIVES[i] for i in in_pass), SEARCH]
    found = evaluate(Pass(model, TASKS, cells, 0), in_order(FakeDataset(IMAGES, empty=[4]), 4), DEVICE, IMAGES)
    assert sorted(attacked) == sorted(2 * [part.key for part in ALTERNATIVES])
    assert found["search"].cost_per_image["gradients_per_image"] == 6
    assert [found[ALTERNATIVES[i].key].cost_per_image["gradients_per_image"] for i in in_pass] == [2] * len(in_pass)
    np.testing.assert_allclose(found["search"].arrays()["losses"], whole["weighted"]["losses"], rtol=1e-3, atol=1e-5)


def test_alternatives_in_the_pass_change_nothing(model, whole):
    found = run(model, cells=[*ALTERNATIVES, SEARCH])
    assert_same(found["search"], whole["weighted"])
    for part in ALTERNATIVES:
        assert_same(found[part.key], run(model, cells=[part])[part.key])


def test_a_part_that_fails_fails_what_chooses_from_it(model, monkeypatch):
    real = Pass.attacked

    def attacked(work, batch, cell, alternatives):
        if cell.key == "part 1":
            raise ValueError(cell.key)
        return real(work, batch, cell, alternatives)

    monkeypatch.setattr(Pass, "attacked", attacked)
    failed: list[tuple[str, str]] = []
    data, work = in_order(FakeDataset(IMAGES), IMAGES), Pass(model, TASKS, [*ALTERNATIVES, SEARCH], 0)
    records = evaluate(work, data, DEVICE, IMAGES, on_failure=lambda key, error: failed.append((key, str(error))))
    assert failed == [("part 1", "part 1"), ("search", "part 1")]
    done = {key: record.done for key, record in records.items()}
    assert done == {"part 0": IMAGES, "part 1": 0, "part 2": IMAGES, "search": 0}


@pytest.mark.parametrize("attack", ATTACKS)
def test_radius_zero_is_the_clean_cell(model, whole, attack):
    found = run(model, cells=[Plan("zero", ATTACKS[attack], 0.0)])["zero"]
    assert_same(statistics(found), statistics(whole["clean"]))
    assert_same({"losses": found["losses"]}, {"losses": whole["clean"]["losses"]})
    for name in ("rise", "outside", "l2", "training_mode"):
        assert not found[name].any(), name
    assert (found["ssim"] == 1).all()
    assert np.isinf(found["psnr"]).all()


def test_checks_of_the_attacked_images(whole):
    valid = np.arange(IMAGES) != 4
    for name in ATTACKS:
        checks = whole[name]
        assert (checks["outside"] <= 1e-4).all()
        assert not checks["training_mode"].any()
        moved = valid if name == "single" else np.full(IMAGES, True)  # nothing to climb without valid pixels
        if name != "noise":
            assert (checks["rise"][moved] > 0).all()
        assert (checks["l2"][moved] > 2).all()
        assert (checks["l2"] <= 8.001).all()
        assert checks["psnr"][moved] == pytest.approx(20 * np.log10(255 / checks["l2"][moved]))
        assert ((checks["ssim"][moved] > 0.3) & (checks["ssim"][moved] < 1)).all()
        assert (checks["l2"][~moved] == 0).all()


class NaNModel(TreeModel):
    """Its depth is NaN on dark images."""

    def forward(self, image, tasks=None):
        found = super().forward(image, tasks)
        bad = torch.where(image.mean((1, 2, 3), keepdim=True) < 0.5, torch.nan, 0.0)
        return found | ({"depth": found["depth"] + bad} if "depth" in found else {})


def test_a_prediction_that_is_no_number_stays_visible(model):
    broken = copy.deepcopy(model)
    broken.__class__ = NaNModel
    arrays = run(broken)["pgd"]
    assert np.isnan(arrays["losses"][:, 2]).any()
    assert not (arrays["rise"] > 0)[np.isnan(arrays["losses"][:, 2])].any()


def test_a_batch_that_does_not_fit_is_halved(model, whole):
    class Full(TreeModel):
        def forward(self, image, tasks=None):
            if len(image) > 2:
                raise torch.OutOfMemoryError
            return super().forward(image, tasks)

    small = copy.deepcopy(model).double()
    dataset = FakeDataset(IMAGES, empty=[4], dtype=torch.float64)
    cells = [*(cell for cell in CELLS if cell.key != "weighted"), *ALTERNATIVES, SEARCH]
    expected = run(small, dataset=dataset, cells=cells)
    small.__class__ = Full
    for key, arrays in run(small, dataset=dataset, cells=cells).items():
        for name, array in arrays.items():
            np.testing.assert_allclose(array, expected[key][name], rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("numbers", ["fp32", "tf32", "bf16"])
def test_attacks_climb_inside_the_ball_in_every_precision(model, numbers):
    single = copy.deepcopy(model).float()
    dataset = FakeDataset(IMAGES, dtype=torch.float32)
    cells = [cell for cell in CELLS if cell.key in ("fgsm", "pgd", "total", "single")]
    with precision.computing_in(numbers, single):
        found = run(single, cells=cells, dataset=dataset)
    for key, arrays in found.items():
        assert arrays["outside"].max() < 1e-3, key
        assert (arrays["rise"] > 0).all(), key


def test_each_image_is_decoded_once(model):
    dataset = FakeDataset(IMAGES)
    run(model, batch_size=3, dataset=dataset)
    assert dataset.decoded == dict.fromkeys(range(IMAGES), 1)


def test_rows_are_in_the_order_of_the_dataset(model, whole):
    dataset = FakeDataset(IMAGES, empty=[4])
    for i, batch in enumerate(in_order(dataset, 1)):
        with torch.no_grad():
            batch = batch.to(DEVICE)
            losses = TaskLosses(model, TASKS, batch.targets, batch.masks)(batch.input)[:, 0].cpu()
        assert whole["clean"]["losses"][i] == pytest.approx(losses.numpy(), rel=1e-5, abs=1e-7)


def test_noise_depends_on_the_seed_only(model, whole):
    cells = [cell for cell in CELLS if cell.key in ("noise", "random", "pgd")]
    torch.manual_seed(5)
    assert_same(run(model, cells=cells)["noise"], whole["noise"])
    other = run(model, cells=cells, seed=1)
    assert not np.array_equal(other["noise"]["losses"], whole["noise"]["losses"])
    assert not np.array_equal(other["random"]["losses"], whole["random"]["losses"])
    assert_same(other["pgd"], whole["pgd"])


def test_attacks_hurt_what_they_climb(whole):
    clean = whole["clean"]["losses"]
    valid = np.arange(IMAGES) != 4
    assert (whole["total"]["losses"].sum(1) > clean.sum(1)).all()
    assert (np.log(whole["pgd"]["losses"][valid]).sum(1) > np.log(clean[valid]).sum(1)).all()
    assert (np.log(whole["pgd"]["losses"][valid]).sum(1) > np.log(whole["noise"]["losses"][valid]).sum(1)).all()
    assert (whole["single"]["losses"][valid, 2] > clean[valid, 2]).all()
    assert whole["single"]["losses"][4, 2] == clean[4, 2] == 0


def test_progress_counts_images(model):
    told = []
    loader = in_order(FakeDataset(5), 2)
    evaluate(Pass(model, TASKS, CELLS[:2], 0), loader, DEVICE, 5, lambda done, total, note: told.append((done, total)))
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_model_is_left_as_it_was(model):
    before = weights_hash(model)
    model.train().requires_grad_(True)
    try:
        run(model, batch_size=3)
        assert model.training
        assert all(p.requires_grad and p.grad is None for p in model.parameters())
        next(model.parameters()).requires_grad_(False)
        with frozen(model):
            assert not any(module.training for module in model.modules())
            assert not any(p.requires_grad for p in model.parameters())
        assert [p.requires_grad for p in model.parameters()].count(False) == 1
    finally:
        model.eval().requires_grad_(True)
    assert weights_hash(model) == before


def test_model_is_restored_after_an_error(model):
    model.requires_grad_(True).train()
    with pytest.raises(KeyError), frozen(model):
        raise KeyError
    assert model.training
    assert all(p.requires_grad for p in model.parameters())
    model.eval()


def test_training_mode_does_not_matter(model, whole):
    model.train()
    try:
        assert_same(run(model, cells=CELLS[:1])["clean"], whole["clean"])
    finally:
        model.eval()


def test_no_cells_is_no_work(model):
    assert run(model, cells=[]) == {}


def test_normalised_logits_climb_another_loss_and_keep_the_raw_ones(model):
    """`rise` is of the losses that are climbed; what is stored of the losses is comparable between cells."""
    louder = copy.deepcopy(model)
    with torch.no_grad():
        last = list(louder.heads["segmentation"].parameters())[-2:]
        for parameter in last:
            parameter.mul_(64)  # a power of two: nothing rounds otherwise
    cells = [Plan("one", Attack(Total(), PGD(2), TASKS[:1], logits="normalised"), 8.0)]
    found = {name: run(net, cells=cells)["one"] for name, net in (("quiet", model), ("loud", louder))}
    assert (found["quiet"]["rise"] > 0).all()
    for name in ("rise", "l2", "segmentation/class_counts"):
        assert np.array_equal(found["quiet"][name], found["loud"][name]), name
    assert found["loud"]["losses"][:, 0].mean() > 10 * found["quiet"]["losses"][:, 0].mean()
