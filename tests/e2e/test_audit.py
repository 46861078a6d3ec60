"""Every number can be traced and had again; what decides it and nothing else leads to computing it again."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from mtlbench.storage import store
from mtlbench.storage.store import Store


def stored(outputs: Path) -> Store:
    return Store(outputs / "store")


def attacked(outputs: Path) -> str:
    return next(cell.key for cell in stored(outputs) if cell.identity["attack"] == "dgba")


def test_a_cell_is_traced(call: Callable, outputs: Path) -> None:
    key = attacked(outputs)
    done = call("report", f"outputs={outputs}", f"cell={key[:8]}")
    assert done.status == 0, done.err
    told = yaml.safe_load(done.out)
    cell = stored(outputs).load(key)
    assert told["cell"]["key"] == key
    assert told["identity"] == json.loads(json.dumps(cell.identity))
    assert told["config"]["attack"]["name"] == "dgba"
    assert told["config"]["eps"] == [2, 8]
    assert {"commit", "versions", "device_name", "time", "pass_seconds"} <= told["made"].keys()
    assert told["metrics"].keys() == {"standard", "paper"}
    assert told["metrics"]["standard"]["depth"]["abs_err"] > 0


@pytest.mark.parametrize("key", ["zzz", "''"])
def test_no_such_cell(call: Callable, outputs: Path, key: str) -> None:
    done = call("report", f"outputs={outputs}", f"cell={key}")
    assert done.status == 2
    assert "expected a key, or its beginning" in done.err


def test_an_audit_finds_the_same_bits(call: Callable, outputs: Path) -> None:
    before = {path.name: path.read_bytes() for path in (outputs / "store").glob("*.npz")}
    done = call("report", f"outputs={outputs}", f"audit={len(before) + 5}")
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert len(lines) == len(before)
    assert all(line.endswith(": equal") for line in lines)
    assert {path.name: path.read_bytes() for path in (outputs / "store").glob("*.npz")} == before


def test_an_audit_finds_a_wrong_number(call: Callable, own_outputs: Path) -> None:
    """Its checksum is right, its content is not what the code gives."""
    kept = stored(own_outputs)
    cell = kept.load(attacked(own_outputs))
    wrong = {name: array * 2 if name == "depth/depth_sums" else array for name, array in cell.arrays.items()}
    wrong["depth/depth_sums"][:, 0] /= 2  # the number of pixels stays
    kept.save(replace(cell, arrays=wrong))
    done = call("report", f"outputs={own_outputs}", "audit=100")
    assert done.status == 1
    assert [line for line in done.out.splitlines() if ": different" in line and cell.key in line]
    assert "1 of 3 cells cannot be reproduced as they are stored" in done.err


def test_an_audit_names_what_has_changed(call: Callable, own_outputs: Path) -> None:
    (folder,) = (path for path in (own_outputs / "checkpoints").iterdir() if path.is_dir())
    _other_weights(folder / "model.safetensors")
    done = call("report", f"outputs={own_outputs}", "audit=1")
    assert done.status == 1
    assert "changed: another weights" in done.out


def _other_weights(path: Path) -> None:
    tensors = load_file(path)
    name = next(name for name, tensor in tensors.items() if tensor.dtype == torch.float32)
    tensors[name] = tensors[name] + 0.01
    save_file(tensors, path)


def _change_an_image(outputs: Path) -> None:
    image = next((outputs / "datasets").glob("rooms-*/img/test_*.png"))
    picture = cv2.imread(str(image))
    assert picture is not None
    picture[0, 0] ^= 255
    cv2.imwrite(str(image), picture)


CHANGES: dict[str, Callable[[Path, pytest.MonkeyPatch], object]] = {
    "an image": lambda outputs, patch: _change_an_image(outputs),
    "the weights": lambda outputs, patch: _other_weights(next(outputs.glob("checkpoints/*/model.safetensors"))),
    "the result version": lambda outputs, patch: patch.setattr(store, "RESULT_VERSION", store.RESULT_VERSION + 1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_decides_a_result_leads_to_computing_it_again(
    call: Callable, own_outputs: Path, small: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    before = set(stored(own_outputs).keys())
    CHANGES[change](own_outputs, monkeypatch)
    done = call("attack", f"outputs={own_outputs}", *small, "eps=[2,8]")
    assert done.status == 0, done.err
    assert len(set(stored(own_outputs).keys()) - before) == 3
    told = call("report", f"outputs={own_outputs}").err
    assert ("3 cells of another result version are in no table" in told) == (change == "the result version")


def test_what_does_not_decide_it_computes_nothing(
    call: Callable, own_outputs: Path, small: tuple[str, ...], tmp_path: Path
) -> None:
    moved = Path(shutil.move(own_outputs, tmp_path / "moved to another place"))
    (moved / "datasets" / "fingerprints.json").unlink()  # an index: rebuilt from what it is of
    before = {path.name: path.stat().st_mtime_ns for path in (moved / "store").glob("*.npz")}
    options = ("batch_size=1", "workers=1", "device=cpu", "timeout=500", "scores=paper")
    done = call("attack", f"outputs='{moved}'", *small, "eps=[2,8]", *options)
    assert done.status == 0, done.err
    assert {path.name: path.stat().st_mtime_ns for path in (moved / "store").glob("*.npz")} == before
    assert (moved / "datasets" / "fingerprints.json").is_file()


def test_a_damaged_cell_is_set_aside_and_computed_again(
    call: Callable, own_outputs: Path, small: tuple[str, ...]
) -> None:
    path = stored(own_outputs).path(attacked(own_outputs))
    good, tables = path.read_bytes(), {p.name: p.read_bytes() for p in (own_outputs / "tables").glob("[!.]*")}
    path.write_bytes(good[:200] + bytes([good[200] ^ 1]) + good[201:])
    report = call("report", f"outputs={own_outputs}")
    assert report.status == 3
    assert f"{path}: " in report.err
    assert path.is_file(), "a report only reads"
    again = call("attack", f"outputs={own_outputs}", *small, "eps=[2,8]")
    assert again.status == 0, again.err
    assert f"{path}: " in again.err
    assert [aside.name for aside in (own_outputs / "store" / "corrupt").iterdir()] == [f"{path.stem}.0.npz"]
    assert {name: (own_outputs / "tables" / name).read_bytes() for name in tables} == tables
