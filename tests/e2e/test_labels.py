"""What a row says comes from what was computed: weights name themselves, rows that differ are never alike."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from mtlbench.storage.store import Store

ROOMS = ("dataset.images=26", "dataset.resolution=32", "training.iterations=2", "training.batch_size=4")
TINY = ("+model.width=0.1",)
SCHEMAS = Path(__file__).resolve().parents[1] / "schemas"


def rows(outputs: Path, table: str = "arp") -> list[dict[str, str]]:
    with (outputs / "tables" / f"{table}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def trainings(outputs: Path) -> set[tuple[str, str]]:
    return {(row["training"], row["seed"]) for row in rows(outputs)}


@pytest.fixture(scope="module")
def robust(tmp_path_factory: pytest.TempPathFactory, run: Callable) -> Path:
    """Weights of an adversarial training with seed 3; what lies beside them says so too."""
    outputs = tmp_path_factory.mktemp("robust") / "outputs"
    done = run("train", f"outputs={outputs}", *ROOMS, *TINY, "training=adversarial", "training.attack=total", "seed=3")
    assert done.status == 0, done.err
    return next((outputs / "checkpoints").glob("*-adversarial-total-s3"))


def attack(outputs: Path, weights: Path, *more: str) -> tuple[str, ...]:
    images = ("dataset.images=26", "dataset.resolution=32")
    eps = ("attack/step=fgsm", "eps=4")
    return ("attack", f"outputs={outputs}", *images, *TINY, *eps, f"checkpoint={weights}", *more)


def without_recipe(weights: Path, path: Path) -> Path:
    """The weights alone, as another library would write them."""
    save_file(load_file(weights), path)
    return path


def test_weights_name_their_training_and_seed(call: Callable, robust: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copy(robust / "model.safetensors", tmp_path / "elsewhere.safetensors"))
    for number, weights in enumerate((robust, robust / "model.safetensors", moved)):
        done = call(*attack(tmp_path / f"{number}", weights))
        assert done.status == 0, done.err
        assert trainings(tmp_path / f"{number}") == {("adversarial-total", "3")}
        assert "training adversarial-total, seed 3" in done.out


def test_a_recipe_beside_older_weights_counts(call: Callable, robust: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(robust, tmp_path / "old"))
    without_recipe(robust / "model.safetensors", folder / "model.safetensors")
    assert call(*attack(tmp_path / "outputs", folder)).status == 0
    assert trainings(tmp_path / "outputs") == {("adversarial-total", "3")}


def test_weights_that_do_not_say_are_given(call: Callable, robust: Path, tmp_path: Path) -> None:
    bare = without_recipe(robust / "model.safetensors", tmp_path / "bare.safetensors")
    assert call(*attack(tmp_path / "outputs", bare)).status == 0
    assert trainings(tmp_path / "outputs") == {("given", "0")}
    refused = call(*attack(tmp_path / "outputs", bare, "training=adversarial"))
    assert refused.status == 2
    assert f"training: {bare} does not say how its weights were trained" in refused.err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("training=clean", "training=clean: {} holds weights of training=adversarial-total; leave the option out"),
        ("seed=1", "seed=1: {} holds weights of seed=3; leave the option out"),
        ("training.iterations=5", "training.iterations=5: {} holds weights of training.iterations=2"),
        ("training.eps=4", "training.eps=4.0: {} holds weights of training.eps=8.0"),
    ],
)
def test_a_contradiction_is_refused(call: Callable, robust: Path, tmp_path: Path, option: str, message: str) -> None:
    more = ("training=adversarial", "training.attack=total") if option == "training.eps=4" else ()
    done = call(*attack(tmp_path / "outputs", robust, *more, option))
    assert done.status == 2
    assert message.format(robust / "model.safetensors") in done.err


def test_what_agrees_is_accepted_and_changes_nothing(call: Callable, robust: Path, tmp_path: Path) -> None:
    same = ("training=adversarial", "training.attack=total", "training.iterations=2", "seed=3")
    assert call(*attack(tmp_path / "outputs", robust, *same)).status == 0
    before = Store(tmp_path / "outputs" / "store").keys()
    assert call(*attack(tmp_path / "outputs", robust)).status == 0
    assert Store(tmp_path / "outputs" / "store").keys() == before


def test_weights_from_another_dataset_say_so(call: Callable, robust: Path, tmp_path: Path) -> None:
    root = next((robust.parents[1] / "datasets").glob("rooms-*"))
    options = ("dataset=nyuv2", f"dataset.root={root}", "dataset.classes=13", "dataset.normals=decoded")
    more = ("dataset.resolution=32", *TINY, "attack/step=fgsm", "eps=4", f"checkpoint={robust}")
    done = call("attack", f"outputs={tmp_path / 'outputs'}", *options, *more)
    assert done.status == 0, done.err
    assert trainings(tmp_path / "outputs") == {("adversarial-total(rooms)", "3")}


SWEEPS = {
    "alpha": ("attack=power", "attack.alpha=0.5,1.5"),
    "step_size": ("attack/step=pgd", "attack.step.steps=2", "attack.step.size=0.5,1"),
    "loss_scale": ("attack.loss_scale={depth:2},{depth:10}", "attack/step=fgsm"),
    "dataset_seed": ("dataset.seed=0,1", "attack/step=fgsm"),
    "training_iterations": ("training.iterations=2,3", "attack/step=fgsm"),
    "precision": ("precision=fp32,bf16", "attack/step=fgsm"),
    "norm": ("attack.norm=linf,l2", "attack/step=fgsm"),
    "logits": ("attack.logits=raw,normalised", "attack/step=fgsm"),
}


@pytest.mark.parametrize("column", SWEEPS)
def test_rows_that_differ_are_never_alike(call: Callable, tmp_path: Path, column: str) -> None:
    outputs = tmp_path / "outputs"
    done = call("attack", "-m", f"outputs={outputs}", *ROOMS, *TINY, "eps=4", *SWEEPS[column])
    assert done.status == 0, done.err
    for table in ("metrics", "damage", "arp"):
        found = [tuple(v for k, v in row.items() if k != "cell") for row in rows(outputs, table)]
        assert len(set(found)) == len(found)
        assert len({row[column] for row in rows(outputs, table) if row["attack"] != "none"}) == 2
        assert all(row["cell"] for row in rows(outputs, table))
    assert column in done.out.split("ARP")[1]
    assert " / " not in done.out.split("Transferability")[0].split("\n", 2)[2]


OLD: dict[int, tuple[tuple[str, ...], ...]] = {
    2: (
        ("-m", "attack=dgba,single,weighted_total", "attack/step=pgd", "attack.step.steps=2", "eps=[4,8]"),
        ("-m", "attack=noise,saga", "eps=[4,8]"),
        ("-m", "attack=power", "attack/step=apgd", "attack.alpha=1,1.5", "attack.step.steps=2", "eps=4"),
        ("-m", "attack=total", "attack/step=mim,pgd,fgsm", "eps=4"),
        ("attack=total", "attack/step=mim_linear", "attack.step.steps=10", "eps=4"),
        ("attack=dgba", "attack/step=apgd", "attack.loss_scale={depth:10}", "attack.restarts=2", "eps=4"),
        (
            "training=adversarial_total",
            "attack/step=apgd",
            "sharing=independent",
            "seed=1",
            "training.lr=0.01",
            "eps=4",
        ),
    ),
    3: (
        ("attack=weighted_total", "attack/step=pgd", "attack.step.steps=2", "attack.grid=2", "eps=8"),
        (
            *("attack=weighted_total", "attack/step=apgd", "attack.step.steps=2", "attack.grid=1"),
            *("attack.tasks=[depth,normals]",),
            *("attack.restarts=2", "attack.loss_scale={depth:10}", "eps=4"),
        ),
    ),
}
"""Schema -> command lines whose results are stored in tests/schemas."""


@pytest.mark.usefixtures("result_version_1")
@pytest.mark.parametrize("schema", OLD)
def test_old_results_are_taken_over_and_nothing_is_computed_again(call: Callable, tmp_path: Path, schema: int) -> None:
    """A store and checkpoints as they were written at that time; the rooms are generated anew."""
    outputs = Path(shutil.copytree(SCHEMAS / str(schema), tmp_path / "outputs"))
    before = {path: path.read_bytes() for path in (outputs / "checkpoints").rglob("*") if path.is_file()}
    old = provenance(outputs)
    small = (*ROOMS, "training.save_every=1", *TINY)
    for line in OLD[schema]:
        done = call("attack", f"outputs={outputs}", *small, *line)
        assert done.status == 0, done.err
    assert provenance(outputs) == old
    assert {path: path.read_bytes() for path in (outputs / "checkpoints").rglob("*") if path.is_file()} == before


def test_results_of_another_version_are_computed_again_and_the_model_is_not(call: Callable, tmp_path: Path) -> None:
    """The old cells stay where they are, in no table; the checkpoint serves as it is."""
    outputs = Path(shutil.copytree(SCHEMAS / "3", tmp_path / "outputs"))
    before = {path: path.read_bytes() for path in outputs.rglob("*") if path.suffix in (".npz", ".safetensors")}
    small = (*ROOMS, "training.save_every=1", *TINY)
    done = call("attack", f"outputs={outputs}", *small, *OLD[3][0])
    assert done.status == 0, done.err
    assert {path: path.read_bytes() for path in before} == before
    assert len(list((outputs / "checkpoints").iterdir())) == sum(path.suffix == ".safetensors" for path in before)
    assert len(list(Store(outputs / "store").readable(lambda error: None))) == 8, "clean, six weightings, the best"
    shown = call("report", f"outputs={outputs}")
    old = sum(path.suffix == ".npz" for path in before)
    assert f"{old} cells of another result version are in no table" in shown.err


def provenance(outputs: Path) -> dict[str, object]:
    """When and where each cell was computed, among other things."""
    cells = Store(outputs / "store").readable(lambda error: pytest.fail(str(error)))
    return {cell.key: cell.provenance for cell in cells}
