"""checkpoint=FILE: the tree is that of the weights, what was taken of a file is said, contradictions are refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mtlbench.models import aspp, deeplab_resnet34
from mtlbench.models.checkpoint import save_weights
from mtlbench.models.sharing import level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import build
from mtlbench.storage.store import Store
from mtlbench.tasks import three_tasks
from tests.models.replica import NARROW, NARROW_HEAD, replica, save

ROOMS = ("dataset.images=26", "attack/step=fgsm", "eps=4", "limit=1")
TASKS = ("segment_semantic", "normal", "depth_zbuffer")


def identities(outputs: Path) -> list[dict[str, object]]:
    return [dict(cell.identity) for cell in Store(outputs / "store")]


def test_a_file_of_treemtl(call: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deeplab_resnet34, "WIDTHS", NARROW)
    monkeypatch.setattr(aspp, "WIDTH", NARROW_HEAD)
    together, pair, apart = [{0, 1, 2}], [{0}, {1, 2}], [{0}, {1}, {2}]
    theirs = replica([together, together, pair, apart, apart], TASKS, segment_semantic=13)
    file = save(theirs, tmp_path / "segment_semantic_normal_depth_zbuffer.model")
    given = ("attack", *ROOMS, "model=deeplab_resnet34", f"checkpoint={file}")
    done = call(*given, "dataset.resolution=32")
    assert done.status == 0, done.err
    said = [line for line in done.err.splitlines() if line.startswith(f"mtlbench: {file}: ")]
    assert [line.rpartition(": ")[2].split(",")[0] for line in said] == [
        *("'iter'", "a file of TreeMTL", "the three outputs are reversed"),
    ]
    clean, attacked = sorted(identities(tmp_path / "outputs"), key=lambda one: str(one["eps"]))
    for one in (clean, attacked):
        assert (one["tree"], one["sharing"][:4], one["training"]) == ("012|012|0,12|0,1,2|0,1,2", "tree", "given")
        assert one["model_version"] == 2
    agreeing = ("sharing=tree", "sharing.partitions='012|012|0,12|0,1,2|0,1,2'")
    assert call(*given, "dataset.resolution=32", *agreeing).status == 0
    assert len(identities(tmp_path / "outputs")) == 2, "no other cells"
    refused = call(*given, "dataset.resolution=32", "sharing=all_shared")
    assert refused.status == 3
    tree = "holds weights of tree 012|012|0,12|0,1,2|0,1,2; expected tree 012|012|012|012|012"
    assert f"{file}: {tree}" in refused.err
    assert call(*given, "dataset.resolution=33", f"outputs={tmp_path / 'odd'}").status == 0
    assert all("model_version" not in one for one in identities(tmp_path / "odd"))


def test_the_tree_of_our_own_weights(call: Callable, tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    save_weights(build(Tiny(0.1), level(3, 2), three_tasks(13), 0), file)
    given = ("attack", *ROOMS, "dataset.resolution=32", "+model.width=0.1", f"checkpoint={file}")
    done = call(*given)
    assert done.status == 0, done.err
    assert f"mtlbench: {file}" not in done.err, "nothing was chosen or cut"
    assert {one["sharing"] for one in identities(tmp_path / "outputs")} == {"share2"}
    refused = call(*given, "sharing=share3")
    assert refused.status == 3
    assert "holds weights of tree 012|012|0,1,2|0,1,2|0,1,2; expected tree 012|012|012|0,1,2|0,1,2" in refused.err
