"""Configuration builds classes of mtlbench and of named plugins, and nothing else."""

import sys

import pytest

from mtlbench.attacks.objectives import DGBA, Objective
from mtlbench.attacks.steps import PGD
from mtlbench.config.build import build, load_plugins, named, resolve
from mtlbench.errors import UsageError


def test_builds_a_class_with_its_options():
    built = build({"_target_": "mtlbench.attacks.steps.PGD", "steps": 3, "size": 0.5})
    assert isinstance(built, PGD)
    assert (built.steps, built.size) == (3, 0.5)


def test_more_wins_over_the_node_and_leaves_it_alone():
    node = {"_target_": "mtlbench.attacks.steps.PGD", "steps": 3}
    assert build(node, steps=5).steps == 5
    assert node == {"_target_": "mtlbench.attacks.steps.PGD", "steps": 3}


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.Popen",
        "builtins.eval",
        "builtins.dict",
        "eval",
        "pathlib.Path",
        "torch.nn.Conv2d",
        "torch.load",
        "mtlbench",
        "mtlbenchevil.Class",
        "",
        ".",
        "..",
        ".mtlbench.storage.store.Store",
        "None",
    ],
)
def test_targets_outside_are_refused(target):
    with pytest.raises(UsageError, match="expected a class of mtlbench; name your module in plugins") as caught:
        build({"_target_": target})
    assert f"_target_={target}:" in str(caught.value)
    assert caught.value.status == 2


@pytest.mark.parametrize(
    "target",
    [
        "mtlbench.storage.store.json.dumps",
        "mtlbench.storage.store.json",
        "mtlbench.storage.store.Path",
        "mtlbench.storage.store.zipfile.ZipFile",
        "mtlbench.storage.store.np.load",
        "mtlbench.storage.store.io.BytesIO",
        "mtlbench.config.build.importlib.import_module",
        "mtlbench.experiment.provenance.subprocess.Popen",
        "mtlbench.experiment.provenance.subprocess",
        "mtlbench.experiment.provenance.datetime",
        "mtlbench.models.tiny.nn.Conv2d",
        "mtlbench.storage.store.Any",
    ],
)
def test_what_our_modules_import_is_refused(target):
    with pytest.raises(UsageError, match="_target_="):
        build({"_target_": target, "path": "x"})


@pytest.mark.parametrize(
    "target",
    [
        "mtlbench.storage.store.content_key",
        "mtlbench.storage.files.write_atomically",
        "mtlbench.storage.store.RESULT_VERSION",
        "mtlbench.storage.store.Store.load",
        "mtlbench.storage.store.Store.__init__",
        "mtlbench.storage.store.__class__",
        "mtlbench.storage.store.__dict__",
        "mtlbench.storage.store.__builtins__",
        "mtlbench.storage.store.Nothing",
        "mtlbench.nothing.Class",
        "mtlbench.",
        "mtlbench..store.Store",
        "mtlbench.storage.store.",
        "mtlbench.storage.store. Store",
        "mtlbench.storage.store\x00.Store",
    ],
)
def test_what_is_no_class_of_ours_is_refused(target):
    with pytest.raises(UsageError, match="_target_="):
        build({"_target_": target})


def test_a_node_without_target():
    with pytest.raises(UsageError, match="_target_=: expected a class"):
        build({"steps": 3})


@pytest.mark.parametrize("value", [None, 3, ["mtlbench.storage.store.Store"], {"a": 1}])
def test_a_target_that_is_no_text(value):
    with pytest.raises(UsageError, match="_target_="):
        build({"_target_": value})


@pytest.mark.parametrize("options", [{"stpes": 3}, {"steps": 3, "extra": None}, {"self": 1}])
def test_wrong_options_name_the_target(options):
    with pytest.raises(UsageError, match=r"mtlbench\.attacks\.steps\.PGD: .*(stpes|extra|self)"):
        build({"_target_": "mtlbench.attacks.steps.PGD", **options})


def test_missing_options_and_abstract_classes():
    with pytest.raises(UsageError, match=r"mtlbench\.storage\.store\.Store: .*folder"):
        build({"_target_": "mtlbench.storage.store.Store"})
    with pytest.raises(UsageError, match=r"mtlbench\.attacks\.steps\.Step: .*abstract"):
        build({"_target_": "mtlbench.attacks.steps.Step"})


def test_errors_of_the_class_itself_pass():
    with pytest.raises(UsageError, match=r"attack\.step\.steps=0"):
        build({"_target_": "mtlbench.attacks.steps.PGD", "steps": 0})


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A module ``myplugin.parts`` of the user that also re-exports a foreign class."""
    package = tmp_path / "myplugin"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "parts.py").write_text(
        "from pathlib import Path\nclass Part:\n    def __init__(self, size=1):\n        self.size = size\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "myplugin"
    for name in [name for name in sys.modules if name.split(".")[0] == "myplugin"]:
        del sys.modules[name]


def test_plugins(plugin):
    target = f"{plugin}.parts.Part"
    with pytest.raises(UsageError, match="expected a class of mtlbench; name"):
        build({"_target_": target})
    assert f"{plugin}.parts" not in sys.modules, "refused before it is imported"
    assert build({"_target_": target, "size": 4}, [plugin]).size == 4
    assert resolve(target, ["other", f"{plugin}.parts"]).__name__ == "Part"
    with pytest.raises(UsageError, match="expected a class of mtlbench or myplugin"):
        build({"_target_": f"{plugin}.parts.Path"}, [plugin])
    with pytest.raises(UsageError, match="expected a class of mtlbench or myplug;"):
        build({"_target_": target}, ["myplug"])
    assert isinstance(build({"_target_": "mtlbench.attacks.steps.PGD"}, [plugin]), PGD)
    with pytest.raises(UsageError, match="No module named"):
        build({"_target_": "nosuchplugin.Part"}, ["nosuchplugin"])


PLUGIN = """
from mtlbench.attacks.objectives import Total

class Mine(Total):
    name = {name!r}
"""


def test_objectives_by_name(tmp_path, monkeypatch):
    (tmp_path / "objectives_of_mine.py").write_text(PLUGIN.format(name="mine"))
    (tmp_path / "objectives_of_theirs.py").write_text(PLUGIN.format(name="dgba"))
    monkeypatch.syspath_prepend(tmp_path)
    assert named(Objective)["dgba"] is DGBA
    assert {"Scaled", "weighted", "mine"} & set(named(Objective)) == set()
    assert named(Objective, ["objectives_of_mine"])["mine"].__module__ == "objectives_of_mine"
    with pytest.raises(UsageError, match="its name 'dgba' is that of mtlbench's own DGBA"):
        named(Objective, ["objectives_of_theirs"])
    with pytest.raises(UsageError, match="plugins=objectives_of_nobody: No module named"):
        named(Objective, ["objectives_of_nobody"])


def test_plugins_are_loaded_by_name() -> None:
    load_plugins(["json", "json.decoder"])
    with pytest.raises(UsageError, match=r"plugins=no_such_plugin: No module named 'no_such_plugin'"):
        load_plugins(["json", "no_such_plugin"])


def test_a_misspelt_class_is_told_with_the_nearest_one():
    with pytest.raises(UsageError, match=r"^_target_=.*: .* has no attribute 'Signsum'; did you mean SignSum\?$"):
        resolve("mtlbench.attacks.objectives.sign_sum.Signsum")
