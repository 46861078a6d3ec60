"""The recipes of CONTRIBUTING.md do what they say, in a copy of the project."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from mtlbench.engine.losses import TaskLosses
from mtlbench.metrics.formulas import formulas_of
from mtlbench.metrics.measure import measure
from mtlbench.scores import tables
from mtlbench.scores.frame import metrics_frame
from mtlbench.scores.wide import IDENTITY, SAME_MODEL
from mtlbench.storage.store import Cell, Store

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```(python|yaml|diff)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SMALL = (
    *("dataset.images=14", "dataset.resolution=32", "training.iterations=1", "training.batch_size=2"),
    *("eps=4", "scores=paper", "limit=1"),
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with every recipe applied."""
    folder = tmp_path_factory.mktemp("recipes")
    for part in ("mtlbench", "conf"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    written = 0
    for kind, text in BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text()):
        if kind == "diff":
            apply(text, folder)
        else:
            first, rest = text.split("\n", 1)
            path = folder / first.removeprefix("# ")
            assert not path.exists()
            path.write_text(rest)
            written += 1
    assert written == 9
    return folder


def apply(diff: str, folder: Path) -> None:
    """Replace lines by their neighbours, not by their numbers: files above them may grow."""
    for part in re.split(r"^--- a/.*\n", diff, flags=re.MULTILINE)[1:]:
        name, _, *lines = part.splitlines()
        path = folder / name.removeprefix("+++ b/")
        old = "\n".join(line[1:] for line in lines if line[0] in " -")
        new = "\n".join(line[1:] for line in lines if line[0] in " +")
        text = path.read_text()
        assert old in text, f"{path.name} has changed; CONTRIBUTING.md shows\n{old}"
        path.write_text(text.replace(old, new, 1))


EACH = """
import json, sys
from mtlbench.cli import entry
for command in json.loads(sys.argv.pop()):
    sys.argv[1:] = command
    try:
        entry.main()
    except SystemExit as left:
        if left.code:
            raise
"""


def mtlbench(copy: Path, *commands: tuple[str, ...]) -> str:
    """The commands one after the other, in one process: importing takes longer than they do."""
    done = subprocess.run(
        [sys.executable, "-c", EACH, json.dumps(commands)],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_objective_step_backbone_and_metric(copy: Path) -> None:
    """Each leaves its mark on the numbers: the weakest task's loss has risen, five gradients, sixteen channels."""
    mtlbench(copy, ("attack", "attack=least", "attack/step=halving", "model=plain", *SMALL))
    (kept,) = (cell for cell in Store(copy / "outputs" / "store") if cell.identity["attack"] == "least")
    (clean,) = (cell for cell in Store(copy / "outputs" / "store") if cell.identity["attack"] == "none")
    least = [cell.arrays["losses"].astype(float).min(1) for cell in (clean, kept)]
    assert (least[1] > least[0]).all()
    assert kept.arrays["rise"][:, 0] == pytest.approx(least[1] - least[0], rel=1e-4)
    tables = copy / "outputs" / "tables"
    checks = pd.read_csv(tables / "checks.csv").set_index("attack").loc["least"]
    assert (checks["model"], checks["step"], checks["steps"]) == ("plain", "halving", 5)
    assert checks["gradients_per_image"] == 5
    (weights,) = (copy / "outputs" / "checkpoints").rglob("model.safetensors")
    blocks = [tensor for name, tensor in load_file(weights).items() if name.startswith("blocks.") and tensor.dim()]
    assert {len(tensor) for tensor in blocks} == {16}
    metrics = pd.read_csv(tables / "metrics.csv").set_index(["scores", "attack", "task", "metric"])
    square, absolute = (metrics.loc[("standard", "least", "depth", name)] for name in ("square_err", "abs_err"))
    assert square["unit"] == "m^2"
    assert square["attacked"] >= absolute["attacked"] ** 2, "the mean square is no smaller than the square of the mean"


def test_task(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Climbed by its own loss, scored by its own metric, and reported where its plugin is not known."""
    monkeypatch.syspath_prepend(copy)
    monkeypatch.delitem(sys.modules, "wear_tasks", raising=False)
    task = importlib.import_module("wear_tasks").WEAR
    truth = torch.tensor([2.0, 4.0, 9.0])[:, None, None, None]
    masks = {"wear": torch.tensor([True, True, False])[:, None, None, None]}
    shown = torch.tensor([1.0, 5.0, 0.0])[:, None, None, None].requires_grad_()
    losses = TaskLosses(lambda *_: {"wear": shown}, [task], {"wear": truth}, masks)(truth)
    assert losses[0].tolist() == [0.5, 0.25, 0]
    assert torch.autograd.grad(losses.sum(), shown)[0].flatten().tolist() == [-0.5, 0.25, 0]

    rows = measure([task], {"wear": shown}, {"wear": truth}, masks).per_image
    arrays = {name: row.numpy() for name, row in rows.items()} | {"losses": losses.detach().numpy().T}
    identity = dict.fromkeys((*IDENTITY, *SAME_MODEL), "") | {"n_images": 3}
    store = Store(tmp_path)
    key = store.save(Cell(identity, {}, {"wear": list(task.metric_names)}, arrays, formulas_of([task]))).stem
    monkeypatch.delitem(sys.modules, "wear_tasks")
    table = tables(metrics_frame([store.load(key)], replicates=0))["metrics"].set_index(["scores", "metric"])
    found = {metric: tuple(table.loc[("standard", metric), ["unit", "attacked"]]) for metric in ("mae", "relative")}
    assert found == {"mae": ("mm", 1), "relative": ("%", 37.5)}
    assert not table["higher_is_better"].any()


def test_dataset(copy: Path, tmp_path: Path) -> None:
    """Generated rooms, put where the new format wants them."""
    mtlbench(copy, ("data", "action=make", "dataset.images=14", "dataset.resolution=32"))
    (rooms,) = (copy / "outputs" / "datasets").glob("rooms-*")
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        for image in (rooms / "img").glob(f"{split}_*.png"):
            shutil.copy(image, tmp_path / split / image.name)
            shutil.copy(rooms / "seg" / image.name, tmp_path / split / f"{image.stem}_seg.png")
            shutil.copy(rooms / "depth" / f"{image.stem}.npy", tmp_path / split)
    options = ("dataset=seg_depth", f"dataset.root={tmp_path}", "dataset.resolution=32")
    trained = (*options, "training.iterations=1", "training.batch_size=2")
    verify, train, attack = ("data", "action=verify", *options), ("train", *trained), ("attack", *trained, "eps=4")
    assert "seg_depth, train" in mtlbench(copy, verify, train, attack)
    (kept,) = (
        c for c in Store(copy / "outputs" / "store") if c.identity["dataset"] == "seg_depth" and c.identity["eps"]
    )
    assert kept.arrays["losses"].shape == (len(list((tmp_path / "test").glob("*_seg.png"))), 2), "images, tasks"
    assert (kept.arrays["rise"] > 0).all()
