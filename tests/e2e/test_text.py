"""Sentences from nothing: made, described, trained on, attacked in both ways, reported."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.slu_files import TRAIN, atis, write

SMALL = ("dataset.sentences=260", "dataset.embedding.dim=8", "training.iterations=2")
MODEL = ("model=bilstm", "model.width=4")
TASKS = {"intent": {"accuracy"}, "slots": {"span_f1", "token_accuracy"}, "count": {"accuracy"}}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("text")


@pytest.mark.parametrize(
    ("experiment", "eps", "step", "unit"),
    [("text", "0.2", "mim_linear", "RMS of an embedding coordinate"), ("text_words", "2.0", "words", "words")],
)
def test_the_experiments(call: Callable, outputs: Path, experiment: str, eps: str, step: str, unit: str) -> None:
    fewer = (
        "seed=0",
        "sharing=all_shared",
        "attack=single,dgba",
        f"outputs={outputs}",
        "limit=4",
        *SMALL,
        "model.width=4",
    )
    done = call("attack", f"experiment={experiment}", *fewer, f"eps={eps}")
    assert done.status == 0, done.err
    assert f"model bilstm-4, training clean, seed 0, sharing all_shared, step {step}, " in done.out
    assert f"eps_unit {unit}" in done.out
    found = {
        (row["attack"], row["target"], row["step"], row["eps"], row["eps_unit"])
        for row in rows(outputs / "tables" / "arp.csv")
    }
    targets = (("dgba", "all"), *(("single", task) for task in TASKS))
    assert found == {(attack, target, step, eps, unit) for attack, target in targets}
    scored = {(row["task"], row["metric"]) for row in rows(outputs / "tables" / "metrics.csv")}
    assert scored == {(task, metric) for task, metrics in TASKS.items() for metric in metrics}
    assert all(float(row["outside"] or 0) < 1e-6 for row in rows(outputs / "tables" / "checks.csv"))


@pytest.mark.parametrize("how", ["attack.norm=l2", "attack=auto"])
def test_the_transformer_at_a_tree(call: Callable, outputs: Path, how: str) -> None:
    """Also under the reference attack, which has no random search to compare with here."""
    tree = ("sharing=tree", "sharing.partitions='012|0,12|0,12'")
    model = ("model=text_transformer", "model.width=16", *tree)
    done = call("attack", "dataset=sentences", *model, *SMALL, f"outputs={outputs}", "limit=2", "eps=0.2", how)
    assert done.status == 0, done.err
    assert "model text_transformer-3x16" in done.out


def test_the_data_command(call: Callable, outputs: Path) -> None:
    made = call("data", "dataset=sentences", "action=make", SMALL[0], f"outputs={outputs}")
    assert "sentences-v1-260-s0 is there" in made.out
    described = call("data", "dataset=sentences", *SMALL[:2], f"outputs={outputs}", "action=info")
    assert "20 sentences of up to " in described.out
    assert "B-from_city" in described.out
    verified = call("data", "dataset=sentences", *SMALL[:2], f"outputs={outputs}", "action=verify")
    assert (verified.status, "note:" in verified.out) == (0, False)
    constant = call("data", "dataset=sentences", *SMALL[:2], f"outputs={outputs}", "action=baseline")
    assert [metric for metrics in TASKS.values() for metric in metrics if metric not in constant.out] == []


def test_sentences_of_others(call: Callable, tmp_path: Path) -> None:
    """Trained first, because they are not ours; tags and an intent that the test alone has."""
    root = atis(tmp_path / "atis")
    which = ("dataset=slu", f"dataset.root={root}", "dataset.embedding.dim=4", *MODEL, f"outputs={tmp_path}")
    refused = call("attack", *which, "eps=0.2")
    assert refused.status == 3
    assert "mtlbench train dataset=slu" in refused.err
    assert call("train", *which, "training.iterations=2").status == 0
    done = call("attack", *which, "training.iterations=2", "eps=0.2", "attack=total")
    assert done.status == 0, done.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("dataset=sentences",),
            "model=tiny: it reads image inputs; those of dataset=sentences are of form",
        ),
        (("model=bilstm",), "model=bilstm: it reads text inputs; those of dataset=rooms are of form image"),
        (("dataset=sentences", *MODEL, "attack/step=words"), "eps=0.1: expected a whole number; eps counts words"),
        (("dataset=sentences", *MODEL, "attack/step=square"), "attack/step=square: it moves images"),
        (("attack/step=words", "eps=1"), "attack/step=words: it moves texts; the inputs are of form image"),
        (("dataset=sentences", *MODEL, "dataset.embedding.dim=0"), "dataset.embedding.dim=0: expected"),
        (("dataset=sentences", *MODEL, "dataset.sentences=1"), "dataset.sentences=1: expected"),
        (
            ("dataset=sentences", *MODEL, "training=adversarial"),
            "training.eps=null: 8 grey levels is the radius for images; give one in units of RMS of an embedding",
        ),
        (("dataset=sentences", *MODEL, "training=adversarial", "training.step=words"), "training.eps=1"),
        (("dataset=sentences", *MODEL, "save_images=2"), "save_images=2: dataset=sentences has no images"),
    ],
)
def test_what_is_refused(call: Callable, outputs: Path, options: tuple[str, ...], message: str) -> None:
    done = call("attack", *options, f"outputs={outputs}")
    assert done.status == 2
    assert message in done.err


def test_a_damaged_file_is_named(call: Callable, tmp_path: Path) -> None:
    root = atis(tmp_path / "atis")
    shutil.rmtree(root / "train")
    write(root, "train", [*TRAIN, ("one word too many", "O O O", "i")])
    done = call("data", "action=verify", "dataset=slu", f"dataset.root={root}")
    assert done.status == 3
    assert "seq.out: line 7 has 3 tags, but its sentence in" in done.err + done.out
