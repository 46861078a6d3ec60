"""What names a result: public names and normalised values. Nothing of how a class is imported or an option typed."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import Objective, Power, SmoothARP, Total
from mtlbench.attacks.objectives.dgba import DGBA
from mtlbench.attacks.steps import FGSM, Step
from mtlbench.config.attack import build_attacks, build_objective_and_step, epsilon_list
from mtlbench.config.build import build, identity_of
from mtlbench.config.training import build_adversary
from mtlbench.engine.plan import Plan
from mtlbench.engine.training import Recipe
from mtlbench.errors import DamagedCellError, UsageError
from mtlbench.experiment.cells import attack_identity, plans, with_public_names
from mtlbench.identity import Identified
from mtlbench.metrics import PixelMean
from mtlbench.models.backbone import Backbone
from mtlbench.storage import legacy
from mtlbench.storage.checkpoints import RECIPE, WEIGHTS, find, read_recipe
from mtlbench.storage.store import DIGITS, OLD_DIGITS, Cell, Store, content_key
from mtlbench.tasks import Task, regression, three_tasks

OBJECTIVES, STEPS = "mtlbench.attacks.objectives", "mtlbench.attacks.steps"
SCHEMA_2 = Path(__file__).parents[1] / "schemas" / "2"
FILES = sorted((SCHEMA_2 / "store").glob("*.npz"))
SCHEMA_3 = Path(__file__).parents[1] / "schemas" / "3"
SEARCHES = {"e805e1e62086474e9af68407": 6, "d86189c1e4705d386e66bc97": 2}
"""Cells of weighted_total as schema 3 held them -> how many weightings are in them."""

pytestmark = pytest.mark.usefixtures("result_version_1")


def identity(target: str, kind: type = Identified, **options: Any) -> dict[str, Any]:
    built: Identified = build({"_target_": target, **options}, kind=kind)
    return built.identity()


def old_header(path: Path) -> dict[str, Any]:
    with np.load(path) as archive:
        found: dict[str, Any] = json.loads(archive["header"].tobytes())
        return found


# One part, one identity


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((f"{OBJECTIVES}.DGBA", {}), (f"{OBJECTIVES}.dgba.DGBA", {})),
        ((f"{OBJECTIVES}.Power", {"alpha": 1}), (f"{OBJECTIVES}.power.Power", {"alpha": 1.0})),
        ((f"{OBJECTIVES}.Power", {"alpha": 1.0}), (f"{OBJECTIVES}.Power", {})),
        ((f"{STEPS}.PGD", {"steps": 10}), (f"{STEPS}.pgd.PGD", {"size": None})),
        ((f"{STEPS}.PGD", {"steps": 4, "size": 0.25}), (f"{STEPS}.PGD", {"steps": 4})),
        ((f"{STEPS}.APGD", {"size": 2}), (f"{STEPS}.APGD", {})),
        ((f"{STEPS}.MIM", {"momentum": 1}), (f"{STEPS}.MIM", {})),
        ((f"{STEPS}.ReferenceAPGD", {"clean": None}), (f"{STEPS}.ReferenceAPGD", {})),
        (("mtlbench.models.tiny.Tiny", {"width": 1}), ("mtlbench.models.tiny.Tiny", {})),
        (
            ("mtlbench.models.deeplab_resnet34.DeepLabResNet34", {"pretrained": False}),
            ("mtlbench.models.deeplab_resnet34.DeepLabResNet34", {}),
        ),
    ],
    ids=lambda node: f"{node[0]} {node[1]}",
)
def test_how_it_is_written_changes_nothing(one: tuple[str, dict], other: tuple[str, dict]) -> None:
    assert identity(one[0], **one[1]) == identity(other[0], **other[1])


@pytest.mark.parametrize(
    ("target", "options"),
    [
        (f"{OBJECTIVES}.Power", {"alpha": 1.5}),
        (f"{OBJECTIVES}.WeightedTotal", {"grid": 2}),
        (f"{STEPS}.PGD", {"steps": 11}),
        (f"{STEPS}.PGD", {"size": 0.5}),
        (f"{STEPS}.MIM", {"momentum": 0.5}),
        (f"{STEPS}.SAGA", {"fit": 2.0}),
        (f"{STEPS}.ReferenceAPGD", {"clean": [1.0, 2.0, 3.0]}),
        ("mtlbench.models.tiny.Tiny", {"width": 0.5}),
    ],
)
def test_what_changes_a_result_changes_the_identity(target: str, options: dict[str, Any]) -> None:
    assert identity(target, **options) != identity(target)


def test_nothing_of_python_is_in_a_key() -> None:
    kinds: tuple[type[Identified], ...] = (Objective, Step, Backbone)
    for kind in kinds:
        subclasses = [kind]
        for one in subclasses:
            subclasses += one.__subclasses__()
        for one in subclasses[1:]:
            if one.__module__.startswith("mtlbench.") and one.__name__ not in (
                "Potential",
                "Weighted",
                "OneOfSEA",
                "Scaled",
            ):
                text = json.dumps(one(**({"D": 4} if "D" in signature(one).parameters else {})).identity())
                assert "mtlbench" not in text and one.__name__ not in text


def test_every_option_of_a_constructor_is_in_the_identity() -> None:
    assert Power(2).options() == {"alpha": 2.0}
    assert build({"_target_": f"{STEPS}.SAGA"}).options() == {"steps": 10, "size": 0.1, "rate": 0.5, "fit": 1.0}


class Careless(DGBA):
    """Has no name of its own."""


class Newer(Total):
    """Computes something else than it did."""

    name, version = "newer", 2


def test_a_subclass_without_a_name_is_not_its_parent() -> None:
    assert Careless().identity() == {"name": "Careless"}
    assert Newer().identity() == {"name": "newer", "version": 2}


def test_a_plugin_must_not_take_the_name_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from mtlbench.attacks.objectives import Total\n\n\nclass Mine(Total):\n    name = '{}'\n"
    for module, name in (("taking", "dgba"), ("sound", "mine")):
        (tmp_path / f"{module}_plugin.py").write_text(code.format(name))
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match=r"taking_plugin\.Mine: its name 'dgba' is that of mtlbench's own DGBA"):
        build({"_target_": "taking_plugin.Mine"}, ["taking_plugin"], kind=Objective)
    assert build({"_target_": "sound_plugin.Mine"}, ["sound_plugin"], kind=Objective).identity() == {"name": "mine"}
    old = {"name": "sound_plugin.Mine", "loss_scale": {"depth": 10.0}}
    assert identity_of(old, ["sound_plugin"]) == {"name": "mine", "loss_scale": {"depth": 10.0}}
    assert identity_of(old, []) == old


def planned(kind: str, **options: Any) -> list[Plan]:
    """The cells of an attack with some options: the clean one, then one for each target."""
    attack = {
        "name": kind.lower(),
        "objective": {"_target_": f"{OBJECTIVES}.{kind}"},
        "step": {"_target_": f"{STEPS}.FGSM"},
        "tasks": None,
        "random_start": False,
        "restarts": 1,
        **options,
    }
    config = {"attack": attack, "plugins": []}
    attacks = build_attacks(config, build_objective_and_step(config), three_tasks())
    return plans(config, {}, attacks, [4.0])


def single_keys(**options: Any) -> dict[str, str]:
    """Target -> key of `single`."""
    return {plan.identity["target"]: plan.key for plan in planned("Single", **options)}


def test_factors_of_other_tasks_and_of_one_change_nothing() -> None:
    plain, scaled = single_keys(), single_keys(loss_scale={"depth": 10, "normals": 1})
    assert {target for target in plain if plain[target] != scaled[target]} == {"depth"}
    assert single_keys(loss_scale={"depth": 10.0}) == scaled


def test_raw_logits_are_what_was_before_there_was_a_choice() -> None:
    plain, normalised = single_keys(), single_keys(logits="normalised")
    assert single_keys(logits="raw") == plain
    assert {target for target in plain if plain[target] != normalised[target]} >= {"segmentation"}
    assert plain["all"] == normalised["all"], "the clean cell"
    with pytest.raises(UsageError, match=r"attack\.logits=half: expected raw or normalised"):
        single_keys(logits="half")


def key_of(kind: str, **options: Any) -> str:
    """Key of an attack on all tasks."""
    return planned(kind, **options)[1].key


def test_the_losses_that_an_attack_climbs_are_in_its_key() -> None:
    masked = key_of("DGBA", loss={"segmentation": "masked_ce"})
    assert len({key_of("DGBA"), masked, key_of("DGBA", loss={"segmentation": "js"})}) == 3
    assert key_of("DGBA", loss=None, metrics=None, clean_values="test") == key_of("DGBA")
    assert key_of("DGBA", metrics={"segmentation": ["miou"]}) == key_of("DGBA"), "it climbs no metrics"


def test_the_metrics_that_an_attack_climbs_are_in_its_key() -> None:
    """Also where a task is scored by others: two sets, two attacks."""
    plain, miou = key_of("SmoothARP"), key_of("SmoothARP", metrics={"segmentation": ["miou"]})
    assert plain != miou
    assert key_of("SmoothARP", metrics={"segmentation": ["miou", "pixel_accuracy"]}) == plain
    assert key_of("SmoothARP", loss={"segmentation": "js"}) == plain, "it climbs no losses"
    assert key_of("SmoothARP", clean_values="train") != plain
    attack = Attack(SmoothARP(), FGSM(), three_tasks()[1:2])
    angles = ["angle_mean", "angle_median", "within_11.25", "within_22.5", "within_30"]
    assert attack_identity("smooth_arp", "all", attack)["objective"] == {
        "name": "smooth_arp",
        "metrics": {"normals": angles},
    }
    images = {"split": "train", "n_images": 192, "fingerprint": "f"}
    trained = attack_identity("smooth_arp", "all", replace(attack, clean_values="train"), images)
    assert trained["objective"]["clean_values"] == images


def test_what_stands_in_for_a_metric_is_in_the_key() -> None:
    """Results from when the loss stood in for it are of another attack."""
    tasks = (Task("slots", 5, "cross_entropy", ("span_f1", "token_accuracy")),)
    climbed = attack_identity("smooth_arp", "all", Attack(SmoothARP(), FGSM(), tasks))["objective"]["metrics"]
    assert climbed == {"slots": [{"name": "span_f1", "stand_in": "one_minus_p"}, "token_accuracy"]}


def own_level(prediction: Any, target: Any, mask: Any, class_weights: Any) -> Any:
    return prediction.flatten(1).sum(1)


def test_the_level_of_a_users_metric_is_in_the_key() -> None:
    own = PixelMean("own", "1", False, statistic="error_sums", total="abs", smooth=own_level)
    attack = Attack(SmoothARP(), FGSM(), (regression(metrics=("mae", own)),))
    level = {"name": "own", "smooth": f"{__name__}:own_level"}
    assert attack_identity("a", "all", attack)["objective"]["metrics"] == {"regression": ["mae", level]}


WRONG_LOSSES: dict[str, tuple[dict[str, Any], str]] = {
    "no mapping": ({"loss": "masked_ce"}, r"attack\.loss=masked_ce: expected a loss for a task"),
    "no task": ({"loss": {"seg": "js"}}, r"attack\.loss\.seg: no such task; the attacked ones are segmentation"),
    "no loss": ({"loss": {"segmentation": "maskd_ce"}}, r"attack\.loss\.segmentation=maskd_ce: .*mean masked_ce\?"),
    "no text": ({"loss": {"segmentation": 3}}, r"attack\.loss\.segmentation=3: expected"),
    "another kind": ({"loss": {"normals": "js"}}, r"attack\.loss\.normals=js: a loss of classes; normals has direct"),
    "values of classes": ({"loss": {"segmentation": "l1"}}, r"loss\.segmentation=l1: a loss of values"),
    "no images": ({"clean_values": "all"}, r"attack\.clean_values=all: expected test or train"),
}


@pytest.mark.parametrize("case", WRONG_LOSSES)
def test_wrong_losses_and_images_are_named(case: str) -> None:
    options, message = WRONG_LOSSES[case]
    with pytest.raises(UsageError, match=message):
        key_of("DGBA", **options)


@pytest.mark.parametrize("metrics", [{"segmentation": ["iou"]}, {"seg": ["miou"]}, "miou", {"segmentation": "miou"}])
def test_wrong_metrics_are_named(metrics: Any) -> None:
    with pytest.raises(UsageError, match=r"attack\.metrics.*expected"):
        key_of("SmoothARP", metrics=metrics)


# Old identities


VARIANTS: dict[str, list[dict[str, Any]]] = {
    "Power": [{}, {"alpha": 1}, {"alpha": 0.5}],
    "WeightedTotal": [{}, {"grid": 2}],
    "APGD": [{}, {"steps": 5}, {"size": 1}],
    "PGD": [{}, {"steps": 3}, {"size": 1}, {"size": 0.5, "steps": 7}],
    "MIM": [{}, {"momentum": 1, "steps": 3}],
    "MIMLinear": [{"steps": 10}, {"steps": 10, "size": 1}],  # left out, they were 10 then and are 20 now
    "SAGA": [{}, {"rate": 1, "size": 0.3}],
    "ReferenceAPGD": [{}, {"clean": [1.0, 2.0]}],
    "Tiny": [{}, {"width": 1}, {"width": 0.5}],
    "DeepLabResNet34": [{}, {"pretrained": False}],
}
MODULES = {
    "Tiny": "mtlbench.models.tiny",
    "DeepLabResNet34": "mtlbench.models.deeplab_resnet34",
    "MobileNetV2": "mtlbench.models.mobilenet_v2",
}


@pytest.mark.parametrize("kind", legacy.CLASSES)
def test_the_old_form_gives_the_identity_of_today(kind: str) -> None:
    """Until a constructor changes: then this test keeps the defaults that it had."""
    from mtlbench.attacks import objectives

    module = MODULES.get(kind, OBJECTIVES if hasattr(objectives, kind) else STEPS)
    for options in VARIANTS.get(kind, [{}]):
        node = {"_target_": f"{module}.{kind}", **options}
        today = identity(node["_target_"], **options)
        assert today.pop("version", 1) == {"DeepLabResNet34": 2}.get(kind, 1)
        assert legacy._named(node) == today


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_cell_of_schema_2(file: Path) -> None:
    """Files as the code of schema 2 wrote them."""
    header = old_header(file)
    assert (header["schema"], len(file.stem)) == (2, OLD_DIGITS)
    found = Store(file.parent).load(file.stem)
    assert len(found.key) == DIGITS
    assert "_target_" not in json.dumps(found.identity)
    same = {k: v for k, v in header["identity"].items() if k not in ("objective", "step_options", "starts")}
    assert {name: found.identity[name] for name in same} == same
    assert found.provenance["recipe"]["training"]["name"] == found.identity["training"]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy of an outputs folder of schema 2."""
    return Path(shutil.copytree(SCHEMA_2, tmp_path / "outputs"))


def refuse(error: Exception) -> None:
    raise error


def arrays(cells: list[Cell]) -> dict[str, dict[str, bytes]]:
    return {cell.key: {name: array.tobytes() for name, array in cell.arrays.items()} for cell in cells}


def test_an_old_store_is_read_and_taken_over_whole(old: Path) -> None:
    store = Store(old / "store")
    before = list(store.readable(refuse))
    weightings = 2 * 10
    assert len(before) == len(FILES) - 1 + weightings, "alpha 1 and 1.0 were two cells, and are one"
    assert store.adopt() == len(before)
    after = list(store.readable(refuse))
    assert arrays(before) == arrays(after)
    assert {cell.key: cell.provenance for cell in before} == {cell.key: cell.provenance for cell in after}
    assert {len(path.stem) for path in store.folder.glob("*.npz")} == {DIGITS}
    assert store.adopt() == 0


def test_taken_over_in_the_middle(old: Path) -> None:
    """Killed between the new file and the end of the old one: there is one cell, not two."""
    store = Store(old / "store")
    before = arrays(list(store.readable(refuse)))
    store.save(store.load(FILES[3].stem))
    assert arrays(list(store.readable(refuse))) == before
    store.adopt()
    assert arrays(list(store.readable(refuse))) == before


def test_unfinished_failed_damaged_and_foreign_cells(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(old / "store")
    whole, damaged = FILES[0], store.path(FILES[1].stem)
    damaged.write_bytes(damaged.read_bytes()[:-100])
    for name in ("failures", "partial"):
        (store.folder / name).mkdir()
    (store.folder / "failures" / f"{'0' * OLD_DIGITS}.json").write_text("{}")
    (store.folder / "partial" / damaged.name).write_bytes(b"nothing")
    # As `keep` of schema 2 wrote it: a cell with one more entry in its header.
    with np.load(whole) as archive:
        content = {name: archive[name] for name in archive.files}
    header = json.loads(content["header"].tobytes()) | {"done": 1}
    content["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    store.path(whole.stem).unlink()
    np.savez_compressed(store.folder / "partial" / whole.name, allow_pickle=False, **content)
    store.adopt()
    (kept,) = (store.folder / "partial").iterdir()
    found = store.kept(kept.stem)
    assert found is not None
    assert (found[0].key, found[1]) == (kept.stem, 1)
    assert not list((store.folder / "failures").iterdir())
    assert f"{damaged}: damaged cell" in capsys.readouterr().err
    assert [path.name for path in (store.folder / "corrupt").iterdir()] == [f"{damaged.stem}.0.npz"]
    assert not damaged.exists()


def test_a_part_of_a_plugin_gets_its_name_once_the_plugin_is_there() -> None:
    old = {
        "objective": {"_target_": "mine.Least"},
        "tasks": ["depth"],
        "step": "halving",
        "step_options": {"_target_": "mine.Halving", "steps": 3},
    }
    found = legacy.cell_identity(old)
    assert found["objective"] == {"name": "mine.Least"}
    assert (found["step"], found["step_options"]) == ("mine.Halving", {"steps": 3})
    assert with_public_names(found, []) == found


def test_the_label_of_given_weights_was_never_known() -> None:
    header = old_header(FILES[0])
    header["provenance"]["config"]["checkpoint"] = "some.safetensors"
    from mtlbench.storage.store import UPGRADES

    found = UPGRADES[2](header)
    assert found["identity"]["training"] == "given"
    assert found["provenance"]["recipe"] is None


# Weightings, which had no cells of their own before schema 4


@pytest.fixture
def searched(tmp_path: Path) -> Store:
    """A copy of a store of schema 3."""
    return Store(Path(shutil.copytree(SCHEMA_3 / "store", tmp_path / "store")))


@pytest.mark.parametrize(("key", "count"), SEARCHES.items())
def test_weightings_have_the_keys_that_are_asked_for_today(searched: Store, key: str, count: int) -> None:
    """One of the two has restarts, scaled losses and fewer tasks than the model."""
    config = {**searched.load(key).provenance["config"], "plugins": []}
    attacks = build_attacks(config, build_objective_and_step(config), three_tasks(13))
    of_attack = ("attack", "objective", "target", "tasks", "step", "steps", "step_options", "starts", "norm", "eps")
    model = {name: value for name, value in searched.load(key).identity.items() if name not in of_attack}
    clean, *asked = plans(config, model, attacks, epsilon_list(config))
    assert len(asked) == count + 1
    assert [plan.key for plan in asked[-1].alternatives] == [plan.key for plan in asked[:-1]]
    stored = {cell.key: cell for cell in searched.readable(refuse)}
    assert {clean.key, *(plan.key for plan in asked)} <= stored.keys()
    assert asked[-1].key == key
    prices = [stored[plan.key].provenance["gradients_per_image"] for plan in asked]
    assert prices == [prices[0]] * count + [prices[0] * count]


def test_weightings_get_files_of_their_own(searched: Store) -> None:
    before = arrays(list(searched.readable(refuse)))
    assert len(before) == 1 + sum(SEARCHES.values()) + len(SEARCHES)
    assert not any(":" in name for held in before.values() for name in held)
    assert {name.rpartition("/")[0] for held in before.values() for name in held} >= {"segmentation", "depth"}
    for key in (*SEARCHES, "5486a9013e6a4ab04341138a", "5486a9013e6a4ab04341138a"):
        searched.spread(key)
    assert set(searched.keys()) == before.keys()
    assert arrays(list(searched)) == before
    with np.load(searched.path(next(iter(SEARCHES)))) as archive:
        assert not any(":" in name for name in archive.files)


def test_weightings_spread_in_the_middle(searched: Store) -> None:
    """Killed between two of the new files: none is lost, none is there twice."""
    before = arrays(list(searched.readable(refuse)))
    key = next(iter(SEARCHES))
    held = [cell for cell in searched.readable(refuse) if cell.identity["attack"] == "weighted"]
    searched.save(held[0])
    assert arrays(list(searched.readable(refuse))) == before
    searched.spread(key)
    assert arrays(list(searched.readable(refuse))) == before


def test_a_damaged_search_is_left_to_whoever_holds_the_claim(searched: Store) -> None:
    key = next(iter(SEARCHES))
    damaged = searched.path(key).read_bytes()[:-100]
    searched.path(key).write_bytes(damaged)
    searched.spread(key)
    assert searched.path(key).read_bytes() == damaged


@pytest.mark.parametrize("name", ["wx/0:losses", "w:losses", "w0/0:losses", "w1/0/2:losses"])
def test_a_weighting_in_a_cell_that_is_no_search_is_damage(tmp_path: Path, monkeypatch, name: str) -> None:
    store = Store(tmp_path)
    strange = Cell({"objective": {}, "n_images": 1}, {}, {}, {"losses": np.zeros((1, 1)), name: np.zeros((1, 1))})
    with monkeypatch.context() as before:
        before.setattr("mtlbench.storage.store.SCHEMA", 3)
        store.save(strange)
    refused: list[Exception] = []
    assert list(store.readable(refused.append)) == []
    assert [type(error) for error in refused] == [DamagedCellError]


def test_an_unfinished_search_of_schema_3_goes_on_without_its_weightings(searched: Store) -> None:
    key = next(iter(SEARCHES))
    with np.load(searched.path(key)) as archive:
        content = {name: archive[name] for name in archive.files}
    header = json.loads(content["header"].tobytes()) | {"done": 1}
    content["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    (searched.folder / "partial").mkdir()
    np.savez_compressed(searched.folder / "partial" / f"{key}.npz", allow_pickle=False, **content)
    kept = searched.kept(key)
    assert kept is not None
    assert (kept[0].key, kept[1]) == (key, 1)
    assert not any(":" in name for name in kept[0].arrays)


def test_a_class_that_has_moved_is_found_under_its_old_path() -> None:
    for name in ("ReferenceAPGD", "ReferenceSAGA"):
        assert type(build({"_target_": f"{STEPS}.{name}"}, kind=Step)).__module__.startswith("mtlbench.reference.")


# Recipes


def options(**more: Any) -> dict[str, Any]:
    return {"iterations": 5, "batch_size": 4, "lr": 1e-3, "weight_decay": 1e-4, "betas": (0.5, 0.999)} | more


def old_training(recipe: Recipe, adversary: Mapping[str, Any]) -> dict[str, Any]:
    """As it was written before schema 3."""
    old = {k: v for k, v in asdict(recipe).items() if k not in ("precision", "optimiser", "weighting")}
    return {"name": "x", **old, **adversary}


@pytest.mark.parametrize("attack", [None, "single", "none"])
@pytest.mark.parametrize("step", ["fgsm", "pgd"])
@pytest.mark.parametrize("schedule", ["one_cycle", "halve"])
@pytest.mark.parametrize("number", [1, 0.25])
def test_an_old_recipe_is_the_recipe_of_today(attack: str | None, step: str, schedule: str, number: float) -> None:
    recipe = Recipe(**options(schedule=schedule, lr=number))
    how = {"attack": attack, "step": step, "steps": 3, "eps": 8 * number, "ratio": number, "warmup": 0}
    training = how if attack else {}
    adversary = build_adversary({"training": training, "plugins": [], "seed": 0})
    today = {"name": "x", **recipe.identity(), **(adversary.identity() if adversary else {})}
    assert legacy.training(old_training(recipe, training | {"seed": 0} if attack else {})) == today


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"lr": 1}, {"lr": 1.0}),
        ({"schedule": "one_cycle", "halve_every": 3}, {"schedule": "one_cycle"}),
        ({"betas": (0, 0.9)}, {"betas": (0.0, 0.9)}),
        ({"precision": "fp32"}, {}),
    ],
)
def test_recipes_that_train_the_same_weights_are_one(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert Recipe(**options(**one)).identity() == Recipe(**options(**other)).identity()


@pytest.mark.parametrize("change", [{"precision": "tf32"}, {"halve_every": 3}, {"seed": 1}, {"schedule": "one_cycle"}])
def test_recipes_that_train_other_weights_are_two(change: dict[str, Any]) -> None:
    assert Recipe(**options(**change)).identity() != Recipe(**options()).identity()


@pytest.mark.parametrize("hashed", [False, True])
def test_an_old_folder_is_found_by_its_recipe(old: Path, hashed: bool) -> None:
    """Under the plain name, and under a name with a hash of the old form, which no longer occurs."""
    folder = next((old / "checkpoints").glob("*adversarial*"))
    recipe, name = read_recipe(folder), folder.name
    assert "_target_" not in json.dumps(recipe)
    if hashed:
        folder = folder.rename(folder.with_name(f"{name}-0123abcd"))
        (folder.with_name(name)).mkdir()
        (folder.with_name(name) / RECIPE).write_text("tree: another")
    found = find(old / "checkpoints", name, recipe)
    assert (found.folder, found.trained) == (folder, True)
    assert (found.folder / WEIGHTS).is_file()


def test_a_recipe_that_is_damaged_names_its_file(old: Path) -> None:
    folder = next((old / "checkpoints").glob("*adversarial*"))
    recipe: Mapping[str, Any] = yaml.safe_load((folder / RECIPE).read_text())
    (folder / RECIPE).write_text(yaml.safe_dump({**recipe, "training": {}}))
    with pytest.raises(Exception, match="not a readable recipe") as caught:
        find(old / "checkpoints", folder.name, {})
    assert str(folder / RECIPE) in str(caught.value)


def test_keys_of_before_are_shorter() -> None:
    """A file's name tells whether its key is of today."""
    assert (len(content_key({})), len(content_key({}, digits=OLD_DIGITS))) == (DIGITS, OLD_DIGITS)
