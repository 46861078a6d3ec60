"""Results that one may read but not write, such as a colleague's: what only shows something shows it."""

import errno
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import SMALL, bound_by_permissions, command, environment

KINDS = [errno.EACCES, errno.EPERM, errno.EROFS]


@pytest.fixture
def locked(own_outputs: Path) -> Iterator[Path]:
    """`own_outputs`, not to be written to; contents and times must stay."""
    shut(own_outputs.parent, 0o555, 0o444)
    yield own_outputs
    shut(own_outputs.parent, 0o755, 0o644)


def shut(place: Path, folders: int, files: int) -> None:
    place.chmod(folders)
    for path in place.rglob("*"):
        path.chmod(folders if path.is_dir() else files)


def everything(place: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in place.rglob("*")}


def start(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``mtlbench ARGUMENTS`` in `place`, by somebody whom permissions bind."""
    options: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 240, "check": False}
    return subprocess.run(
        [*command(), *arguments], cwd=place, env=environment(), preexec_fn=bound_by_permissions, **options
    )


@pytest.mark.parametrize(
    ("arguments", "status", "out", "err"),
    [
        (("report",), 0, "ARP: percent of the clean metrics lost", "outputs/tables: not written (Permission denied)"),
        (("report", "study=tradeoff"), 0, "Rank correlation", "outputs/tables: not written (Permission denied)"),
        (("report", "cell=0038"), 2, "", "cell=0038: expected a key, or its beginning"),
        (("layouts", "limit=1"), 0, "independent", ""),
        (("data", "action=info", *SMALL[:2]), 0, "rooms, test: 3 images", ""),
        (("data", "action=make", "dataset.images=40"), 3, "", "outputs/datasets"),
        (("attack", *SMALL, "eps=[2,8]"), 3, "", "outputs/runs"),
    ],
)
def test_as_a_process(locked: Path, arguments: tuple[str, ...], status: int, out: str, err: str) -> None:
    before = everything(locked.parent)
    done = start(locked.parent, *arguments)
    assert done.returncode == status, done.stderr
    assert out in done.stdout
    assert err in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("mtlbench: ")][1:] == []
    assert "Traceback" not in done.stderr
    assert everything(locked.parent) == before


def test_only_the_store_may_not_be_written(own_outputs: Path) -> None:
    (own_outputs / "store").chmod(0o500)
    done = start(own_outputs.parent, "attack", *SMALL, "eps=3")
    (own_outputs / "store").chmod(0o700)
    assert done.returncode == 3
    assert "store" in done.stderr
    assert "cannot be read or written (Permission denied)" in done.stderr


@pytest.fixture
def refused(own_outputs: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let every table meet an error of the disk; one is gone, so that they have to be written."""

    def refuse(number: int) -> None:
        def write(path: Path, content: Iterable[bytes] | str) -> None:
            raise OSError(number, os.strerror(number), str(path))

        (own_outputs / "tables" / "metrics.csv").unlink()
        monkeypatch.setattr(import_module("mtlbench.report.written"), "write_atomically", write)

    return refuse


@pytest.mark.parametrize("kind", KINDS)
def test_report_shows_and_warns(call: Callable, own_outputs: Path, refused: Callable, kind: int) -> None:
    shown, page, _ = call("report", f"outputs={own_outputs}").out.partition(f"\n{own_outputs / 'report.html'}: ")
    assert page
    refused(kind)
    done = call("report", f"outputs={own_outputs}")
    folder = own_outputs / "tables"
    assert (done.status, done.out) == (0, shown)
    assert done.err == f"mtlbench: {folder}: not written ({os.strerror(kind)}); what is printed here is in no file\n"


@pytest.mark.parametrize("kind", [errno.ENOSPC, errno.EIO, errno.ENOTDIR])
def test_who_may_write_hears_of_a_disk_that_cannot(
    call: Callable, own_outputs: Path, refused: Callable, kind: int
) -> None:
    refused(kind)
    done = call("report", f"outputs={own_outputs}")
    assert done.status == 3
    assert f"tables/metrics.csv: cannot be read or written ({os.strerror(kind)})" in done.err


@pytest.mark.parametrize("kind", KINDS)
def test_an_attack_must_write_its_tables(
    call: Callable, own_outputs: Path, refused: Callable, small: tuple[str, ...], kind: int
) -> None:
    refused(kind)
    done = call("attack", f"outputs={own_outputs}", *small, "eps=[2,8]")
    assert done.status == 3
    assert f"({os.strerror(kind)})" in done.err


def test_a_file_in_the_place_of_the_tables(call: Callable, own_outputs: Path) -> None:
    for file in (own_outputs / "tables").iterdir():
        file.unlink()
    (own_outputs / "tables").rmdir()
    (own_outputs / "tables").write_text("")
    done = call("report", f"outputs={own_outputs}")
    assert done.status == 3
    assert f"mtlbench: {own_outputs / 'tables'}" in done.err
