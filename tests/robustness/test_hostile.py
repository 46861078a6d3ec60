"""Command lines made to run code or to write elsewhere. Each is refused with its message, and its canary stays silent.

A canary is a file that appears when the door is open; `test_the_canary_would_sing` opens each door to prove it.
"""

import os
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pytest
from omegaconf import OmegaConf

from mtlbench.cli import app, sweep
from mtlbench.cli.hydra_errors import known_keys
from mtlbench.config.folder import conf_dir
from mtlbench.config.overrides import check_added, check_overrides
from mtlbench.storage.store import Cell, Store

USAGE = 2
OF_HYDRA = "not an option of mtlbench; of Hydra's own there are hydra/launcher, hydra.launcher.*"
NO_FLAG = "no such flag; there are -r, --run, -m, "
NO_KEY = "expected key=value with a key such as eps, dataset.root or attack/step"

SINGING = {
    # Hydra's folders
    "folder of a run": (("hydra.run.dir={away}",), OF_HYDRA),
    "folder of a sweep": (("-m", "hydra.sweep.dir={away}"), OF_HYDRA),
    "folder of a point": (("-m", "hydra.sweep.subdir={away}"), OF_HYDRA),
    "folder of the configuration": (("hydra.output_subdir={away}",), OF_HYDRA),
    "name of the job": (("hydra.job.name=a/../../../away/b",), OF_HYDRA),
    "log file": (("hydra.job_logging.handlers.file.filename={canary}",), OF_HYDRA),
    # Classes that Hydra builds
    "callback": (("+hydra.callbacks.x._target_=evil.Evil",), OF_HYDRA),
    "callback, forced": (("++hydra.callbacks.x={{_target_: evil.Evil}}",), OF_HYDRA),
    "inside a launcher": (("-m", "+hydra.launcher.x={{_target_: evil.Evil}}"), OF_HYDRA),
    "inside a launcher by reference": (("-m", "+y._target_=evil.Evil", "+hydra.launcher.x=${{y}}"), OF_HYDRA),
    "whole of Hydra": (("++hydra={{callbacks: {{x: {{_target_: evil.Evil}}}}}}",), OF_HYDRA),
    "log handler": (("hydra.job_logging.handlers.console={{class: evil.Evil}}",), OF_HYDRA),
    # Configuration from elsewhere
    "search path": (("hydra.searchpath=[file://{conf}]", "+evil=evil"), OF_HYDRA),
    "folder": (("--config-dir", "{conf}", "+evil=evil"), f"--config-dir: {NO_FLAG}"),
    "folder, one word": (("--config-dir={conf}", "+evil=evil"), f"--config-dir: {NO_FLAG}"),
    "folder, short": (("-cd", "{conf}", "+evil=evil"), f"-cd: {NO_FLAG}"),
    "folder, abbreviated": (("--config-d={conf}", "+evil=evil"), f"--config-d: {NO_FLAG}"),
    "other folder": (("--config-path={conf}", "--config-name=main"), f"--config-path: {NO_FLAG}"),
    "other folder, short": (("-cp", "{conf}", "-cn", "main"), f"-cp: {NO_FLAG}"),
    "pickle": (("--experimental-rerun={pickle}",), f"--experimental-rerun: {NO_FLAG}"),
    "pickle, abbreviated": (("--exp", "{pickle}"), f"--exp: {NO_FLAG}"),
}
"""Case -> arguments of `mtlbench layouts`, message. The canary of each sings where nothing is checked."""

SILENT = {
    "launcher": (("-m", "hydra.launcher._target_=evil.Evil"), OF_HYDRA),
    "sweeper": (("-m", "hydra.sweeper._target_=evil.Evil"), OF_HYDRA),
    "sweeper of another package": (("-m", "hydra/sweeper=evil"), OF_HYDRA),
    "launcher by path": (("-m", "hydra/launcher=../../evil"), "expected a name or a plain value"),
    "launcher by absolute path": (("-m", "hydra/launcher={conf}/main"), "expected a name or a plain value"),
    "number of a launcher": (("-m", "hydra/launcher=3"), "expected a name or a plain value"),
    "no logger": (("hydra.verbose=null",), "expected a name or a plain value"),
    "group by path": (("hydra/job_logging=../../evil",), OF_HYDRA),
    "group in Hydra's package": (("+scores@hydra.callbacks.x=paper",), NO_KEY),
    "no key": (("={{hydra: {{run: {{dir: {away}}}}}}}",), NO_KEY),
    "added without a key": (("+={{hydra: {{run: {{dir: {away}}}}}}}",), NO_KEY),
    "blank before the equals sign": (("scores =../evil",), NO_KEY),
    "folder of the work": (("hydra.job.chdir=true",), OF_HYDRA),
    "environment": (("+hydra.job.env_set.PATH={away}",), OF_HYDRA),
    "environment of others": (("hydra.job.env_copy=[HOME]",), OF_HYDRA),
    "help": (("hydra.help.template=x", "--help"), OF_HYDRA),
    "deleted": (("~hydra.run",), "~hydra.run: options cannot be deleted"),
    "class in a sweep": (("-m", "+hydra.sweeper.params.x={{_target_: evil.Evil}}"), OF_HYDRA),
    "path as a name": (("--config-name={conf}/main",), f"--config-name: {NO_FLAG}"),
    "path in a sweep": (("-m", "+hydra.sweeper.params.scores=../evil"), OF_HYDRA),
    "reference in a sweep": (("-m", "hydra.sweeper.params=${{tasks}}"), OF_HYDRA),
    "two modes": (("-m", "--cfg", "job"), "--multirun --cfg: expected one of them"),
    "resolve alone": (("--resolve",), "--resolve: expected beside --cfg"),
    "dashes": (("--", "tasks=3"), f"--: {NO_FLAG}"),
    "nothing": (("outputs=",), "outputs=: expected a folder"),
    "no folder": (("outputs=null",), "outputs=null: expected a folder"),
    "empty folder in quotes": (("outputs=''",), "outputs='': expected a folder"),
    "list of folders": (("outputs=[a]",), "outputs=[a]: expected a folder"),
    "plugin by path": (("plugins=[../evil]",), "plugins=['../evil']: expected a list of Python modules"),
    "plugin without a name": (("plugins=['']",), "plugins=['']: expected a list of Python modules"),
    "plugins as text": (("plugins=os",), "plugins=os: expected a list of Python modules"),
    "deep": (("tasks=" + "[" * 5000,), "brackets at most 20 deep"),
    "long": (("tasks=" + "1" * 30_000,), "expected at most 20000 characters"),
    "line break": (("outputs=a\nb",), r"'outputs=a\nb': holds characters that cannot be printed"),
    "half a character": (("outputs=\udcff",), "holds characters that cannot be printed"),
    "reference to itself": (("tasks=${{blocks}}", "blocks=${{tasks}}"), "tasks: "),
}
"""The same, where Hydra happens to refuse as well, or where no file tells."""


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Path]]:
    """Places of the attacker: a module and configuration that raise the canary, a pickle, a folder to write to."""
    canary, conf = tmp_path / "canary", tmp_path / "conf"
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "evil.py").write_text(
        f"from pathlib import Path\nPath({str(canary)!r}).touch()\nclass Evil:\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "modules")
    (conf / "evil").mkdir(parents=True)
    hydra = "hydra: {run: {dir: outputs}, output_subdir: null, callbacks: {x: {_target_: evil.Evil}}}\n"
    (conf / "evil" / "evil.yaml").write_text(f"# @package _global_\n{hydra}")
    (conf / "main.yaml").write_text(f"{hydra}tasks: 2\nblocks: 2\nlimit: 1\noutputs: outputs\nplugins: []\n")
    (tmp_path / "pickle").write_bytes(pickle.dumps(Bomb(canary)))
    yield {"away": tmp_path / "away", "canary": canary, "conf": conf, "pickle": tmp_path / "pickle"}
    sys.modules.pop("evil", None)


class Bomb:
    """Unpickling it makes a folder."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.canary),)


def filled(arguments: tuple[str, ...], trap: dict[str, Path]) -> list[str]:
    return [argument.format(**trap) for argument in arguments]


def everything(folder: Path) -> set[str]:
    """All files and folders but those of outputs."""
    found = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    return {path for path in found if path.split("/")[0] != "outputs" and "__pycache__" not in path}


@pytest.mark.parametrize("case", SINGING | SILENT)
def test_refused_and_nothing_happened(call: Callable, tmp_path: Path, trap: dict[str, Path], case: str) -> None:
    arguments, message = (SINGING | SILENT)[case]
    before = everything(tmp_path)
    done = call("layouts", *filled(arguments, trap))
    assert done.status == USAGE, done.err
    assert message in done.err
    assert len([line for line in done.err.splitlines() if line.startswith("mtlbench: ")]) == 1
    assert "Traceback" not in done.err
    assert "unexpected" not in done.err
    assert everything(tmp_path) == before
    assert "evil" not in sys.modules


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", SINGING)
def test_the_canary_would_sing(
    call: Callable, tmp_path: Path, trap: dict[str, Path], monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    for check in ("check_overrides", "check_added"):
        monkeypatch.setattr(app, check, lambda *_: None)
    before = everything(tmp_path)
    try:
        call("layouts", *filled(SINGING[case][0], trap))
    except Exception as error:  # noqa: BLE001 - what an open door does to the command is not the question
        print(error)
    assert everything(tmp_path) > before


@pytest.mark.parametrize(
    "arguments",
    [
        ("-m", "hydra/launcher=basic", "scores=standard,paper"),
        ("-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "scores=choice(standard,paper)"),
        ("-m", "hydra/launcher=submitit_local", "hydra.launcher.timeout_min=60", "+hydra.launcher.x=[a,{b: /c}]"),
        ("-m", "hydra/launcher=submitit_slurm", "hydra.launcher.setup=['module load cuda/12']"),
        ("-m", "hydra.sweeper.max_batch_size=4", "dataset=glob(*)"),
        ("hydra.mode=MULTIRUN", "hydra.verbose=[mtlbench]", "outputs=/anywhere", "outputs=${oc.env:HOME}/x"),
        ("--cfg=job", "--resolve", "--package", "dataset"),
        ("-c", "hydra"),
        ("--info", "searchpath"),
        ("--multirun", "--help"),
        ("+dataset.root=../up", "++attack.loss_scale.depth=10", "experiment=quickstart"),
        ("+model.width=0.7", "+dataset.metrics.segmentation=[miou]", "++eps=4", "+experiment=transfer"),
    ],
)
def test_what_users_need_passes(arguments: tuple[str, ...]) -> None:
    check_overrides(arguments, conf_dir())
    check_added("attack", arguments, conf_dir(), known_keys)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("-m", "hydra/launcher=basic", "hydra.verbose=[x]", "tasks=1,2"), "(5 blocks)"),
        (("hydra.mode=MULTIRUN", "tasks=1,2"), "(5 blocks)"),
        (("--cfg", "job", "--resolve", "outputs=${oc.env:HOME}/x"), f"outputs: {Path.home()}/x"),
        (("--info", "searchpath"), "pkg://hydra.conf"),
    ],
)
def test_what_users_need_works(call: Callable, arguments: tuple[str, ...], text: str) -> None:
    done = call("layouts", *arguments)
    assert done.status == 0, done.err
    assert text in done.out


# Classes and names


@pytest.mark.parametrize("option", ["model", "attack.objective", "attack.step"])
def test_a_class_from_elsewhere_is_not_even_imported(call: Callable, trap: dict[str, Path], option: str) -> None:
    done = call("attack", f"{option}._target_=evil.Evil")
    assert (done.status, "Traceback" in done.err) == (USAGE, False)
    assert "_target_=evil.Evil: expected a class of mtlbench; name your module in plugins=[...]" in done.err
    assert not trap["canary"].exists()
    done = call("attack", f"{option}._target_=evil.Evil", "plugins=[evil]")
    assert "_target_=evil.Evil: expected a kind of mtlbench." in done.err
    assert trap["canary"].exists(), "a module that the user names is imported"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("model._target_=mtlbench.storage.store.Store", "expected a kind of mtlbench.models.backbone.Backbone"),
        ("attack.step._target_=mtlbench.models.tiny.Tiny", "expected a kind of mtlbench.attacks.steps.base.Step"),
        ("attack.objective=dgba", "dgba: expected options with a _target_, the Objective to build"),
        ("attack.objective._target_=mtlbench.cli.entry.os.system", "_target_=mtlbench.cli.entry.os.system: "),
    ],
)
def test_a_class_of_another_kind(call: Callable, arguments: str, message: str) -> None:
    done = call("attack", *arguments.split())
    assert done.status == USAGE
    assert message in done.err
    assert "Traceback" not in done.err


OUT = "a/../../../away/b"


@pytest.mark.parametrize("name", [OUT, "..", ".hidden", "/away", "a b", "a\\b", "", "null", "[a]", "x" * 101])
@pytest.mark.parametrize("option", ["dataset.name", "training.name", "attack.name"])
def test_names_become_no_paths(call: Callable, tmp_path: Path, option: str, name: str) -> None:
    done = call("attack", f"{option}='{name}'" if name not in ("null", "[a]") else f"{option}={name}")
    assert done.status == USAGE, done.err
    assert f"mtlbench: {option}=" in done.err
    assert "expected a name of letters, digits, '.', '_' and '-'" in done.err
    assert everything(tmp_path) == set()
    assert {path.name for path in (tmp_path / "outputs").iterdir()} == {"runs"}


@pytest.mark.parametrize("option", ["dataset.name", "training.name"])
def test_they_would(call: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    monkeypatch.setattr(sweep, "check_values", lambda *_: None)
    small = ("dataset.images=26", "dataset.resolution=16", "training.iterations=1", "training.batch_size=2")
    call("train", *small, f"{option}={OUT}")
    assert (tmp_path / "away").is_dir()


@pytest.mark.parametrize("option", ["dataset.root", "checkpoint"])
def test_a_home_of_nobody(call: Callable, option: str) -> None:
    done = call("attack", f"{option}='~no-such-user-here/x'")
    assert done.status == USAGE
    assert f"{option}=~no-such-user-here/x: no such user" in done.err


def test_brackets_in_a_folder_are_no_markup(call: Callable, tmp_path: Path) -> None:
    done = call("data", "action=make", "dataset.images=2", "dataset.resolution=16", "outputs='x[/bold]'")
    assert done.status == 0, done.err
    assert "x[/bold]/datasets/rooms-" in done.out


# What files say


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("model", "_target_"), "evil.Evil", "_target_=evil.Evil: expected a class of mtlbench; name your module"),
        (("attack", "objective", "_target_"), "evil.Evil", "this model no longer exists"),
        (
            ("dataset", "reader", "_target_"),
            "mtlbench.storage.store.Store",
            "expected a kind of mtlbench.data.base.MultiTas",
        ),
        (("dataset", "name"), OUT, f"dataset.name={OUT}: expected a name of letters"),
        (("training", "name"), OUT, f"training.name={OUT}: expected a name of letters"),
        (("plugins",), ["evil"], "this model no longer exists"),
        (("outputs",), "away", "this model no longer exists"),
    ],
)
def test_a_poisoned_record_of_a_configuration(
    call: Callable, tmp_path: Path, trap: dict[str, Path], place: tuple[str, ...], value: object, message: str
) -> None:
    """`report audit` computes a cell again by the configuration that its file holds."""
    OmegaConf.register_new_resolver("process_id", lambda: 0, replace=True)
    with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
        composed = hydra.compose("attack", ["dataset.images=26", "dataset.resolution=16"])
    node: Any = OmegaConf.to_container(composed, resolve=True)
    recorded = node
    for name in place[:-1]:
        node = node[name]
    node[place[-1]] = value
    names = ("dataset", "model", "sharing", "attack", "target")
    identity = dict.fromkeys(names, "x") | {"eps": 4.0, "n_images": 2}
    Store(tmp_path / "outputs" / "store").save(Cell(identity, {"config": recorded}, {}, {"losses": np.ones((2, 3))}))
    before = everything(tmp_path)
    done = call("report", "audit=1")
    assert done.status == (1 if message == "this model no longer exists" else USAGE), done.err
    assert message in " ".join((done.out + done.err).split())
    assert "unexpected" not in done.err
    assert everything(tmp_path) == before


def test_a_poisoned_record_of_a_failure(call: Callable, tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "store" / "failures"
    folder.mkdir(parents=True)
    for name, text in {"a": "[" * 200_000, "b": "[]", "c": "", "d": '{"cell": 1}'}.items():
        (folder / f"{name}.json").write_text(text)
    done = call("report")
    assert done.status == 3
    assert "unexpected" not in done.err
