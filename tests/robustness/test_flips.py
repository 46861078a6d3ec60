"""Single bits of an outputs folder flipped: what is read is what was written, or nothing. Never a wrong number.

Every byte of what names and describes results, and random ones of everything. Files that nobody reads again (tables,
logs, curve.csv, clean_metrics.csv, the text of a failure) are left out.
"""

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from mtlbench.data import fingerprint as fingerprints
from mtlbench.engine.training import Recipe, train
from mtlbench.errors import MtlbenchError
from mtlbench.models.checkpoint import load_weights
from mtlbench.models.model import weights_hash
from mtlbench.models.sharing import level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import TreeModel, build
from mtlbench.storage.checkpoints import Checkpoint, read_recipe
from mtlbench.storage.claims import claim_of, take
from mtlbench.storage.store import Cell, Store
from mtlbench.tasks import three_tasks
from tests.e2e.conftest import command, environment
from tests.fakes import FakeDataset

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = ("dataset.images=26", "dataset.resolution=32", "training.iterations=2", "+model.width=0.1", "attack/step=fgsm")
TRAINING = Recipe(iterations=4, batch_size=2, lr=1e-3)
DATASET = FakeDataset(4, size=(8, 8))
NOTHING = object()
"""What is read where a file is refused: an error, or work that begins anew."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An outputs folder with everything in it: cells, one of them unfinished, a model, a training that was killed."""
    outputs = tmp_path_factory.mktemp("flips") / "outputs"
    subprocess.run([*command(), "attack", f"outputs={outputs}", *SMALL, "eps=4"], env=environment(), check=True)
    store = Store(outputs / "store")
    cell = next(iter(store))
    store.keep(Cell({**cell.identity, "eps": 9.0}, cell.provenance, cell.tasks, cell.arrays), 1)
    _train(outputs / "state.pt", until=2)
    return outputs


def _train(state: Path, until: int) -> tuple[str, list[list[float]]]:
    """A training of four steps that is killed after `until`; weights and curve."""

    def stop(done: int, total: int, note: str) -> None:
        if done == until:
            raise KeyboardInterrupt

    model = build(Tiny(0.1), level(3, 5), DATASET.tasks, 0)
    try:
        curve = train(model, DATASET, TRAINING, torch.device("cpu"), state, save_every=1, progress=stop)
    except KeyboardInterrupt:
        return "", []
    return weights_hash(model), curve.rows


def meaning_of_cell(path: Path) -> object:
    cell = Store(path.parent).load(path.stem)
    arrays = {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in cell.arrays.items()}
    return json.dumps([cell.identity, cell.provenance, cell.tasks], sort_keys=True), arrays


def meaning_of_partial(path: Path) -> object:
    copy = path.read_bytes()
    found = Store(path.parents[1]).kept(path.stem)
    path.write_bytes(copy)  # a damaged one is removed
    return NOTHING if found is None else (json.dumps([found[0].identity, found[0].provenance]), found[1])


@cache
def _model() -> TreeModel:
    return build(Tiny(0.1), level(3, 5), three_tasks(13), 0)


def meaning_of_weights(path: Path) -> object:
    """A recipe that is not found is none: the weights are then called ``given``."""
    recipe = load_weights(_model(), path)
    return weights_hash(_model()), json.dumps(recipe, sort_keys=True) if recipe else NOTHING


def meaning_of_recipe(path: Path) -> object:
    """It is trusted as far as it is what the weights beside it say."""
    recipe = read_recipe(path.parent)
    weights = load_weights(_model(), path.parent / "model.safetensors")
    return json.dumps(recipe, sort_keys=True) if recipe == weights else NOTHING


def meaning_of_cost(path: Path) -> object:
    return json.dumps(Checkpoint(path.parent, {}).cost, sort_keys=True)


def meaning_of_state(path: Path) -> object:
    """What the training that goes on from it ends with."""
    copy = path.read_bytes()
    found = _train(path, until=-1)
    path.write_bytes(copy)
    return found


def meaning_of_fingerprints(path: Path) -> object:
    return fingerprints._load(path) or NOTHING


READERS: dict[str, Callable[[Path], object]] = {
    "store/*.npz": meaning_of_cell,
    "store/partial/*.npz": meaning_of_partial,
    "checkpoints/*/model.safetensors": meaning_of_weights,
    "checkpoints/*/recipe.yaml": meaning_of_recipe,
    "checkpoints/*/cost.json": meaning_of_cost,
    "datasets/fingerprints.json": meaning_of_fingerprints,
    "state.pt": meaning_of_state,
}
EXPENSIVE = ("state.pt",)
"""A training is run to its end for each flip; a share of the others is enough."""


def header(path: Path) -> range:
    """The bytes that say what a file is: its JSON header, or all of a small text file."""
    data = path.read_bytes()
    if path.suffix == ".safetensors":
        return range(8 + int.from_bytes(data[:8], "little"))
    if path.suffix == ".npz":
        return range(data.index(b"PK\x03\x04", 4))  # the first entry is the header
    return range(len(data)) if path.suffix in (".yaml", ".json") else range(0)


def read(path: Path, reader: Callable[[Path], object]) -> object:
    try:
        return reader(path)
    except MtlbenchError:
        return NOTHING


def harmless(found: object, expected: object) -> bool:
    if found is NOTHING or found == expected:
        return True
    # Weights that are right, without their recipe.
    both = isinstance(found, tuple) and isinstance(expected, tuple)
    return both and found[0] == expected[0] and found[1] is NOTHING


def flip(path: Path, reader: Callable[[Path], object], expected: object, places: list[tuple[int, int]]) -> int:
    """Flip one bit at a time; the number that was detected."""
    original, detected = path.read_bytes(), 0
    for at, bit in places:
        damaged = bytearray(original)
        damaged[at] ^= 1 << bit
        path.write_bytes(damaged)
        found = read(path, reader)
        assert harmless(found, expected), f"{path.name}: bit {bit} of byte {at}"
        detected += found is NOTHING
    path.write_bytes(original)
    return detected


def files(folder: Path) -> list[tuple[Path, Callable[[Path], object]]]:
    return [(path, reader) for pattern, reader in READERS.items() for path in sorted(folder.glob(pattern))]


def run_flips(folder: Path, number: int, every: int) -> tuple[int, int]:
    """Random flips over all files, by their size, and those of every byte of every header (one in `every`)."""
    draw = random.Random(0)
    total = detected = 0
    found = files(folder)
    sizes = {path: path.stat().st_size / (20 if path.name in EXPENSIVE else 1) for path, _ in found}
    for path, reader in found:
        expected = read(path, reader)
        assert expected is not NOTHING
        assert harmless(read(path, reader), expected), "the same every time"
        count = max(1, round(number * sizes[path] / sum(sizes.values())))
        places = [(draw.randrange(path.stat().st_size), draw.randrange(8)) for _ in range(count)]
        places += [(at, draw.randrange(8)) for at in header(path)[:: every if every > 1 else None]]
        detected += flip(path, reader, expected, places)
        total += len(places)
    return total, detected


def test_a_flipped_bit_is_detected_or_harmless(folder: Path, tmp_path: Path) -> None:
    total, detected = run_flips(Path(shutil.copytree(folder, tmp_path / "outputs")), 150, every=40)
    assert 0 < detected <= total


@pytest.mark.robustness
@pytest.mark.timeout(3600)
def test_ten_thousand_flipped_bits_and_every_byte_of_every_header(folder: Path, tmp_path: Path) -> None:
    total, detected = run_flips(Path(shutil.copytree(folder, tmp_path / "outputs")), 10_000, every=1)
    print(f"{total} flips: {detected} detected, {total - detected} harmless, no wrong number")


def test_a_claim_says_nothing_but_its_name_and_time(folder: Path, tmp_path: Path) -> None:
    """Whatever its file holds, it is ours: nobody else takes it, we release it."""
    path = tmp_path / "cell.npz"
    assert take(path) is None
    (file,) = claim_of(path).iterdir()
    file.write_bytes(b"\xff" * 9)
    assert take(path) == file.name
