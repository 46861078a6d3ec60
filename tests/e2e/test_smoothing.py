"""Certificates from the command line: computed once, repeated to the bit, never above what attacks leave."""

import csv
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

CLUSTERS = ("dataset=clusters", "dataset.D=20", "dataset.K=6", "dataset.tasks=2", "model=two_layer", "limit=40")
ATTACK = ("attack=total", "attack/step=pgd", "eps=[0.1,0.3]")
PARTS = ("dataset=parts", "dataset.images=26", "dataset.resolution=32", "training=noise", "training.iterations=3")
DRAWS = ("defence.draws=200", "defence.select=10", "defence.attack_draws=2")
MODEL = "two_layer-p1+smoothing(sigma=0.2,draws=200,select=10,attack_draws=2)"


def rows(folder: Path, table: str) -> list[dict[str, str]]:
    with (folder / "tables" / f"{table}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_certified_beside_attacked(call: Callable, tmp_path: Path) -> None:
    defences = ("defence=none,smoothing", "defence.sigma=0.2", *DRAWS)
    command = ("attack", "-m", *CLUSTERS, *ATTACK, *defences, f"outputs={tmp_path}", "training.iterations=300")
    done = call(*command)
    assert done.status == 0, done.err
    assert "Certified accuracy over the radius" in done.out
    assert {row["model"] for row in rows(tmp_path, "arp")} == {MODEL.partition("+")[0], MODEL}
    found = rows(tmp_path, "smoothing")
    assert {row["task"] for row in found} == {"group1", "group2"}
    assert {(row["model"], row["sigma"], row["draws"]) for row in found} == {(MODEL, "0.2", "200")}
    assert (tmp_path / "plots" / "smoothing.svg").is_file()
    both = [row for row in found if row["attacked_accuracy"]]
    assert [row["radius"] for row in both] == ["0.0", "0.1", "0.3"] * 2
    assert float(both[1]["certified_accuracy"]) > 0.5, "clusters are far apart"
    for row in both:
        assert float(row["certified_accuracy"]) <= float(row["attacked_accuracy"])
        assert row["attacked_undefended"]
    store = tmp_path / "store"
    before = {path.name: path.stat().st_mtime_ns for path in store.glob("*.npz")}
    assert len(before) == 7, "clean, .1 and .3, with and without a defence, and the clean cell of the training"
    assert call(*command).status == 0
    assert {path.name: path.stat().st_mtime_ns for path in store.glob("*.npz")} == before

    audit = call("report", "audit=7", f"outputs={tmp_path}")
    assert audit.status == 0, audit.err
    assert audit.out.count(": equal") == 7
    again = call("report", "study=smoothing", f"outputs={tmp_path}")
    assert again.status == 0, again.err
    assert rows(tmp_path, "smoothing") == found


def test_training_with_noise_and_a_certificate_alone(call: Callable, tmp_path: Path) -> None:
    model = (*PARTS, f"outputs={tmp_path}")
    trained = call("train", *model, "training.sigma=8")
    assert trained.status == 0, trained.err
    command = ("attack", *model, "attack=none", "defence=smoothing", "defence.sigma=16", *DRAWS)
    done = call(*command, "training.sigma=8")
    assert done.status == 0, done.err
    assert "Certified accuracy over the radius" in done.out
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1
    found = rows(tmp_path, "smoothing")
    assert {row["training"] for row in found} == {"noise"}
    assert {row["attacked_accuracy"] for row in found if float(row["radius"])} == {""}
    other = call(*command)
    assert other.status == 0, other.err
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2, "by default the noise of the defence"


def test_sentences_have_certificates_of_the_tasks_of_a_sentence(call: Callable, tmp_path: Path) -> None:
    sentences = ("dataset=sentences", "dataset.sentences=260", "dataset.embedding.dim=8")
    model = ("model=bilstm", "model.width=4", "sharing=all_shared", "training.iterations=40", "training.lr=0.01")
    draws = ("defence.draws=20", "defence.select=5", "defence.attack_draws=2")
    defended = ("defence=smoothing", "defence.sigma=0.2", *draws)
    done = call("attack", *sentences, *model, "attack=none", *defended, f"outputs={tmp_path}")
    assert done.status == 0, done.err
    found = rows(tmp_path, "smoothing")
    assert {row["task"] for row in found} == {"intent", "count"}, "slots are of words"
    assert {row["unit"] for row in found} == {"RMS of an embedding coordinate"}
    assert {row["sigma"] for row in found} == {"0.2"}
    assert all(0 < float(row["certified_accuracy"]) <= float(row["clean_accuracy"]) <= 1 for row in found)


def test_the_command_that_trains_a_missing_model_names_the_noise(call: Callable, tmp_path: Path) -> None:
    """Images of one's own are not trained on unasked; the command works as it is printed."""
    made = call("data", *PARTS[:3], "action=make", f"outputs={tmp_path}")
    assert made.status == 0, made.err
    (root,) = (tmp_path / "datasets").iterdir()
    own = ("dataset=folder", "dataset.describe=mvtec_ad", f"dataset.root={root}", "dataset.resolution=32")
    model = ("model=tiny", "training=noise", "training.iterations=2", f"outputs={tmp_path}")
    done = call("attack", *own, *model, "attack=none", "defence=smoothing", "defence.sigma=16", *DRAWS)
    assert done.status != 0
    (line,) = (line.strip() for line in done.err.splitlines() if "mtlbench train" in line)
    assert line.endswith("training.sigma=16")
    again = call(*shlex.split(line)[1:])
    assert again.status == 0, again.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("dataset=parts", "defence=smoothing"), "defence.sigma is missing: give defence.sigma=..."),
        (("dataset=parts", "defence=smoothing", "defence.sigma=0"), "defence.sigma=0: expected a positive number"),
        (("dataset=parts", "defence=smoothing", "defence.sigma=1", "defence.draws=0"), "defence.draws=0: expected a"),
        (("dataset=rooms", "defence=smoothing", "defence.sigma=1"), "dataset=rooms has the tasks segmentation, nor"),
        (("dataset=parts", "defence.sigma=1"), "defence=none adds no noise; give defence=smoothing as well"),
        (("dataset=parts", "defence=smooth"), "did you mean smoothing?"),
        (("dataset=parts", "training=noise"), "training=noise: give training.sigma=..."),
        (("dataset=parts", "training=noise", "training.sigma=-2"), "training.sigma=-2: expected a positive number"),
    ],
)
def test_bad_input(call: Callable, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    done = call("attack", *options, f"outputs={tmp_path}")
    assert done.status == 2
    assert message in done.err
    assert not (tmp_path / "datasets").exists()
