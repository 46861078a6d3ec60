"""Counts that are mostly zero: stored short, read whole, and a claim of a length is not believed."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mtlbench.errors import DamagedCellError
from mtlbench.storage.sparse import LONG, MAX_LENGTH, restored, shortened
from mtlbench.storage.store import Cell, Store


@pytest.mark.parametrize("filled", [0, 1, LONG // 2 - 1, LONG // 2, LONG])
def test_what_is_stored_comes_back(filled: int) -> None:
    counts = np.zeros(LONG, np.int64)
    counts[:filled] = np.arange(1, filled + 1)
    arrays = {"counts": counts, "short": np.zeros(9, np.int64), "float": np.zeros(LONG)}
    stored, lengths = shortened(arrays)
    assert lengths == ({"counts": LONG} if 2 * filled < LONG else {})
    found = restored(stored, lengths)
    assert all(
        np.array_equal(found[name], array) and found[name].dtype == array.dtype for name, array in arrays.items()
    )


@pytest.mark.parametrize("length", [MAX_LENGTH + 1, -1, 2.0, "9", None, True, 5])
def test_a_length_that_cannot_be_is_damage(tmp_path: Path, length: object) -> None:
    counts = np.zeros(2 * LONG, np.int64)
    counts[1500] = 7
    store = Store(tmp_path)
    path = store.save(Cell({"eps": 1}, {}, {}, {"counts": counts}))
    with np.load(path) as archive:
        arrays = dict(archive)
    header = json.loads(arrays["header"].tobytes())
    header["sparse"]["counts"] = length
    np.savez(path, **arrays | {"header": np.frombuffer(json.dumps(header).encode(), np.uint8)})
    assert zipfile.is_zipfile(path)
    with pytest.raises(DamagedCellError):
        store.load(path.stem)
