"""The example for inspection from nothing: tasks per image beside one of pixels, trained, attacked, reported."""

import csv
from collections.abc import Callable
from pathlib import Path

SMALL = ("dataset.images=26", "dataset.resolution=32", "training.iterations=2", "limit=2")
TASKS = {
    "defect": {"accuracy", "balanced_accuracy", "macro_f1"},
    "mask": {"miou", "pixel_accuracy"},
    "severity": {"mae", "rmse", "r2"},
}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_parts_on_a_small_scale(call: Callable, tmp_path: Path) -> None:
    fewer = ("sharing=all_shared", "attack=single,dgba")
    done = call("attack", "experiment=parts", *fewer, f"outputs={tmp_path}", *SMALL, "eps=4")
    assert done.status == 0, done.err
    assert "dataset parts, model tiny" in done.out
    found = {(row["attack"], row["target"]) for row in rows(tmp_path / "tables" / "arp.csv")}
    assert found == {("dgba", "all"), *(("single", task) for task in TASKS)}
    scored = {(row["task"], row["metric"]) for row in rows(tmp_path / "tables" / "metrics.csv")}
    assert scored == {(task, metric) for task, metrics in TASKS.items() for metric in metrics}

    none = call("attack", "dataset=parts", "attack=none", f"outputs={tmp_path}", *SMALL)
    assert none.status == 0, none.err

    described = call("data", "dataset=parts", *SMALL[:2], f"outputs={tmp_path}", "action=info")
    assert "defect: 100.0 % of the images are valid" in described.out
    assert "stain" in described.out
    constant = call("data", "dataset=parts", *SMALL[:2], f"outputs={tmp_path}", "action=baseline")
    assert constant.status == 0, constant.err
    assert [metric for metrics in TASKS.values() for metric in metrics if metric not in constant.out] == []
