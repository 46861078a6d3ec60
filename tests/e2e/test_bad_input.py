"""What users get wrong: each gives one message that names the culprit and what would be right, and its exit status."""

import json
import os
import pickle
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

USAGE, ENVIRONMENT = 2, 3


def expect(done: object, status: int, *words: str | Path) -> None:
    """One message, the right status, and these words in it."""
    error, found = done.err, done.status  # type: ignore[attr-defined]
    assert found == status, error
    messages = [line for line in error.splitlines() if line.startswith("mtlbench: ")]
    assert len(messages) == 1, error
    assert "Traceback" not in error
    assert "Error executing job" not in error
    for word in words:
        assert str(word) in error


OPTIONS = {
    # Names
    "unknown option": (("dataset.imges=3",), "dataset.imges=3: no such option; did you mean dataset.images?"),
    "unknown nested option": (
        ("attack.step.stepz=3",),
        "attack.step.stepz=3: no such option; did you mean attack.step.steps?",
    ),
    "unknown choice": (
        ("attack=dbga",),
        "attack/dbga: no such option; did you mean dgba?; there are auto, average_other, ",
    ),
    "unknown experiment": (
        ("experiment=quikstart",),
        "experiment/quikstart: no such option; did you mean quickstart?",
    ),
    "unknown step": (("attack/step=pdg",), "attack/step/pdg: no such option; did you mean pgd?"),
    "group with a dot": (("attack.step=pgd",), "attack.step=pgd: to choose an option write attack/step=pgd"),
    "space": (("attack.space=words",), "attack.space=words: no such option; did you mean attack/step=words eps=["),
    "words": (("attack.words=3",), "attack.words=3: no such option; did you mean attack/step=words eps=[1,3]?"),
    "substitutes": (
        ("attack.substitutes=neighbours",),
        "attack.substitutes=neighbours: no such option; did you mean attack/step=words attack.step.substitutes?",
    ),
    "added words": (("+attack.words=3",), "+attack.words=3: no such option; did you mean attack/step=words eps=["),
    "added": (("+limt=4",), "+limt=4: no such option; did you mean limit?; leave the + out"),
    "added below": (("++training.iteration=4",), "++training.iteration=4: no such option; did you mean training.iter"),
    "of another choice": (
        ("attack=noise", "attack.step.steps=2"),
        "attack.step.steps=2: not an option of what is chosen here (Key 'step",
    ),
    "experiments": (("experiment=quickstart,transfer",), "experiment=quickstart,transfer: expected one experiment"),
    "metrics": (("dataset.metrics=miou",), "dataset.metrics=miou: expected task: [metric, ...]"),
    "no checkpoint": (("checkpoint=null",), "checkpoint=null: expected auto, a weights file, or its folder"),
    "no choice": (("model=null",), "model=null: expected the name of an option of model, one of bilstm, custom, "),
    "deleted": (("~attack",), "~attack: options cannot be deleted"),
    # Grammar
    "no value": (("eps",), "eps: expected key=value such as eps=4"),
    "unclosed list": (("eps=[1,2",), "eps=[1,2: expected key=value such as eps=4, or a list such as eps=[1,2]"),
    "list without brackets": (("eps=1,2",), "eps=1,2: a list is written eps=[1,2]; a sweep over the values needs -m"),
    "unknown reference": (("eps=${nope}",), "eps: Interpolation key 'nope' not found"),
    # Epsilon
    "negative": (("eps=-1",), "eps=-1: expected a number from 0 to 255; eps counts grey levels of 255: write eps=4"),
    "empty list": (("eps=[]",), "eps=[]: the list is empty; eps counts grey levels of 255"),
    "fraction": (("eps=4/255",), "eps=4/255: expected a number from 0 to 255; eps counts grey levels of 255: write"),
    "not a number": (("eps=nan",), "eps=nan: expected a number from 0 to 255"),
    "infinite": (("eps=inf",), "eps=inf: expected a number from 0 to 255"),
    "text in a list": (("eps=[1,two]",), "eps=two: expected a number from 0 to 255"),
    # Other numbers
    "no images": (("limit=0",), "limit=0: expected a whole number of at least 1, or null"),
    "half an image": (("limit=1.5",), "limit=1.5: expected a whole number of at least 1, or null"),
    "empty batch": (("batch_size=0",), "batch_size=0: expected a whole number of at least 1"),
    "seed": (("seed=-1",), "seed=-1: expected a whole number of at least 0"),
    "workers": (("workers=many",), "workers=many: expected a whole number of at least 0"),
    "no iterations": (("training.iterations=0",), "training.iterations=0: expected a whole number of at least 1"),
    "training batch": (("training.batch_size=0",), "training.batch_size=0: expected a whole number of at least 1"),
    "learning rate": (("training.lr=0",), "training.lr=0: expected a positive number"),
    "schedule": (("training.schedule=cosine",), "training.schedule=cosine: expected one_cycle or halve"),
    "no steps": (("attack.step.steps=0",), "attack.step.steps=0: expected a whole number of at least 1"),
    "step size": (("attack.step.size=-1",), "attack.step.size=-1: expected a positive number, for example 0.25"),
    "no tau": (("attack=worst_task", "attack.tau=0"), "attack.tau=0: expected a positive number, for example 0.3"),
    "tau below 0": (("attack=worst_task", "attack.tau=-1"), "attack.tau=-1: expected a positive number"),
    "tau in words": (("attack=worst_task", "attack.tau=soft"), "attack.tau=soft: expected a positive number"),
    "restarts": (("attack.restarts=0",), "attack.restarts=0: expected a whole number of at least 1"),
    "time-out": (("timeout=0.5",), "timeout=0.5: expected seconds, at least 1, or null"),
    "time-out that would never stop": (("timeout=1e-6",), "timeout=1e-06: expected seconds, at least 1, or null"),
    "time-out in words": (("timeout=true",), "timeout=True: expected seconds, at least 1, or null"),
    "flag": (("force=maybe",), "force=maybe: expected true or false"),
    "no, as a word": (("attack.random_start=no",), "attack.random_start=no: expected true or false"),
    "mirror": (("dataset.augment.mirror=off",), "dataset.augment.mirror=off: expected true or false"),
    "scores": (("scores.name=foo",), "scores.name=foo: expected standard or paper"),
    "batch of the paper": (("scores.paper_batch=0",), "scores.paper_batch=0: expected a whole number of at least 1"),
    # Dataset, sharing, tasks, device
    "resolution": (("dataset.resolution=big",), "dataset.resolution=big: expected a number of pixels such as 64, or"),
    "tiny rooms": (("dataset.resolution=8",), "dataset.resolution=8x8: expected height x width from 16x16"),
    "one image": (("dataset.images=1",), "dataset.images=1: expected a whole number of at least 2"),
    "no root": (("dataset=nyuv2",), "dataset.root is missing: give dataset.root=..."),
    "no tree": (("sharing=tree",), "sharing=tree: neither of sharing.index and sharing.partitions given"),
    "two trees": (
        ("sharing=tree", "sharing.index=3", "sharing.partitions='012|012|012|012|012'"),
        "sharing=tree: both of sharing.index and sharing.partitions given; expected one of them",
    ),
    "tree that is not there": (
        ("sharing=tree", "sharing.index=99"),
        "sharing.index=99: 3 tasks have 51 trees, 0 to 50",
    ),
    "short tree": (
        ("sharing=tree", "sharing.partitions='012'"),
        "sharing.partitions='012': expected 5 blocks written",
    ),
    "unknown task": (
        ("attack=single", "attack.tasks=[foo]"),
        "attack.tasks=['foo']: expected one or more of segmentation, normals, depth",
    ),
    "device": (("device=nonsense",), "device=nonsense: expected auto, cpu, cuda or cuda:N"),
    # Code from configuration
    "system": (("attack.objective._target_=os.system",), "_target_=os.system: expected a class of mtlbench"),
    "foreign class": (("model._target_=torch.nn.Linear",), "_target_=torch.nn.Linear: expected a class of mtlbench"),
    "re-exported": (
        ("model._target_=mtlbench.config.dataset.Path",),
        "_target_=mtlbench.config.dataset.Path: expected a class of mtl",
    ),
    "unknown class": (("model._target_=mtlbench.models.tiny.Tony",), "_target_=mtlbench.models.tiny.Tony: module"),
    "unknown argument": (
        ("+model.depth=3",),
        "mtlbench.models.tiny.Tiny: Tiny.__init__() got an unexpected keyword argument",
    ),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_a_wrong_option(call: Callable, tmp_path: Path, small: tuple[str, ...], case: str) -> None:
    overrides, message = OPTIONS[case]
    # nyuv2 has no option dataset.images.
    base = [option for option in small if "dataset=nyuv2" not in overrides or option.startswith("training")]
    expect(call("attack", *base, *overrides), USAGE, f"mtlbench: {message}")
    assert not (tmp_path / "outputs" / "checkpoints").exists()
    assert not (tmp_path / "outputs" / "store").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("data", "action=check"), "action=check: expected make, verify, info"),
        (
            ("data", "action=make", "dataset=nyuv2", "dataset.root=/data"),
            "expected rooms, rooms5, rooms8, parts or sentences",
        ),
        (("data", "action=[make]"), "action=['make']: expected make, verify, info"),
        (("data", "action=make", "dataset.root=/data"), "dataset.root=/data: action=make writes to its own folder"),
        (("bench", "steps=5"), "steps=5: expected a list of fgsm, pgd, mim"),
        (("bench", "objectives=null"), "objectives=None: expected a list of single, total, dgba"),
        (("bench", "objectives=[[dgba]]"), "objectives=[['dgba']]: expected a list of single"),
        (("bench", "catalogue=null"), "catalogue=None: expected objectives and steps by name"),
        (("bench", "compile=maybe"), "compile=maybe: expected true or false"),
        (("layouts", "tasks=true"), "tasks=True: expected a whole number from 1 to 5"),
        (("layouts", "-m", "limit=range(0)"), "-m limit=range(0): these choices leave no point to run"),
        (("attack", "-m", "attack=glob(dbga*)"), "attack=glob(dbga*): these choices leave no point to run"),
        (
            ("attack", "-m", "experiment=quickstart,transfer"),
            "experiment=quickstart,transfer: expected one experiment",
        ),
        (("layouts", "tasks=9"), "tasks=9: expected a whole number from 1 to 5"),
        (("layouts", "limit=few"), "limit=few: expected a whole number of at least 1, or null"),
        (("train", "eps=4"), "eps=4: no such option"),
        (("train", "training=fierce"), "training/fierce: no such option; there are adversarial, adversarial_c"),
    ],
)
def test_a_wrong_option_of_another_command(call: Callable, arguments: tuple[str, ...], message: str) -> None:
    expect(call(*arguments), USAGE, message)


TREES = ("experiment=tradeoff", "all_trees=true", "sharing.index=0,1")  # two of 51: composing all takes 16 s
EARLY = {
    "tree": (("attack", "sharing=tree", "sharing.index=51"), "sharing.index=51: 3 tasks have 51 trees, 0 to 50"),
    "half a tree": (("train", "sharing=tree", "sharing.index=1.5"), "sharing.index=1.5: 3 tasks have 51 trees"),
    "partitions": (("attack", "sharing=tree", "sharing.partitions=012"), "expected 5 blocks written like"),
    "blocks": (("bench", "sharing.shared_blocks=9"), "sharing.shared_blocks=9: expected 0 (independent) to 5"),
    "trees of five": (("attack", "dataset=rooms5", *TREES), "5 tasks have 7556"),
    "attacked task": (("attack", "attack.tasks=[foo]"), "attack.tasks=['foo']: expected one or more of segmentation"),
    "metric": (
        ("data", "dataset.metrics={depth:[miou]}"),
        "dataset.metrics.depth=['miou']: expected a list of one or",
    ),
    "task of a metric": (("train", "dataset.metrics={foo:[miou]}"), "dataset.metrics.foo: no such task"),
    "scaled task": (("attack", "attack.loss_scale={foo:2}"), "attack.loss_scale.foo: no such task"),
    "scale": (("attack", "attack.loss_scale={depth:0}"), "attack.loss_scale.depth=0: expected a factor"),
    "tasks of a dataset": (
        ("train", "dataset=rooms8", "dataset.tasks=[depth,dpeth]"),
        "dataset.tasks=['depth', 'dpeth']: expected one or more of segmentation, normals, depth, keypoints2d",
    ),
    "normals": (("attack", "dataset.normals=round"), "dataset.normals=round: expected raw or decoded"),
    "classes": (("attack", "dataset.classes=255"), "dataset.classes=255: expected at most 254"),
    "one class": (("attack", "dataset.classes=1"), "dataset.classes=1: expected a whole number of at least 2"),
    "mirror": (("attack", "dataset.augment.mirror=off"), "dataset.augment.mirror=off: expected true or false"),
    "scale of images": (("attack", "dataset.augment.scale_min=0"), "expected 0 < scale_min <= scale_max < 100"),
    "links": (("attack", "dataset.follow_links=yes"), "dataset.follow_links=yes: expected true or false"),
    "states": (("train", "training.save_every=0"), "training.save_every=0: expected a whole number of at least 1"),
    "start": (("attack", "attack.random_start=no"), "attack.random_start=no: expected true or false"),
    "generator": (("data", "dataset.seed=-1"), "dataset.seed=-1: expected a whole number of at least 0"),
}


@pytest.mark.parametrize(("arguments", "message"), EARLY.values(), ids=EARLY)
def test_a_wrong_option_is_noticed_before_rooms_are_generated(
    call: Callable, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = call(*arguments)
    assert (done.status, done.out) == (USAGE, "")
    assert message in done.err
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["runs"]


@pytest.mark.parametrize(
    "argument",
    ["attack=../../evil", "attack={folder}/evil", 'attack="../evil"', "attack=[../evil]", "attack=dgba,../evil"],
)
def test_a_path_is_no_choice(call: Callable, tmp_path: Path, argument: str) -> None:
    """Hydra by itself would load the file, wherever it lies."""
    (tmp_path / "evil.yaml").write_text("name: evil\nobjective: {_target_: os.system}\n")
    done = call("attack", "-m", argument.format(folder=tmp_path), "--cfg", "job")
    expect(done, USAGE, "expected the name of an option of attack, one of auto, average_other, ")
    assert "evil\n" not in done.out


def test_a_sweep_writes_to_one_folder(call: Callable, tmp_path: Path, small: tuple[str, ...]) -> None:
    folders = tmp_path / "a", tmp_path / "b"
    done = call("attack", "-m", f"outputs={folders[0]},{folders[1]}", *small, "limit=2", "eps=8")
    expect(done, USAGE, f"outputs={folders[0]},{folders[1]}: expected one folder, run the command once for each")
    assert list(tmp_path.iterdir()) == []
    done = call("attack", "-m", f"outputs=choice({folders[0]},{folders[1]})", *small, "limit=2", "eps=8")
    assert done.status == 1
    assert f"outputs={folders[1]}: the points of a sweep write to one folder, here {folders[0]}" in done.err
    assert (folders[0] / "tables" / "arp.csv").is_file(), "what the first point computed is kept and shown"
    assert not (folders[1] / "store").exists()


def test_an_audit_of_nothing_fails(call: Callable, tmp_path: Path) -> None:
    expect(call("report", "audit=5", f"outputs={tmp_path / 'nowhere'}"), ENVIRONMENT, "store: no results yet")


def test_no_gpu(call: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    expect(
        call("attack", "device=cuda"), ENVIRONMENT, "device=cuda: PyTorch sees 0 GPUs; use device=cpu or device=auto"
    )


@pytest.mark.parametrize("place", ["/proc/mtlbench", "{file}", "{file}/below"])
def test_outputs_that_cannot_be_written(call: Callable, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    place = place.format(file=tmp_path / "file")
    expect(call("attack", f"outputs={place}"), ENVIRONMENT, place, "cannot be read or written")


def test_a_report_of_nothing(call: Callable) -> None:
    expect(call("report"), ENVIRONMENT, "outputs/store: no results yet; `mtlbench attack` makes some")


def test_a_damaged_cell(call: Callable, own_outputs: Path) -> None:
    cell, *_ = sorted((own_outputs / "store").iterdir())
    cell.write_bytes(cell.read_bytes()[:100])
    expect(
        call("report", f"outputs={own_outputs}"),
        ENVIRONMENT,
        cell,
        "damaged cell",
        "the attack that made it computes it again",
    )


# Datasets


@pytest.fixture
def packed(outputs: Path, tmp_path: Path) -> Path:
    """A small dataset in the format of NYUv2, to be broken."""
    (rooms,) = (path for path in (outputs / "datasets").iterdir() if path.is_dir())
    return Path(shutil.copytree(rooms, tmp_path / "nyuv2"))


@pytest.fixture
def weights(outputs: Path) -> Path:
    """Weights that fit `packed`."""
    return outputs / "checkpoints" / "rooms-tiny-all_shared-clean-s0" / "model.safetensors"


def nyuv2(root: Path) -> tuple[str, ...]:
    options = ("dataset.classes=13", "dataset.normals=decoded", "dataset.resolution=32")
    return ("dataset=nyuv2", f"dataset.root={root}", *options)


def attack(root: Path, weights: Path) -> tuple[str, ...]:
    return ("attack", *nyuv2(root), f"checkpoint={weights}", "attack.step.steps=1", "eps=4")


def test_the_unbroken_dataset_works(call: Callable, packed: Path, weights: Path) -> None:
    done = call(*attack(packed, weights))
    assert done.status == 0, done.err


def test_root_missing(call: Callable, tmp_path: Path, weights: Path) -> None:
    gone = tmp_path / "gone"
    message = f"mtlbench: dataset.root={gone}: no such folder; expected the folder of dataset=nyuv2"
    expect(call(*attack(gone, weights)), ENVIRONMENT, message)


def test_root_is_another_dataset(call: Callable, tmp_path: Path, weights: Path) -> None:
    (tmp_path / "mtan" / "train" / "image").mkdir(parents=True)
    expect(call(*attack(tmp_path / "mtan", weights)), ENVIRONMENT, "use dataset=nyuv2_mtan")


def no_list(root: Path) -> tuple[Path, str]:
    (root / "nyu_v2_3task.json").unlink()
    return root / "nyu_v2_3task.json", "no such file; img, seg, normal_mask, depth are here"


def outside_by_name(root: Path) -> tuple[Path, str]:
    return outside(root, "../secret.png")


def outside_by_link(root: Path) -> tuple[Path, str]:
    (root.parent / "secret.png").write_bytes(b"secret")
    (root / "img" / "link.png").symlink_to(root.parent / "secret.png")
    return outside(root, "img/link.png")


def outside(root: Path, path: str) -> tuple[Path, str]:
    lists = json.loads((root / "nyu_v2_3task.json").read_text())
    lists["test"][1][0] = path
    (root / "nyu_v2_3task.json").write_text(json.dumps(lists))
    return root / "nyu_v2_3task.json", f"entry '{path}' "


def cut_short(root: Path) -> tuple[Path, str]:
    file = root / "img" / "test_00001.png"
    file.write_bytes(file.read_bytes()[:-40])
    return file, "PNG cut short after"


def sixteen_bits(root: Path) -> tuple[Path, str]:
    file = root / "seg" / "test_00001.png"
    cv2.imwrite(str(file), np.zeros((32, 32), np.uint16))
    return file, "16-bit grey-scale PNG; expected 8-bit grey-scale"


def class_out_of_range(root: Path) -> tuple[Path, str]:
    file = root / "seg" / "test_00001.png"
    cv2.imwrite(str(file), np.full((32, 32), 77, np.uint8))
    return file, "class ids [77]; expected 0..12 or 255"


def not_finite(root: Path) -> tuple[Path, str]:
    file = root / "depth" / "test_00001.npy"
    depth = np.load(file)
    depth[3, 4] = np.nan
    np.save(file, depth)
    return file, "1 of 1024 values are NaN or infinite; expected none"


def missing(root: Path) -> tuple[Path, str]:
    (root / "depth" / "test_00001.npy").unlink()
    return root / "depth" / "test_00001.npy", "cannot be read (No such file or directory)"


def gone(root: Path) -> tuple[Path, str]:
    file, _ = missing(root)
    return file, "no such file"


def of_another_size(root: Path) -> tuple[Path, str]:
    file = root / "depth" / "test_00001.npy"
    np.save(file, np.ones((16, 32), np.float32))
    return file, f"16x32 pixels, but its image {root / 'img' / 'test_00001.png'} has 32x32"


BREAKAGES = [
    *(no_list, outside_by_name, outside_by_link, cut_short, sixteen_bits, class_out_of_range, not_finite, missing)
]


@pytest.mark.parametrize("damage", BREAKAGES)
def test_broken_files(call: Callable, packed: Path, weights: Path, damage: Callable[[Path], tuple[Path, str]]) -> None:
    file, message = damage(packed)
    expect(call(*attack(packed, weights)), ENVIRONMENT, f"mtlbench: {file}: {message}")


def test_a_broken_file_in_a_worker(run: Callable, packed: Path, weights: Path) -> None:
    """PyTorch wraps what a worker raises in its traceback."""
    file, message = cut_short(packed)
    expect(run(*attack(packed, weights), "workers=1"), ENVIRONMENT, f"mtlbench: {file}: {message}")


@pytest.mark.parametrize("damage", [cut_short, sixteen_bits, class_out_of_range, not_finite, gone, of_another_size])
def test_verify_finds_them(call: Callable, packed: Path, damage: Callable[[Path], tuple[Path, str]]) -> None:
    file, message = damage(packed)
    done = call("data", "action=verify", *nyuv2(packed))
    expect(done, ENVIRONMENT, f"{packed}: 1 files cannot be used; they are listed above")
    (line,) = (line for line in done.out.splitlines() if line.startswith("bad: "))
    assert line.startswith(f"bad: {file}: {message}")
    assert line.count(str(file)) == 1


def test_without_a_checkpoint_it_says_how_to_train(call: Callable, packed: Path) -> None:
    options = (*nyuv2(packed), "sharing=share2", "training.iterations=2", "training.batch_size=4")
    done = call("attack", *options, "attack=total", "attack.step.steps=1", "eps=4", "limit=2")
    expect(done, ENVIRONMENT, "nyuv2-tiny-share2-clean-s0: no trained model here", "or give a weights file")
    (line,) = (line.strip() for line in done.err.splitlines() if line.strip().startswith("mtlbench train"))
    _, *words = shlex.split(line)
    assert call(*words).status == 0
    done = call("attack", *options, "attack=total", "attack.step.steps=1", "eps=4", "limit=2")
    assert done.status == 0, done.err


# Weights


def test_no_weights(call: Callable, packed: Path, tmp_path: Path) -> None:
    expect(
        call(*attack(packed, tmp_path / "no.pt")), ENVIRONMENT, tmp_path / "no.pt", "no such file; expected a weights"
    )


@pytest.mark.parametrize("name", ["page.pt", "page.safetensors"])
def test_a_web_page(call: Callable, packed: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("<!DOCTYPE html><html>Sign in</html>")
    expect(call(*attack(packed, tmp_path / name)), ENVIRONMENT, tmp_path / name, "this is a web page, not weights")


class Canary:
    """Runs code where it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.file),)


@pytest.mark.parametrize("save", [torch.save, lambda value, file: file.write_bytes(pickle.dumps(value, 2))])
def test_a_pickle_with_code(call: Callable, packed: Path, tmp_path: Path, save: Callable) -> None:
    save({"weight": Canary(tmp_path / "canary")}, tmp_path / "evil.pt")
    done = call(*attack(packed, tmp_path / "evil.pt"))
    expect(done, ENVIRONMENT, tmp_path / "evil.pt", "not a file of plain tensors", "code inside weights is never run")
    assert not (tmp_path / "canary").exists()


def test_weights_of_another_tree(call: Callable, packed: Path, weights: Path) -> None:
    expected = "holds weights of tree 012|012|012|012|012; expected tree 012|012|0,1,2|0,1,2|0,1,2"
    expect(call(*attack(packed, weights), "sharing=share2"), ENVIRONMENT, weights, expected)


def test_weights_of_other_tasks(call: Callable, packed: Path, weights: Path) -> None:
    done = call(*attack(packed, weights), "dataset.classes=40")
    expect(done, ENVIRONMENT, weights, '"segmentation": 13', 'expected tasks {"segmentation": 40')


def test_weights_of_another_model(call: Callable, packed: Path, weights: Path) -> None:
    expected = "holds weights of model tiny; expected model mobilenet_v2"
    expect(call(*attack(packed, weights), "model=mobilenet_v2"), ENVIRONMENT, weights, expected)


def test_bare_weights_with_a_wrong_shape(call: Callable, packed: Path, weights: Path, tmp_path: Path) -> None:
    state = load_file(weights)
    name = sorted(state)[0]
    save_file(state | {name: torch.zeros(3, 7)}, tmp_path / "bare.safetensors")
    expect(call(*attack(packed, tmp_path / "bare.safetensors")), ENVIRONMENT, name, "has shape (3, 7), expected")


def test_truncated_weights(call: Callable, packed: Path, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.safetensors").write_bytes(weights.read_bytes()[:5000])
    expect(call(*attack(packed, tmp_path / "cut.safetensors")), ENVIRONMENT, "not a readable safetensors file")
