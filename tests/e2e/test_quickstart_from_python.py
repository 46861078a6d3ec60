"""The quickstart's tables from Python: the same models through `mtlbench.attack` give the command's numbers."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import mtlbench
from mtlbench.data.loader import in_order
from mtlbench.data.nyuv2 import NYUv2
from mtlbench.models.checkpoint import load_weights
from mtlbench.models.sharing import by_name
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import build
from tests.running import Result

NUMBERS = {
    "metrics": ["clean", "attacked", "relative_drop"],
    "damage": ["damage_percent", "ci_low", "ci_high"],
    "arp": ["arp_percent", "ci_low", "ci_high"],
    "transferability": ["ratio", "ratio_low", "ratio_high"],
}
SMALL = ("dataset.images=65", "dataset.resolution=32", "training.iterations=4", "eps=4")


def numbers(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Some columns of a table of one model, attacked rows alone, in one order."""
    wanted = ["attack", "target", "source", "destination", "task", "metric", "eps"]
    attacked = table[table["eps"] > 0]
    found: pd.DataFrame = attacked.set_index([name for name in wanted if name in table])[columns].sort_index()
    return found


@pytest.mark.parametrize(
    "options",
    [pytest.param(SMALL, id="small"), pytest.param((), id="as in the README", marks=pytest.mark.robustness)],
)
def test_the_tables_of_the_command(options: tuple[str, ...], call: Callable[..., Result], tmp_path: Path) -> None:
    """By loaders of 3 and of 8 images, to 1e-6."""
    done = call("attack", "experiment=quickstart", *options)
    assert done.status == 0, done.err
    outputs = tmp_path / "outputs"
    root = next(path for path in (outputs / "datasets").iterdir() if path.is_dir())
    side = 32 if options else 64
    data = NYUv2(root, "test", (side, side), classes=13, normals="decoded", limit=100)
    for sharing, images in (("independent", 3), ("all_shared", 8)):
        model = build(Tiny(), by_name(sharing, 3), data.tasks, seed=0)
        load_weights(model, outputs / "checkpoints" / f"rooms-tiny-{sharing}-clean-s0" / "model.safetensors")
        eps, probe = ([4], None) if options else ([4, 8], "strict")
        found = mtlbench.attack(
            model, in_order(data, images), data.tasks, step="pgd", eps=eps, probe=probe, progress=False
        )
        for name, columns in NUMBERS.items():
            command = pd.read_csv(outputs / "tables" / f"{name}.csv", keep_default_na=False, na_values=[""])
            command = command.query(f"scores == 'standard' and sharing == '{sharing}'")
            ours = numbers(getattr(found, name), columns)
            assert len(ours) > 0
            pd.testing.assert_frame_equal(ours, numbers(command, columns), rtol=0, atol=1e-6, obj=f"{name}, {sharing}")
