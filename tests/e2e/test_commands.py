"""The commands as processes: what they print, what they write, how they leave."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from mtlbench.experiment import trained
from mtlbench.models.checkpoint import load_weights
from mtlbench.models.tree_model import TreeModel

FIRST = [
    *("dataset", "model", "training", "sharing", "shared_blocks", "attack", "step", "steps", "target", "eps"),
    *("seed", "n_images", "scores"),
]
COLUMNS = {
    "metrics": ["task", "metric", "unit", "higher_is_better", "clean", "attacked", "relative_drop"],
    "damage": [
        *("task", "damage_percent", "ci_low", "ci_high"),
        *("damage_capped", "capped_low", "capped_high", "capped_metrics"),
    ],
    "arp": [
        *("arp_percent", "ci_low", "ci_high", "status"),
        *("arp_capped", "capped_low", "capped_high", "capped_status"),
    ],
    "transferability": [
        *("source", "destination", "ratio", "gain_vs_independent", "status", "ratio_low", "ratio_high"),
        *("gain_low", "gain_high", "normalised_ratio", "normalised_low", "normalised_high", "normalised_status"),
    ],
}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[str, bytes]:
    """Of all files but the hidden ones: notes of what they were made of."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("[!.]*") if file.is_file()}


def times(folder: Path) -> dict[str, int]:
    """When each file was written, but caches: that of fingerprints knows files by place, and these are copies."""
    files = (
        file for file in folder.rglob("*") if file.is_file() and not file.name.startswith(("fingerprints", "index"))
    )
    return {str(file): file.stat().st_mtime_ns for file in files}


def test_help_lists_the_commands_without_importing_torch_or_hydra() -> None:
    code = (
        "import sys; from mtlbench.cli import entry as cli; sys.argv = ['mtlbench', '--help']\n"
        "try: cli.main()\n"
        "except SystemExit as left: assert left.code == 0\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not {"torch", "hydra", "numpy", "pandas", "rich"} & set(done.stderr.split())
    for command in ("attack", "train", "report", "data", "layouts"):
        assert f"mtlbench {command} " in done.stdout
    assert len(done.stdout.splitlines()) < 20


def test_no_command_means_help(run: Callable) -> None:
    alone, help = run(), run("--help")
    assert (alone.status, alone.out) == (help.status, help.out)
    assert alone.status == 0


def test_an_unknown_command_is_refused_with_the_nearest(run: Callable) -> None:
    done = run("attak")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("mtlbench: unknown command 'attak'; did you mean attack?\n")


def test_a_wrong_option_as_a_process(run: Callable, tmp_path: Path) -> None:
    """`test_bad_input` does this within its own process; here is what a shell sees."""
    done = run("attack", f"outputs={tmp_path}", "eps=-1")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("mtlbench: eps=-1: expected a number from 0 to 255; eps counts grey levels of 255")
    assert len(done.err.splitlines()) == 1


def test_the_first_attack_writes_what_is_promised(outputs: Path) -> None:
    assert {path.name for path in outputs.iterdir()} == {"checkpoints", "datasets", "runs", "store", "tables"}
    written = {path.name for path in (outputs / "tables").iterdir()}
    assert written >= {f"{table}.{suffix}" for table in COLUMNS for suffix in ("csv", "md", "tex", "html")}
    for table, further in COLUMNS.items():
        header = (outputs / "tables" / f"{table}.csv").read_text().splitlines()[0]
        columns = [*FIRST, *further, "cell"]
        assert header.split(",") == columns
        assert "\n| --- |" in (outputs / "tables" / f"{table}.md").read_text()
        assert r"\begin{tabular}" in (outputs / "tables" / f"{table}.tex").read_text()


def test_the_rows_are_those_asked_for(outputs: Path) -> None:
    metrics, arp = rows(outputs / "tables" / "metrics.csv"), rows(outputs / "tables" / "arp.csv")
    assert {(row["attack"], row["target"], row["eps"]) for row in metrics} == {
        *(("none", "all", "0.0"), ("dgba", "all", "2.0"), ("dgba", "all", "8.0"))
    }
    assert {(row["eps"], row["scores"]) for row in arp} == {
        (e, s) for e in ("2.0", "8.0") for s in ("standard", "paper")
    }
    assert {row["task"] for row in metrics} == {"segmentation", "normals", "depth"}
    assert {row["n_images"] for row in metrics} == {"3"}
    assert {(row["sharing"], row["shared_blocks"], row["step"], row["steps"]) for row in arp} == {
        ("all_shared", "5", "mim_linear", "2")
    }
    clean = [row for row in metrics if row["attack"] == "none"]
    assert all(row["clean"] == row["attacked"] for row in clean)


def test_the_checkpoint_is_named_and_described(outputs: Path) -> None:
    folder = outputs / "checkpoints" / "rooms-tiny-all_shared-clean-s0"
    assert {p.name for p in folder.iterdir()} == {
        "model.safetensors",
        "recipe.yaml",
        "clean_metrics.csv",
        "curve.csv",
        "cost.json",
    }
    assert yaml.safe_load((folder / "recipe.yaml").read_text())["training"]["iterations"] == 4
    assert len((folder / "curve.csv").read_text().splitlines()) == 1 + 4
    assert {row["n_images"] for row in rows(folder / "clean_metrics.csv")} == {"3"}


def test_the_run_folder_says_where_the_numbers_come_from(outputs: Path) -> None:
    (folder,) = (outputs / "runs").glob("*-attack-*")  # others may have looked at the results, too
    assert {p.name for p in folder.iterdir()} == {"config.yaml", "attack.log", "provenance.json"}
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["eps"] == [2, 8]
    assert "eps=[2,8]" in config["overrides"]
    origin = json.loads((folder / "provenance.json").read_text())
    assert {"time", "commit", "versions", "device"} <= origin.keys()
    assert "torch" in origin["versions"]


def test_a_second_start_computes_nothing_and_writes_the_same_tables(
    run: Callable, own_outputs: Path, small: tuple[str, ...]
) -> None:
    parts = ("store", "checkpoints", "datasets")
    before = [times(own_outputs / part) for part in parts], contents(own_outputs / "tables")
    done = run("attack", f"outputs={own_outputs}", *small, "eps=[2,8]")
    assert (done.status, done.err) == (0, "")
    assert ([times(own_outputs / part) for part in parts], contents(own_outputs / "tables")) == before
    assert "ARP" in done.out
    assert "dgba" in done.out


def test_a_further_epsilon_computes_one_cell(call: Callable, own_outputs: Path, small: tuple[str, ...]) -> None:
    before = times(own_outputs / "store")
    assert call("attack", f"outputs={own_outputs}", *small, "eps=[2,4,8]").status == 0
    after = times(own_outputs / "store")
    assert before.items() <= after.items()
    assert len(after) == len(before) + 1


def test_batch_size_and_limit(call: Callable, own_outputs: Path, small: tuple[str, ...]) -> None:
    """The batch size is no part of a result's identity; the number of images is."""
    before = times(own_outputs / "store")
    assert call("attack", f"outputs={own_outputs}", *small, "eps=[2,8]", "batch_size=1").status == 0
    assert times(own_outputs / "store") == before
    assert call("attack", f"outputs={own_outputs}", *small, "eps=[2,8]", "limit=1").status == 0
    assert len(times(own_outputs / "store")) == 2 * len(before)


def test_force_computes_again_and_finds_the_same(call: Callable, own_outputs: Path, small: tuple[str, ...]) -> None:
    before, tables = times(own_outputs / "store"), contents(own_outputs / "tables")
    assert call("attack", f"outputs={own_outputs}", *small, "eps=[2,8]", "force=true").status == 0
    after = times(own_outputs / "store")
    assert after.keys() == before.keys()
    assert all(after[name] > before[name] for name in before)
    assert contents(own_outputs / "tables") == tables


def test_a_sweep_finishes_although_one_point_is_bad(call: Callable, own_outputs: Path, small: tuple[str, ...]) -> None:
    done = call(
        *("attack", "-m", f"outputs={own_outputs}", *small),
        *("attack=dgba,single", "eps=-1,4"),
    )
    assert done.status == 1, done.err
    assert done.err.count("mtlbench: eps=-1: expected a number from 0 to 255") == 1, "said once"
    assert "eps=-1" in done.err.split("in point 0 of the sweep:")[1].splitlines()[0]
    assert "eps=-1" in done.err.split("in point 2 of the sweep:")[1].splitlines()[0]
    assert "mtlbench: 2 of 4 points of the sweep failed" in done.err
    assert "Traceback" not in done.err
    assert "Error executing job" not in done.err
    stored = rows(own_outputs / "tables" / "arp.csv")
    assert {(row["attack"], row["target"]) for row in stored if row["eps"] == "4.0"} == {
        *(("dgba", "all"), ("single", "segmentation"), ("single", "normals"), ("single", "depth"))
    }
    assert {row["destination"] for row in rows(own_outputs / "tables" / "transferability.csv")} == {
        *("segmentation", "normals", "depth", "mean")
    }
    assert "Transferability ratio" in done.out


def test_a_message_that_all_points_share_is_not_repeated_for_each(call: Callable, own_outputs: Path) -> None:
    done = call("attack", "-m", f"outputs={own_outputs}", "eps=-1", "seed=0,1,2,3,4")
    assert done.status == 2, done.err
    lines = done.err.splitlines()
    said = "eps=-1: expected a number from 0 to 255"
    assert lines[0].startswith(f"mtlbench: {said}")
    assert [line.split(":")[0] for line in lines[1:4]] == [f"  in point {n} of the sweep" for n in (0, 1, 2)]
    assert lines[4].startswith(f"mtlbench: in 5 points of the sweep: {said}")
    assert lines[5:] == ["mtlbench: 5 of 5 points of the sweep failed"]


def test_fail_fast_leaves_out_the_rest(call: Callable, own_outputs: Path, small: tuple[str, ...]) -> None:
    before = times(own_outputs / "store")
    done = call("attack", "-m", f"outputs={own_outputs}", *small, "eps=-1,4", "fail_fast=true")
    assert done.status == 2
    assert "skipped after the failure" in done.err
    assert times(own_outputs / "store") == before


def test_quickstart_on_a_small_scale(call: Callable, tmp_path: Path) -> None:
    small = ("dataset.images=39", "dataset.resolution=32", "training.iterations=2", "limit=2", "eps=4")
    done = call("attack", "experiment=quickstart", f"outputs={tmp_path}", *small)
    assert done.status == 0, done.err
    found = {(row["sharing"], row["attack"], row["target"]) for row in rows(tmp_path / "tables" / "arp.csv")}
    attacks = [("total", "all"), ("dgba", "all"), *(("single", task) for task in ("segmentation", "normals", "depth"))]
    assert found == {(sharing, *attack) for sharing in ("independent", "all_shared") for attack in attacks}
    assert {p.name for p in (tmp_path / "checkpoints").iterdir()} == {
        *("rooms-tiny-independent-clean-s0", "rooms-tiny-all_shared-clean-s0")
    }


def test_train_then_attack_uses_that_model(call: Callable, tmp_path: Path, small: tuple[str, ...]) -> None:
    common = [option for option in small if not option.startswith("attack.")]
    done = call("train", "sharing=share2", *common)
    assert done.status == 0, done.err
    weights = tmp_path / "outputs" / "checkpoints" / "rooms-tiny-share2-clean-s0" / "model.safetensors"
    assert str(weights.relative_to(tmp_path)) in done.out
    before = weights.stat().st_mtime_ns
    assert call("attack", "sharing=share2", *small, "eps=4").status == 0
    assert weights.stat().st_mtime_ns == before


def test_report_rebuilds_the_tables(call: Callable, own_outputs: Path) -> None:
    of_page = {"leaderboard.csv", "sharing.csv"}
    tables = {name: text for name, text in contents(own_outputs / "tables").items() if name not in of_page}
    for file in (own_outputs / "tables").iterdir():
        file.unlink()
    done = call("report", f"outputs={own_outputs}")
    assert done.status == 0, done.err
    found = contents(own_outputs / "tables")
    assert found.keys() - tables.keys() == of_page
    assert {name: found[name] for name in tables} == tables
    assert "dgba" in done.out


def test_cfg_job_shows_the_configuration(call: Callable) -> None:
    done = call("attack", "attack=single", "eps=4", "--cfg", "job")
    config = yaml.safe_load(done.out)
    assert (done.status, config["attack"]["name"], config["eps"]) == (0, "single", 4)


def test_command_help_lists_groups_and_options(call: Callable) -> None:
    done = call("attack", "--help")
    assert done.status == 0
    assert "attack/step: " in done.out
    assert "dgba" in done.out


def test_layouts_shows_all_51_trees_of_three_tasks(call: Callable) -> None:
    done = call("layouts", "tasks=3")
    assert done.status == 0
    numbered = [line.split()[0] for line in done.out.splitlines() if "blocks)" in line]
    assert numbered == [str(index) for index in range(51)]
    assert "independent" in done.out.splitlines()[0]


@pytest.mark.parametrize("dataset", ["rooms", "rooms5", "rooms8", "parts"])
def test_data_make_verify_info(call: Callable, dataset: str) -> None:
    options = ("data", f"dataset={dataset}", "dataset.images=14", "dataset.resolution=32")
    made = call(*options, "action=make")
    assert made.status == 0, made.err
    assert f"outputs/datasets/{dataset}-v1-14x32x32-s0 is there" in made.out
    verified = call(*options, "action=verify")
    assert verified.status == 0, verified.err
    assert f"{dataset}, train" in verified.out
    described = call(*options, "action=info")
    assert described.status == 0, described.err
    assert "13 images of 32x32 pixels" in described.out
    assert "1 images of 32x32 pixels" in described.out


def test_points_with_one_model_load_it_once(
    call: Callable, own_outputs: Path, small: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Path] = []

    def counted(model: TreeModel, file: Path) -> object:
        loaded.append(file)
        return load_weights(model, file)

    monkeypatch.setattr(trained, "load_weights", counted)
    done = call("attack", "-m", f"outputs={own_outputs}", *small, "eps=2", "attack=dgba,total,power")
    assert done.status == 0, done.err
    assert len(loaded) == 1


def test_the_printed_tables_have_the_rows_and_columns_asked_for(call: Callable, own_outputs: Path) -> None:
    tidy = (own_outputs / "tables" / "arp.csv").read_bytes()
    where = "report.where=attack == 'dgba' and eps in (8, 16)"
    done = call("report", f"outputs={own_outputs}", "report.rows=[eps]", "report.columns=[attack]", where)
    assert done.status == 0, done.err
    shown = [line.split() for line in done.out.splitlines()]
    assert ["eps", "dgba"] in shown
    written = (own_outputs / "tables" / "arp.tex").read_text()
    assert r"eps & \multicolumn" in written
    assert "\n8 & " in written
    assert "\n2 & " not in written
    assert (own_outputs / "tables" / "arp.csv").read_bytes() == tidy


def test_a_column_that_is_not_there_is_named(call: Callable, own_outputs: Path) -> None:
    before = contents(own_outputs / "tables")
    done = call("report", f"outputs={own_outputs}", "report.rows=[atack]")
    assert done.status == 2
    assert (
        "report.rows: no result is told apart by a column atack; did you mean attack?; there are dataset," in done.err
    )
    assert contents(own_outputs / "tables") == before
