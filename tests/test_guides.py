"""The guides do what they say, from an empty folder."""

import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests.running import Result

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SMALL = ("dataset.images=26", "dataset.resolution=32", "attack.step.steps=1", "eps=4")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty one, where Python looks for modules."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with torch.random.fork_rng():
        yield tmp_path
    for name in [name for name in sys.modules if name.startswith(("my_", "LibMTL", "torchvision.models.utils"))]:
        del sys.modules[name]


def run(guide: str, folder: Path, call: Callable[..., Result]) -> dict[str, object]:
    """Run every block of a guide in order: files are written, code shares its names; the names in the end."""
    names: dict[str, object] = {}
    blocks = BLOCK.findall((ROOT / "docs" / "guides" / guide).read_text())
    assert blocks
    for kind, text in blocks:
        first = text.split("\n", 1)[0]
        if first.startswith("# my_"):
            (folder / first.removeprefix("# ")).write_text(text)
        elif kind == "python":
            exec(compile(text, guide, "exec"), names)
        else:
            program, *arguments = shlex.split(text)
            assert program == "mtlbench"
            done = call(*arguments, *SMALL)
            assert done.status == 0, done.err
    return names


def test_own_model(folder: Path, call: Callable[..., Result]) -> None:
    found = run("own_model.md", folder, call)
    assert set(found["result"].arp["status"]) == {"ok"}  # type: ignore[attr-defined]
    assert "gain_vs_independent" in found["result"].transferability  # type: ignore[attr-defined]
    assert found["attacked"].shape == (4, 3, 32, 32)  # type: ignore[attr-defined]
    assert list((folder / "outputs/store").glob("*.npz"))


def test_frameworks(folder: Path, call: Callable[..., Result]) -> None:
    found = run("frameworks.md", folder, call)
    assert found["result"].arp["sharing"].tolist() == ["custom"]  # type: ignore[attr-defined]
    assert found["libmtl"].metrics["task"].nunique() == 3  # type: ignore[attr-defined]
    assert set(found["mtl_pytorch"].metrics["task"]) == {"semseg", "depth"}  # type: ignore[attr-defined]
    assert set(found["transformers"].metrics["task"]) == {"segmentation", "depth"}  # type: ignore[attr-defined]


def test_models_by_name(folder: Path, call: Callable[..., Result]) -> None:
    found = run("../models.md", folder, call)
    assert found["attacked"].shape == (2, 3, 64, 64)  # type: ignore[attr-defined]
