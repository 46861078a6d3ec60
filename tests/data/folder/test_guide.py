"""docs/datasets.md, run as it is written, on a folder such as it describes."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mtlbench.data.folder.description import KINDS, known
from mtlbench.data.folder.places import Split
from tests.data.conftest import save

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "datasets.md").read_text()
BLOCKS = dict(re.findall(r"^```yaml\n# (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
COMMANDS = [line for line in re.findall(r"^    (mtlbench .*)$", PAGE, re.MULTILINE) if "/data/" not in line]
SIZE = (40, 48)


def make_shop(root: Path) -> None:
    """Pictures in which the defective part is the dark one, and the near one is red."""
    random, rows = np.random.default_rng(0), ["id,part,scratch,dent,days"]
    for number in range(12):
        name = f"{number:04}"
        defective, image = np.zeros(SIZE, bool), random.integers(100, 256, (*SIZE, 3), np.uint8)
        defective[5 : 10 + number, 8:30] = True
        image[defective] //= 4
        depth = (500 + 10 * image[..., 0].astype(np.uint16)) * (random.random(SIZE) > 0.1)
        save(root / f"images/{name}.png", image)
        save(root / f"defects/{name}.png", 255 * defective.astype(np.uint8))
        save(root / f"depth/{name}.png", depth.astype(np.uint16))
        rows.append(f"{name},{('gear', 'plate')[number % 2]},{number % 3 // 2},{number % 2},{number * 1.5}")
    (root / "train.txt").write_text("".join(f"{number:04}\n" for number in range(8)))
    (root / "test.txt").write_text("".join(f"{number:04}\n" for number in range(8, 12)))
    (root / "labels.csv").write_text("\n".join(rows))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The folder, and the descriptions of the page in the working folder; only the place differs."""
    make_shop(tmp_path / "shop")
    for name, text in BLOCKS.items():
        assert "root: /data/shop\n" in text
        (tmp_path / name).write_text(text.replace("/data/shop", str(tmp_path / "shop")))
    return tmp_path


def test_the_page_is_what_this_file_takes_it_for() -> None:
    assert list(BLOCKS) == ["shop.yaml", "parts.yaml"]
    assert [command.split()[1] for command in COMMANDS] == ["data", "data", "data", "train", "attack", "data"]
    for text in BLOCKS.values():
        assert len(text.splitlines()) <= 7


def test_the_commands_run_as_written(call: Callable, shop: Path) -> None:
    said = {}
    for command in COMMANDS:
        done = call(*shlex.split(command)[1:])
        assert done.status == 0, (command, done.err)
        said[command] = done.out
    verify, info, baseline, _, attack, of_images = said.values()
    assert "bad:" not in verify + of_images
    assert "note:" not in verify + of_images
    assert "depth masked" in verify
    assert "defective" in info
    assert "abs_err" in baseline
    assert "shop" in attack
    for task in ("part masked", "flaws masked", "age masked"):
        assert task in of_images


def test_every_key_and_ready_description_stands_on_the_page() -> None:
    documented = set(re.findall(r"[a-z0-9_]+", " ".join(re.findall(r"^\| ([^|]*) \|", PAGE, re.MULTILINE))))
    keys = {key for keys in KINDS.values() for key in keys} | {"kind", "missing"}
    assert keys - documented == {"file", "column"} - documented
    assert set(known()) <= documented
    assert set(Split.__dataclass_fields__) <= documented
    assert all(f"`{key}`" in PAGE for key in ("file", "column"))
