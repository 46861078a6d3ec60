"""Files that are whole or absent, whatever moment the process dies."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mtlbench.storage import files, owner
from mtlbench.storage.files import write_atomically
from mtlbench.storage.store import Cell, Store


class Killed(BaseException):
    pass


@pytest.fixture
def killed_before(monkeypatch):
    """A function that makes the process "die" just before it calls what it is given."""

    def arm(owner: object, name: str) -> None:
        def die(*_, **__):
            raise Killed

        monkeypatch.setattr(owner, name, die)

    return arm


def cell(number: int, eps: float = 4.0) -> Cell:
    return Cell({"eps": eps}, {}, {}, {"losses": np.full((7, 2), float(number))})


@pytest.mark.parametrize(("owner", "name"), [(Path, "replace"), (os, "fsync")])
def test_death_between_write_and_rename_keeps_the_old_file(tmp_path, killed_before, owner, name):
    kept = Store(tmp_path)
    kept.save(cell(0))
    killed_before(owner, name)
    with pytest.raises(Killed):
        kept.save(cell(1))
    with pytest.raises(Killed):
        kept.save(cell(2, eps=8.0))
    assert (kept.load(cell(0).key).arrays["losses"] == 0).all()
    assert kept.keys() == [cell(0).key]
    assert [path.name for path in tmp_path.iterdir()] == [f"{cell(0).key}.npz"]


def test_a_killed_process_leaves_no_cell(tmp_path):
    """A real death: not even `finally` runs, so a temporary file stays, which nobody takes for a cell."""
    code = (
        "import os, pathlib, sys\n"
        "from mtlbench.storage.files import write_atomically\n"
        "pathlib.Path.replace = lambda *_: os._exit(9)\n"
        "write_atomically(pathlib.Path(sys.argv[1]), b'x' * 100_000)\n"
    )
    target = tmp_path / "cell.npz"
    target.write_bytes(b"old")
    root = str(Path(files.__file__).parents[2])
    assert subprocess.run([sys.executable, "-c", code, str(target)], cwd=root).returncode == 9
    assert target.read_bytes() == b"old"
    (left,) = set(tmp_path.iterdir()) - {target}
    assert left.name.startswith(".cell.npz.")
    assert left.name.endswith(".tmp")
    assert Store(tmp_path).keys() == ["cell"]


@pytest.mark.parametrize("content", [b"", b"bytes \xff", "text é ∞\n"], ids=repr)
def test_write_atomically(tmp_path, content):
    path = tmp_path / "a" / "b" / "file.txt"
    for _ in range(2):
        write_atomically(path, content)
        assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
        assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


def test_content_is_on_disk_before_the_name_points_to_it(tmp_path, monkeypatch):
    done: list[str] = []
    real_fsync, real_replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append("fsync"), real_fsync(fd))[1])
    monkeypatch.setattr(Path, "replace", lambda self, to: (done.append("replace"), real_replace(self, to))[1])
    write_atomically(tmp_path / "file", b"x")
    assert done == ["fsync", "replace", "fsync"]


def test_a_failed_write_leaves_nothing(tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "inside").touch()
    with pytest.raises(OSError):
        write_atomically(tmp_path / "target", b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["target"]


# What dead processes leave


@pytest.fixture(scope="module")
def ended() -> str:
    """The name of a process that has ended."""
    code = "from mtlbench.storage import owner; print(owner.me())"
    root = str(Path(files.__file__).parents[2])
    return subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True).stdout.strip()


def test_removes_what_the_dead_left_and_nothing_else(tmp_path, ended):
    left = [f".a.npz.{ended}.tmp", f".folder.{ended}.tmp"]
    kept = [
        f".b.npz.{owner.me()}.tmp",
        ".c.npz.elsewhere~b00t~1~17~99.tmp",
        ".d.npz.tmp",
        f"visible.{ended}.tmp",
        f".e.npz.{ended}.claim",
        "cell.npz",
    ]
    for name in (*left, *kept):
        (tmp_path / name).touch()
    (tmp_path / left[1]).unlink()
    (tmp_path / left[1] / "inside").mkdir(parents=True)
    (tmp_path / left[1] / "inside" / "file").touch()
    files.remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(kept)
    files.remove_leftovers(tmp_path / "nowhere")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_was_left_before_a_reboot_goes_after_a_day(tmp_path, kind):
    left = tmp_path / ".rooms.elsewhere~b00t~1~17~99.tmp"
    inside = left / "img" if kind == "folder" else left
    inside.mkdir(parents=True) if kind == "folder" else inside.touch()
    day = time.time() - files.ABANDONED

    for age, there in ((-60, True), (60, False)):
        os.utime(inside, (1, day - age))
        os.utime(left, (1, day - 86400 if kind == "folder" else day - age))
        files.remove_leftovers(tmp_path)
        assert left.exists() == there, "the newest of what is inside counts"


def test_removes_what_a_killed_writer_left(tmp_path):
    code = (
        "import os, pathlib, sys\n"
        "from mtlbench.storage.files import write_atomically\n"
        "pathlib.Path.replace = lambda *_: os.kill(os.getpid(), 9)\n"
        "write_atomically(pathlib.Path(sys.argv[1]), b'x')\n"
    )
    root = str(Path(files.__file__).parents[2])
    assert subprocess.run([sys.executable, "-c", code, tmp_path / "file"], cwd=root).returncode == -9
    assert len(list(tmp_path.iterdir())) == 1
    files.remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["fsync", "mkdir", "open", "replace"])
def test_a_full_disk_names_the_file(tmp_path, monkeypatch, step):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "a" / "file.csv"
    monkeypatch.setattr(os if step == "fsync" else Path, step, full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_atomically(path, b"x")
    monkeypatch.undo()
    assert caught.value.filename == str(path)
    assert caught.value.errno == errno.ENOSPC
    assert not path.exists()
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
