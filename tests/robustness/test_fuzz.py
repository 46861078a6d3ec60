"""Random command lines, options, cells, lists and recipes: whatever they are, the error is one of ours."""

import copy
import io
import json
import string
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from mtlbench.config.attack import build_attacks, build_objective_and_step, epsilon_list
from mtlbench.config.dataset import dataset_identity, dataset_root, open_dataset
from mtlbench.config.folder import conf_dir
from mtlbench.config.model import build_backbone, choose_device, sharing_tree
from mtlbench.config.training import build_adversary, training_recipe
from mtlbench.config.values import check_values
from mtlbench.data.nyuv2 import NYUv2
from mtlbench.engine import precision
from mtlbench.errors import CheckpointError, DataError, MtlbenchError
from mtlbench.experiment.cells import plans
from mtlbench.storage.checkpoints import Checkpoint, find
from mtlbench.storage.store import Cell, Store

SMALL = ("dataset.images=26", "dataset.resolution=16")


def bounded(examples: int) -> settings:
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


# Command lines

KEYS = [
    *(
        "tasks",
        "blocks",
        "limit",
        "outputs",
        "seed",
        "plugins",
        "device",
        "workers",
        "nope",
        "tasks.x",
        "",
        "_target_",
    ),
    *("hydra.verbose", "hydra.mode", "hydra/launcher", "hydra.launcher.x", "hydra.run.dir"),
    *("hydra.sweeper.max_batch_size", "hydra", "a@b", "a/b", "a.b.c", "scores", "$x", "tasks.0"),
]
VALUES = [
    *("", "3", "-1", "null", "true", "nan", "inf", "1e999", "x", "../x", "/x", "[1,2]", "[]", "{}", "{a: 1}", "[[1]]"),
    *("1,2", "1,,2", "range(1,3)", "range(3)", "choice(1,2)", "glob(*)", "shuffle(1,2)", "interval(0,1)", "int(x)"),
    *("extend_list(1)", "${limit}", "${tasks}", "${nope}", "${oc.env:NOPE}", "${oc.env:HOME}", "${now:%Y}", "${x:1}"),
    *("${", "'", '"', "\\", "a b", "a=b", "${oc.decode:'[1'}", "${oc.select:limit}", "???", "${hydra:job}"),
]
FLAGS = ["-m", "--cfg", "--cfg=job", "job", "--help", "--info", "--resolve", "-p", "--package=tasks", "-x", "--", "-"]
argument = st.one_of(
    st.builds(
        "{}{}={}".format, st.sampled_from(["", "", "+", "++", "~"]), st.sampled_from(KEYS), st.sampled_from(VALUES)
    ),
    st.sampled_from(FLAGS),
    st.builds("{}={}".format, st.sampled_from(KEYS), st.text(max_size=12)),
    st.text(string.punctuation + "atx019 ", max_size=20),
)


@bounded(80)
@given(command=st.sampled_from(["layouts", "report"]), arguments=st.lists(argument, min_size=1, max_size=3))
@pytest.mark.filterwarnings("ignore")
def test_command_lines(call: Callable, tmp_path: Path, command: str, arguments: list[str]) -> None:
    done = call(command, *arguments)
    assert done.status in (0, 1, 2, 3), done.err
    assert "Traceback" not in done.err
    assert "unexpected" not in done.err
    assert {path.name for path in tmp_path.iterdir()} <= {"outputs", "x"}


# Options


@pytest.fixture(scope="module")
def configs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Resolved configurations of `mtlbench attack` that share small rooms."""
    outputs = tmp_path_factory.mktemp("options") / "outputs"
    choices = [
        (),
        ("attack=saga", "training=adversarial", "sharing=tree", "sharing.index=3"),
        ("attack=weighted_total", "attack/step=mim", "attack.tasks=[depth]", "sharing=share2"),
    ]
    OmegaConf.register_new_resolver("process_id", lambda: 0, replace=True)
    found: list[Any] = []
    with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
        for choice in choices:
            composed = hydra.compose("attack", [*SMALL, f"outputs={outputs}", *choice])
            found.append(OmegaConf.to_container(composed, resolve=True))
    dataset_root(found[0])
    return found


def places(node: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every option and group of options, but those whose change costs time and those that cannot become empty."""
    for key, value in node.items():
        if (*above, key) not in {("dataset", "images"), ("outputs",)}:
            yield (*above, key)
        if isinstance(value, dict):
            yield from places(value, (*above, key))


def prepare(config: dict[str, Any]) -> None:
    """All that an attack does before it needs weights."""
    check_values(config)
    epsilons, engine = epsilon_list(config), build_objective_and_step(config)
    precision.check(config["precision"])
    choose_device(config), training_recipe(config), build_backbone(config), build_adversary(config)
    root = dataset_root(config)
    test = open_dataset(config, "test", root, limit=config["limit"])
    train = open_dataset(config, "train", root, augmented=True)
    sharing_tree(config, len(test.tasks))
    dataset_identity(config, root)
    plans(config, {}, build_attacks(config, engine, test.tasks), epsilons)
    test.sample(0), train.sample(0, 1)


SCALARS = st.one_of(
    *(st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from([2**31, 2**64, -(2**64), 10**400])),
    *(st.floats(), st.text(max_size=5), st.sampled_from(["../x", "~", "cpu", "cuda:99999999999", "tree1", "012|012"])),
)
STRANGE = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, min_size=1),
    max_leaves=4,
)


VALUES_OF_OPTIONS = [
    *(None, True, -2, -1, 0, 1, 2, 2**31, 2**64, -(2**64), 10**400, -(10**400), 0.0, -0.5, 0.5, 5e-324, 1.7e308),
    *(float("nan"), float("inf"), -float("inf"), "", "x", "0", "~", "../x", "cpu", "cuda:99999999999", "tree1"),
    *("012|012", [], {}, [1], [[1]], {"a": 1}, [10**400], [None], [float("nan")], ["x"]),
]


def refuses_or_prepares(config: dict[str, Any], place: tuple[str, ...], value: object) -> None:
    """Everything goes well with this value at this place, or the error says what is wrong in words of ours."""
    config = copy.deepcopy(config)
    *above, key = place
    node = config
    for name in above:
        node = node[name]
    node[key] = {**node[key], **value} if isinstance(node[key], dict) and isinstance(value, dict) else value
    try:
        prepare(config)
    except OSError as error:  # the command line says this too
        assert error.filename
    except MtlbenchError as error:
        assert str(error)


def value_at(config: dict[str, Any], place: tuple[str, ...]) -> object:
    """What an option is; an absent one is like no value that there is."""
    node: Any = config
    for key in place:
        if not isinstance(node, dict) or key not in node:
            return NotImplemented
        node = node[key]
    return node


@pytest.mark.parametrize("again", [False, pytest.param(True, marks=pytest.mark.robustness)])
def test_every_option(configs: list[dict[str, Any]], again: bool) -> None:
    """Of each configuration where it differs from the first one; in the long form `again` also where it does not."""
    first, *others = configs
    wanted = [(first, place) for place in places(first)]
    wanted += [
        (other, place)
        for other in others
        for place in places(other)
        if again or value_at(other, place) != value_at(first, place)
    ]
    assert all(sum(one is config for one, _ in wanted) > 5 for config in configs)
    for config, place in wanted:
        for value in VALUES_OF_OPTIONS:
            refuses_or_prepares(config, place, value)


@bounded(1000)
@given(data=st.data())
def test_options(configs: list[dict[str, Any]], data: st.DataObject) -> None:
    config = data.draw(st.sampled_from(configs))
    refuses_or_prepares(config, data.draw(st.sampled_from(list(places(config)))), data.draw(STRANGE))


# Files

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
PIECES = [
    "img",
    "a.png",
    "..",
    ".",
    "",
    "~",
    "/",
    "\\",
    "\0",
    "\n",
    "\udcff",
    "é",
    "x" * 300,
    "link",
    "nyu_v2_3task.json",
]
PATH = st.lists(st.sampled_from(PIECES), max_size=4).map("/".join)


@bounded(150)
@given(entries=st.lists(st.lists(PATH | st.just("img/0.png"), min_size=4, max_size=4), max_size=3) | JSON)
def test_dataset_lists(tmp_path: Path, entries: object) -> None:
    (tmp_path / "img").mkdir(exist_ok=True)
    if not (tmp_path / "link").is_symlink():
        (tmp_path / "link").symlink_to("/")
    (tmp_path / "nyu_v2_3task.json").write_text(json.dumps({"test": entries}))
    try:
        dataset = NYUv2(tmp_path, "test", (8, 8))
        for index in range(len(dataset)):
            assert all(is_below(file, tmp_path) for file in dataset.files(index))
            dataset.sample(index)
    except DataError as error:
        assert str(tmp_path) in str(error)


def is_below(file: Path, root: Path) -> bool:
    return file.resolve().is_relative_to(root.resolve())


@bounded(150)
@given(content=JSON.map(json.dumps) | st.text(max_size=40) | st.text("[]{},:\"'*&<!-\n a1", max_size=40))
def test_lists_and_recipes_of_any_text(tmp_path: Path, content: str) -> None:
    (tmp_path / "nyu_v2_3task.json").write_text(content, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(DataError, match=r"nyu_v2_3task\.json"):
        NYUv2(tmp_path, "test", (8, 8))
    folder = tmp_path / "checkpoints" / "name"
    folder.mkdir(parents=True, exist_ok=True)
    readers: dict[str, Callable[[], object]] = {
        "recipe.yaml": lambda: find(tmp_path / "checkpoints", "name", {"lr": 1}),
        "cost.json": lambda: Checkpoint(folder, {}).cost,
    }
    for file, read in readers.items():
        (folder / file).write_text(content, encoding="utf-8", errors="surrogatepass")
        try:
            read()
        except CheckpointError as error:
            assert str(folder / file) in str(error)


# Cells


def a_cell() -> Cell:
    arrays = {"depth/depth_sums": np.arange(63.0).reshape(7, 9), "losses": np.ones((7, 2), np.float32)}
    return Cell({"eps": 4.0, "n_images": 7}, {"commit": "unknown"}, {"depth": ["abs_err"]}, arrays)


HEADERS = ["schema", "key", "identity", "provenance", "tasks", "sha256"]


@bounded(150)
@given(field=st.sampled_from(HEADERS), value=JSON, data=st.data())
def test_cells_with_another_header(tmp_path: Path, field: str, value: object, data: st.DataObject) -> None:
    """The archive is sound, its header is not what was written."""
    kept, saved = Store(tmp_path), a_cell()
    path = kept.save(saved)
    with np.load(path) as archive:
        arrays = dict(archive)
    header = json.loads(arrays["header"].tobytes())
    header[field] = value
    if data.draw(st.booleans()):
        del header[data.draw(st.sampled_from(HEADERS))]
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, **arrays)
    try:
        found = kept.load(saved.key)
    except DataError as error:
        assert str(path) in str(error)
    else:
        assert found.identity == saved.identity
        assert all(isinstance(metrics, list) for metrics in found.tasks.values())


@pytest.mark.filterwarnings("ignore:Duplicate name")
@bounded(150)
@given(data=st.data())
def test_cells_of_other_archives(tmp_path: Path, data: st.DataObject) -> None:
    """Any members under any compression, with mutated .npy headers."""
    kept, saved = Store(tmp_path), a_cell()
    path, buffer = kept.save(saved), io.BytesIO()
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(buffer, "w", data.draw(st.sampled_from([0, 8, 12, 14]))) as archive:
        for name, content in members.items():
            changed = bytearray(content)
            for _ in range(data.draw(st.integers(0, 2))):
                changed[data.draw(st.integers(0, min(len(changed), 128) - 1))] = data.draw(st.integers(0, 255))
            archive.writestr(data.draw(st.sampled_from([name, name, name, "header", "../x.npy"])), bytes(changed))
    whole = bytearray(buffer.getvalue())
    if data.draw(st.booleans()):
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(whole)
    try:
        found = kept.load(saved.key)
    except DataError as error:
        assert str(path) in str(error)
    else:
        assert all(np.array_equal(array, saved.arrays[name]) for name, array in found.arrays.items())
