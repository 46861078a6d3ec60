"""The attack engine through the command line: bits that no batch size changes, refusals before any work, the bench."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtlbench.storage.store import Store


@pytest.mark.parametrize("attack", ["dgba", "sign_sum"])
def test_every_batch_size_gives_the_same_bits(call, small, tmp_path: Path, attack: str) -> None:
    found = []
    for batch_size in (1, 3, 8):
        done = call(
            *("attack", *small, "dataset.images=143", f"outputs={tmp_path}", f"attack={attack}", "eps=8"),
            *("force=true", f"batch_size={batch_size}"),
        )
        assert done.status == 0, done.err
        found.append({cell.key: cell for cell in Store(tmp_path / "store")})
    assert len(found[0]) == 2
    for other in found[1:]:
        for key, cell in found[0].items():
            assert cell.arrays.keys() == other[key].arrays.keys()
            for name, array in cell.arrays.items():
                assert np.array_equal(array, other[key].arrays[name], equal_nan=True), name


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("attack=power", "attack.alpha=strong"), "attack.alpha=strong"),
        (("attack=weighted_total", "attack.grid=0"), "attack.grid=0"),
        (("attack=weighted_total", "attack.grid=half"), "attack.grid=half"),
        (("attack=dgba", "attack.restarts=0"), "attack.restarts=0"),
        (("attack/step=apgd", "attack.step.size=0"), "attack.step.size=0"),
        (("attack=single", "attack.tasks=[flying]"), "attack.tasks=['flying']"),
        (("precision=fp8",), "precision=fp8"),
    ],
)
def test_an_attack_that_cannot_run_is_refused_before_any_model(call, small, tmp_path: Path, options, text) -> None:
    done = call("attack", *small, f"outputs={tmp_path}", *options)
    assert done.status == 2
    assert text in done.err
    assert "expected" in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "checkpoints").exists()


def test_weighted_total_shows_each_weighting_and_the_best_per_image(call, small, tmp_path: Path) -> None:
    done = call("attack", *small, f"outputs={tmp_path}", "attack=weighted_total", "attack.grid=1", "eps=8")
    assert done.status == 0, done.err
    arp = pd.read_csv(tmp_path / "tables" / "arp.csv")
    assert set(arp["target"]) == {"all", "w1/0/0", "w0/1/0", "w0/0/1"}
    assert done.out.count("best weighting") == 1
    checks = pd.read_csv(tmp_path / "tables" / "checks.csv").set_index("attack")
    assert checks.loc["weighted_total", "gradients_per_image"] == 3 * 2, "three weightings of two steps"
    assert checks.loc["weighted", "gradients_per_image"].tolist() == [2, 2, 2]


def test_bench_writes_its_table(call, small, tmp_path: Path) -> None:
    done = call(
        *("bench", "dataset.images=39", "dataset.resolution=32", f"outputs={tmp_path}"),
        *("repeats=1", "limit=3", "batch_size=2", "objectives=[dgba,sign_sum,smooth_arp]", "steps=[fgsm,apgd]"),
    )
    assert done.status == 0, done.err
    assert "times faster than the naive form" in done.out
    (table,) = [path for path in (tmp_path / "bench").glob("*.csv") if not path.stem.endswith("-pass")]
    rows = pd.read_csv(table).set_index("item")
    assert {"forward", "floor", "dgba fgsm", "sign_sum apgd", "dgba apgd, naive form"} <= set(rows.index)
    assert {"smooth_arp fgsm", "smooth_arp apgd"} <= set(rows.index), "it climbs metrics"
    assert rows.loc["floor", "floors"] == 1
    assert (rows["seconds"] > 0).all()


def test_bench_refuses_an_unknown_objective(call, tmp_path: Path) -> None:
    done = call("bench", "dataset.images=39", "dataset.resolution=32", f"outputs={tmp_path}", "objectives=[dbga]")
    assert done.status == 2
    assert "expected a list of" in done.err
