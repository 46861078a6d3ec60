"""Full disks, read-only disks, clocks that jump and odd folder names: a named path, and nothing finished is lost."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.robustness.unattended.forms import some
from tests.robustness.unattended.processes import (
    SWEEP,
    Installed,
    Nursery,
    Reference,
    cells,
    check_whole,
    leftovers,
    size,
    tables,
)

FULL = Path("/dev/full")
NO_SPACE = "No space left on device"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", place], capture_output=True, text=True)
    if made.returncode:  # only root may, and not in every container
        pytest.skip(f"mounting is not permitted here: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(place: Path, leave: int) -> Path:
    """Leave so many bytes free."""
    statistics = os.statvfs(place)
    filler = place / "filler"
    filler.write_bytes(b"\0" * (statistics.f_bavail * statistics.f_frsize - leave))
    return filler


def free(place: Path) -> int:
    statistics = os.statvfs(place)
    return statistics.f_bavail * statistics.f_frsize


def check_message(err: str, place: Path) -> None:
    lines = [line for line in err.splitlines() if NO_SPACE in line]
    assert lines, err
    assert any(str(place) in line for line in lines), err
    assert all(line.startswith(("mtlbench: ", "  ")) for line in lines), err  # "  " in the list of failed cells
    assert "Traceback" not in err
    assert "Logging error" not in err


@some("percent", [0, 50], [5, 15, 25, 40, 65, 80])
def test_a_full_disk(nursery: Nursery, undisturbed: Reference, small_disk: Path, tmp_path: Path, percent: int) -> None:
    """With rooms and models elsewhere, it is full at once, or while cells are written, or at the tables."""
    leave = percent * sum(size(undisturbed.outputs / name) for name in ("store", "tables", "runs")) // 100
    outputs = small_disk / "outputs"
    outputs.mkdir()
    for name in ("datasets", "checkpoints"):
        shutil.copytree(undisturbed.outputs / name, tmp_path / name)
        (outputs / name).symlink_to(tmp_path / name)
    filler = fill(small_disk, leave)
    run = nursery(*SWEEP, f"outputs={outputs}")
    assert run.finish() in (1, 3), run.err
    check_message(run.err, outputs)
    kept = cells(outputs)
    check_whole(outputs)
    assert not [left for left in leftovers(outputs) if left.endswith(".claim")]
    filler.unlink()
    shutil.rmtree(outputs / "runs", ignore_errors=True)
    if free(small_disk) < 2 * undisturbed.store_bytes:
        subprocess.run(["mount", "-o", "remount,size=4m", small_disk], check=True)
    again = nursery(*SWEEP, f"outputs={outputs}")
    assert again.finish() == 0, again.err
    assert {key: cells(outputs)[key] for key in kept} == kept, "what was finished is not computed again"
    assert tables(outputs) == undisturbed.tables


@some("folder", ["tables"], ["store", "checkpoints", "datasets", "runs"])
def test_a_full_disk_behind_a_link(
    nursery: Nursery, undisturbed: Reference, small_disk: Path, tmp_path: Path, folder: str
) -> None:
    """One folder of the outputs lies on the full disk."""
    outputs = tmp_path / "outputs"
    shutil.copytree(undisturbed.outputs, outputs, ignore=shutil.ignore_patterns("runs"))
    shutil.rmtree(outputs / folder, ignore_errors=True)
    (outputs / folder).symlink_to(small_disk)
    fill(small_disk, 0)
    run = nursery(*SWEEP, f"outputs={outputs}")
    assert run.finish() in (1, 3), run.err
    check_message(run.err, outputs)
    check_whole(outputs)
    if folder != "store":
        assert cells(outputs).keys() == undisturbed.keys


@some("option", ["remount"], ["bind"])
def test_a_read_only_store(
    nursery: Nursery, undisturbed: Reference, small_disk: Path, tmp_path: Path, option: str
) -> None:
    """What is there can be read and reported; nothing can be added."""
    outputs = tmp_path / "outputs"
    shutil.copytree(undisturbed.outputs, outputs, ignore=shutil.ignore_patterns("runs", "tables"))
    before = cells(outputs)
    subprocess.run(["mount", "-o", "remount,size=4m", small_disk], check=True)
    if option == "remount":
        shutil.copytree(outputs / "store", small_disk / "store")
        shutil.rmtree(outputs / "store")
        (outputs / "store").symlink_to(small_disk / "store")
        before = cells(outputs)
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    else:
        subprocess.run(["mount", "--bind", outputs / "store", outputs / "store"], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", outputs / "store"], check=True)
    try:
        for command in (("report",), SWEEP):
            run = nursery(*command, f"outputs={outputs}")
            assert run.finish() == 0, run.err
            assert tables(outputs) == undisturbed.tables
        run = nursery(*SWEEP[:-1], "eps=[3]", f"outputs={outputs}")
        assert run.finish() == 3, run.err
        assert f"{outputs}/store" in run.err or str(small_disk) in run.err
        assert "Read-only file system" in run.err
        assert "Traceback" not in run.err
        assert cells(outputs) == before
    finally:
        if option == "bind":
            subprocess.run(["umount", "-l", outputs / "store"], check=True)


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
@some("stream", ["stdout", "stderr"], ["both"])
def test_full_streams(installed: Installed, undisturbed: Reference, tmp_path: Path, stream: str) -> None:
    """Neither progress nor tables that cannot be shown make a run fail; that tables were lost is said."""
    outputs = tmp_path / "outputs"
    full = os.open(FULL, os.O_WRONLY)
    names = ("stdout", "stderr") if stream == "both" else (stream,)
    try:
        run = installed(*SWEEP, f"outputs={outputs}", **dict.fromkeys(names, full))
        status = run.finish()
    finally:
        os.close(full)
    undisturbed.check(outputs)
    assert status == 0
    if stream == "stderr":
        assert "ARP" in run.out
    if stream == "stdout":
        message = run.err.splitlines()[-1]
        assert message.startswith("mtlbench: standard output: cannot be")
        assert NO_SPACE in message
        assert "Traceback" not in run.err
        assert "Exception" not in run.err


ODD = ["with spaces", "a,b,c", "a=b", "-dash", "[x] {y} #%&", "quote's", "Ünï-çødé-日本"]


@some("name", ['quote\'s "double", é=日 ,'], ODD)
def test_odd_folder_names(nursery: Nursery, undisturbed: Reference, tmp_path: Path, name: str) -> None:
    outputs = tmp_path / name
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    shutil.copytree(undisturbed.outputs / "datasets", outputs / "datasets")
    shutil.copytree(undisturbed.outputs / "checkpoints", outputs / "checkpoints")
    run = nursery(*SWEEP, f'outputs="{tmp_path}/{quoted}"')
    assert run.finish() == 0, run.err
    undisturbed.check(outputs)
    assert {path.name for path in tmp_path.iterdir()} == {name}
    report = nursery("report", f'outputs="{tmp_path}/{quoted}"')
    assert report.finish() == 0, report.err
    *found, page = report.out.splitlines()  # the last lines say where the page is, and how to get it
    assert run.out.splitlines()[:-1] == found
    assert page.startswith(f"{outputs}/report.html: ")


JUMPS = """
import os, random, time

if os.environ.get("JUMPS"):
    dice, real = random.Random(os.environ["JUMPS"]), time.time
    time.time = lambda: real() + dice.uniform(-86400, 86400)
    time.time_ns = lambda: int(time.time() * 1e9)
    strftime = time.strftime
    time.strftime = lambda form, when=None: strftime(form, time.localtime(time.time()) if when is None else when)
"""


@some("seed", [1], [2, 3, 4])
def test_a_clock_that_jumps(undisturbed: Reference, tmp_path: Path, seed: int) -> None:
    """By up to a day, whenever the module `time` is asked, and files from the past and the future."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(JUMPS)
    start = Installed(tmp_path, {"JUMPS": str(seed)})
    path = os.environ.get("PYTHONPATH", "")
    root = Path(__file__).parents[3]
    start.more["PYTHONPATH"] = os.pathsep.join(filter(None, (str(tmp_path / "site"), str(root), path)))
    outputs = tmp_path / "outputs"
    try:
        first = start(*SWEEP, f"outputs={outputs}")
        first.wait(5 + undisturbed.seconds / 2)
        first.kill()
        for number, file in enumerate(sorted(outputs.rglob("*"))):
            seconds = file.stat().st_mtime + (-86400, 86400)[number % 2]
            os.utime(file, (seconds, seconds))
        done = cells(outputs)
        runs = [start(*SWEEP, f"outputs={outputs}") for _ in range(2)]
        assert [run.finish() for run in runs] == [0, 0], "\n".join(run.err for run in runs)
    finally:
        start.close()
    assert {key: cells(outputs)[key] for key in done} == done
    undisturbed.check(outputs)
