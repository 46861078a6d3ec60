"""Training: killed anywhere it ends with the same bits, and what it cannot do it says."""

import logging
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from mtlbench.data.batch import Sample
from mtlbench.data.loader import shuffled
from mtlbench.engine.losses import TaskLosses
from mtlbench.engine.training import Curve, Recipe, train
from mtlbench.errors import MtlbenchError, UsageError
from mtlbench.models.model import weights_hash
from mtlbench.models.sharing import level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import TreeModel, build
from tests.fakes import FakeDataset, Trivial

CPU = torch.device("cpu")
RECIPE = Recipe(iterations=12, batch_size=3, lr=1e-2, schedule="one_cycle", seed=1)
BACKBONES = {"tiny": Tiny(0.25), "dropout": Trivial(dropout=0.5)}


class Killed(BaseException):
    pass


def fresh(backbone: str = "tiny") -> TreeModel:
    return build(BACKBONES[backbone], level(3, 2), FakeDataset().tasks, RECIPE.seed)


def run(
    model: TreeModel, state: Path, dataset: FakeDataset | None = None, recipe: Recipe = RECIPE, **options
) -> Curve:
    return train(model, dataset or FakeDataset(), recipe, CPU, state, **{"save_every": 4} | options)


def kill_after(iterations: int):
    """A progress callback in which the process dies."""

    def progress(done: int, total: int, note: str) -> None:
        if done == iterations:
            raise Killed

    return progress


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Backbone -> hash and curve of a training that nothing stopped."""
    found = {}
    for name in BACKBONES:
        model = fresh(name)
        found[name] = run(model, tmp_path_factory.mktemp("whole") / "state.pt"), weights_hash(model)
    return found


# Resuming


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("killed", [[1], [3], [4], [5], [7, 8], [11], [2, 6, 6, 10], [12]], ids=str)
def test_killed_and_resumed_is_bit_equal(tmp_path, whole, backbone, killed):
    state = tmp_path / "state.pt"
    for iteration in killed:
        with pytest.raises(Killed):
            run(fresh(backbone), state, progress=kill_after(iteration))
        torch.manual_seed(iteration)  # whatever the next process starts with
    model = fresh(backbone)
    curve = run(model, state)
    expected, weights = whole[backbone]
    assert curve == expected
    assert weights_hash(model) == weights


def test_resumed_training_does_only_what_is_left(tmp_path):
    state, done = tmp_path / "state.pt", []
    with pytest.raises(Killed):
        run(fresh(), state, progress=kill_after(10))
    dataset = FakeDataset()
    run(fresh(), state, dataset, progress=lambda i, total, note: done.append((i, total)))
    assert done == [(i, 12) for i in range(9, 13)]
    assert sum(dataset.decoded.values()) == 4 * RECIPE.batch_size


def test_how_often_the_state_is_saved_changes_nothing(tmp_path, whole):
    for every in (1, 5, 100):
        model = fresh()
        curve = run(model, tmp_path / f"{every}.pt", save_every=every)
        assert (curve, weights_hash(model)) == whole["tiny"]
    assert (tmp_path / "1.pt").exists()
    assert not (tmp_path / "100.pt").exists()


def test_dropout_is_really_on():
    """Or the bit-equality above would say nothing about it."""
    model = fresh("dropout")
    assert any(isinstance(module, nn.Dropout) and module.p == 0.5 for module in model.modules())
    image = torch.rand(1, 3, 8, 8)
    assert not torch.equal(model.train()(image)["depth"], model(image)["depth"])


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2},
        {"lr": 2e-2},
        {"batch_size": 4},
        {"weight_decay": 0.1},
        {"betas": (0.9, 0.999)},
        {"schedule": "halve"},
        {"weighting": "log"},
    ],
    ids=str,
)
def test_every_field_of_the_recipe_changes_the_weights(tmp_path, whole, change):
    recipe = replace(RECIPE, **change)
    model = fresh()
    run(model, tmp_path / "state.pt", recipe=recipe)
    assert weights_hash(model) != whole["tiny"][1]


def test_adam_is_not_in_the_identity_of_a_recipe_and_sgd_reads_no_betas():
    """Adam was there before the option: its checkpoints keep their names."""
    assert "optimiser" not in RECIPE.identity()
    plain = replace(RECIPE, optimiser="sgd").identity()
    assert plain["optimiser"] == "sgd"
    assert "betas" not in plain


def test_sgd_steps_along_the_gradient(tmp_path):
    """One step: the weights less the learning rate times the gradient of the sum of the mean losses."""
    recipe = replace(RECIPE, optimiser="sgd", iterations=1, batch_size=4, schedule="halve", weight_decay=0.0)
    model, expected = fresh(), fresh()
    run(model, tmp_path / "state.pt", FakeDataset(4), recipe)
    (batch,) = shuffled(FakeDataset(4), 4, recipe.seed, 0, 1)
    losses = TaskLosses(expected, FakeDataset().tasks, batch.targets, batch.masks, training=True)(batch.input)
    losses.mean(1).sum().backward()
    for found, before in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(found, before - recipe.lr * before.grad)


def test_equal_weighting_is_not_in_the_identity_of_a_recipe() -> None:
    """It was there before the option: its checkpoints keep their names."""
    assert "weighting" not in RECIPE.identity()
    assert replace(RECIPE, weighting="log").identity()["weighting"] == "log"


def test_log_weighting_does_not_see_the_scale_of_a_loss() -> None:
    recipe = replace(RECIPE, weighting="log")
    losses = torch.tensor([2.0, 0.5, 8.0], requires_grad=True)
    assert recipe.descended(losses).item() == pytest.approx(math.log(8))
    (relative,) = torch.autograd.grad(recipe.descended(losses), losses)
    torch.testing.assert_close(relative * losses.detach(), torch.ones(3))
    assert RECIPE.descended(losses).item() == pytest.approx(10.5)
    assert math.isfinite(recipe.descended(torch.zeros(3)).item()), "a task without a valid pixel"


def test_the_second_step_descends_the_rows_given(tmp_path: Path, whole) -> None:
    """The losses of the attacked images unless something else is: the same numbers by either way, others by others."""

    def trained(**options) -> str:
        model = fresh()
        state = tmp_path / f"{len(list(tmp_path.iterdir()))}.pt"
        run(model, state, perturb=lambda model, batch, iteration: 1 - batch.input, **options)
        return weights_hash(model)

    plain = trained()
    assert trained(rows=lambda model, losses, batch, attacked: losses(attacked)) == plain
    assert trained(rows=lambda model, losses, batch, attacked: losses(batch.input)) != plain
    assert plain != whole["tiny"][1]


def test_the_mode_that_the_model_comes_in_does_not_matter(tmp_path, whole):
    for backbone in BACKBONES:
        model = fresh(backbone).eval()
        run(model, tmp_path / f"{backbone}.pt")
        assert weights_hash(model) == whole[backbone][1]


def test_training_learns(tmp_path):
    model, recipe = fresh(), Recipe(iterations=40, batch_size=4, lr=1e-2, schedule="one_cycle")
    curve = run(model, tmp_path / "state.pt", recipe=recipe)
    first, last = (sum(map(sum, rows)) for rows in (curve.rows[:10], curve.rows[-10:]))
    assert last < 0.9 * first


# The loop


def test_adversarial_training_takes_a_clean_and_an_adversarial_step(tmp_path, whole):
    seen: list[tuple[int, tuple[int, ...]]] = []

    def perturb(model, batch, iteration):
        seen.append((iteration, tuple(batch.input.shape)))
        return (batch.input + 0.1).clamp(0, 1)

    model = fresh()
    run(model, tmp_path / "state.pt", perturb=perturb)
    assert seen == [(i, (3, 3, 24, 32)) for i in range(12)]
    assert weights_hash(model) != whole["tiny"][1]
    twice = fresh()
    run(twice, tmp_path / "twice.pt", perturb=lambda model, batch, iteration: batch.input)
    counts = [int(b) for n, b in twice.named_buffers() if n.endswith("num_batches_tracked")]
    assert set(counts) == {24}


def test_adversarial_training_resumes_bit_equal(tmp_path):
    def perturb(model, batch, iteration):
        return (batch.input + 0.01 * iteration).clamp(0, 1)

    whole, resumed = fresh("dropout"), fresh("dropout")
    run(whole, tmp_path / "whole.pt", perturb=perturb)
    with pytest.raises(Killed):
        run(fresh("dropout"), tmp_path / "state.pt", perturb=perturb, progress=kill_after(7))
    run(resumed, tmp_path / "state.pt", perturb=perturb)
    assert weights_hash(resumed) == weights_hash(whole)


def test_curve_holds_the_loss_of_each_task(tmp_path):
    curve = run(fresh(), tmp_path / "state.pt")
    assert curve.tasks == ("segmentation", "normals", "depth")
    assert len(curve.rows) == 12
    lines = curve.csv().splitlines()
    assert lines[0] == "iteration,segmentation,normals,depth"
    assert [line.split(",")[0] for line in lines[1:]] == [str(i) for i in range(12)]
    assert all(math.isfinite(float(value)) for line in lines[1:] for value in line.split(","))


def test_an_image_without_valid_pixels_does_not_stop_the_training(tmp_path):
    dataset = FakeDataset(images=4, empty=range(4))
    curve = run(fresh(), tmp_path / "state.pt", dataset)
    assert all(row[2] == 0 for row in curve.rows)


class Diverging(FakeDataset):
    """Depth targets that overflow in one image."""

    def sample(self, index: int, draw: int | None = None) -> Sample:
        sample = super().sample(index, draw)
        if index == 5:
            sample.targets["depth"].fill_(float("nan"))
        return sample


def test_divergence_is_an_error_that_names_the_task(tmp_path):
    with pytest.raises(
        MtlbenchError, match=r"training diverged: the depth loss is nan at iteration \d+; try a smaller"
    ):
        run(fresh(), tmp_path / "state.pt", Diverging())
    with pytest.raises(MtlbenchError, match="training diverged"):
        run(fresh(), tmp_path / "big.pt", recipe=Recipe(iterations=60, batch_size=3, lr=1e30))


# The state file


def interrupted(folder: Path) -> Path:
    """A state file of a training that was killed after its first save."""
    state = folder / "state.pt"
    with pytest.raises(Killed):
        run(fresh(), state, progress=kill_after(5))
    return state


def damages(content: bytes) -> dict[str, bytes]:
    return {
        "empty": b"",
        "short": content[:1000],
        "html": b"<html>",
        "pickle": b"\x80\x02}q\x00.",
        "end": content[:-30],
    }


@pytest.mark.parametrize("damage", damages(b""))
def test_damaged_state_warns_and_starts_again(tmp_path, whole, caplog, damage):
    state = interrupted(tmp_path)
    state.write_bytes(damages(state.read_bytes())[damage])
    model, done = fresh(), []
    with caplog.at_level(logging.WARNING):
        curve = run(model, state, progress=lambda i, total, note: done.append(i))
    assert "the training starts from the beginning" in caplog.text
    assert str(state) in caplog.text
    assert done[0] == 1
    assert (curve, weights_hash(model)) == whole["tiny"]


@pytest.mark.parametrize("state", [[1, 2], {}, {"version": 2}, {"version": 999, "model": {}, "rows": []}], ids=repr)
def test_state_of_something_else_warns_and_starts_again(tmp_path, whole, caplog, state):
    path = tmp_path / "state.pt"
    torch.save(state, path)
    model = fresh()
    with caplog.at_level(logging.WARNING):
        curve = run(model, path)
    assert f"{path}" in caplog.text
    assert "the training starts from the beginning" in caplog.text
    assert (curve, weights_hash(model)) == whole["tiny"]


@pytest.mark.parametrize("other", ["model", "recipe"])
def test_state_of_another_training_warns_and_starts_again(tmp_path, whole, caplog, other):
    state = tmp_path / "state.pt"
    recipe = replace(RECIPE, lr=2e-2) if other == "recipe" else RECIPE
    with pytest.raises(Killed):
        run(fresh("dropout" if other == "model" else "tiny"), state, recipe=recipe, progress=kill_after(5))
    model = fresh()
    with caplog.at_level(logging.WARNING):
        curve = run(model, state)
    assert f"{state}: of another model, recipe or version; the training starts from the beginning" in caplog.text
    assert (curve, weights_hash(model)) == whole["tiny"]


def test_code_in_a_state_file_never_runs(tmp_path, caplog):
    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "canary",)

    torch.save({"version": 1, "rows": Bomb()}, tmp_path / "state.pt")
    run(fresh(), tmp_path / "state.pt")
    assert "the training starts from the beginning" in caplog.text
    assert not (tmp_path / "canary").exists()


# The recipe


@pytest.mark.parametrize("iterations", [1, 2, 3, 10, 1000])
def test_one_cycle_rises_then_falls(iterations):
    recipe = Recipe(iterations=iterations, batch_size=1, lr=0.5, schedule="one_cycle")
    rates = [recipe.rate(i) for i in range(iterations)]
    assert all(0 <= rate <= 0.5 for rate in rates)
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] > 0, "the last step must not be wasted"
    if iterations >= 10:
        assert rates[-1] < 0.05 * max(rates)
        assert (peak + 0.5) / iterations == pytest.approx(0.3, abs=0.06)
        assert max(rates) == pytest.approx(0.5, rel=0.05)
        assert 0.04 * 0.5 <= rates[0] < 0.5
    if iterations == 1000:
        assert rates[0] == pytest.approx(0.02, rel=1e-2)
        assert rates[649] == pytest.approx(0.25, rel=1e-2)  # half-way down


def test_halving():
    recipe = Recipe(iterations=20_000, batch_size=16, lr=1e-3, halve_every=4000)
    assert [recipe.rate(i) for i in (0, 3999, 4000, 7999, 8000, 19_999)] == [1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4, 6.25e-5]


@pytest.mark.parametrize("schedule", ["halve", "one_cycle"])
def test_the_rate_is_what_the_optimiser_uses(tmp_path, monkeypatch, schedule):
    recipe = Recipe(iterations=5, batch_size=2, lr=1e-3, schedule=schedule, halve_every=2)
    used = []
    step = torch.optim.Adam.step
    monkeypatch.setattr(
        torch.optim.Adam, "step", lambda self: (used.append(self.param_groups[0]["lr"]), step(self))[1]
    )
    run(fresh(), tmp_path / "state.pt", recipe=recipe)
    assert used == [recipe.rate(i) for i in range(5)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"iterations": 0}, r"training\.iterations=0: expected a whole number of at least 1"),
        ({"iterations": 2.5}, r"training\.iterations=2\.5: expected a whole number"),
        ({"iterations": True}, r"training\.iterations=True: expected a whole number"),
        ({"iterations": "10"}, r"training\.iterations=10: expected a whole number"),
        ({"iterations": None}, r"training\.iterations=null: expected a whole number"),
        ({"batch_size": -1}, r"training\.batch_size=-1: expected a whole number"),
        ({"halve_every": 0}, r"training\.halve_every=0: expected a whole number"),
        ({"schedule": "cosine"}, r"training\.schedule=cosine: expected one_cycle or halve"),
        ({"lr": 0}, r"training\.lr=0: expected a positive number"),
        ({"lr": -1e-3}, r"training\.lr=-0\.001: expected a positive number"),
        ({"lr": float("nan")}, r"training\.lr=nan: expected a positive number"),
        ({"lr": float("inf")}, r"training\.lr=inf: expected a positive number"),
        ({"lr": "1e-3"}, r"training\.lr=1e-3: expected a positive number"),
        ({"weight_decay": -1}, r"training\.weight_decay=-1: expected a number of at least 0"),
        ({"weight_decay": None}, r"training\.weight_decay=None: expected a number of at least 0"),
        ({"betas": (0.5,)}, r"training\.betas=\(0\.5,\): expected two numbers"),
        ({"betas": (0.5, 1.0)}, r"training\.betas=\(0\.5, 1\.0\): expected two numbers"),
        ({"betas": (-0.1, 0.9)}, r"training\.betas=\(-0\.1, 0\.9\): expected two numbers"),
    ],
)  # fmt: skip
def test_wrong_options_are_named(change, message):
    with pytest.raises(UsageError, match=message):
        Recipe(**{"iterations": 10, "batch_size": 2, "lr": 1e-3, **change})
