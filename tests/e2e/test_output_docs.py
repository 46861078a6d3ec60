"""The table of docs/unattended.md about output that cannot be shown: each of its lines, run in a shell."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import SMALL, bound_by_permissions, command, environment

PAGE = Path(__file__).resolve().parents[2] / "docs" / "unattended.md"


def lines() -> dict[str, tuple[int, str, str]]:
    """Command -> exit status, what is said of stdout and of stderr."""
    section = PAGE.read_text(encoding="utf-8").split("## When output cannot be shown")[1].split("\n## ")[0]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in section.splitlines() if line.startswith("| `")]
    cells = [[cell.strip().replace(r"\|", "|") for cell in row] for row in rows]
    return {line.strip("`"): (int(status), out, err) for line, status, out, err in cells}


@pytest.fixture
def place(own_outputs: Path) -> Path:
    """A folder with outputs, and a command `mtlbench` that finds the code under test in any environment."""
    folder = own_outputs.parent
    (folder / "bin").mkdir()
    script = folder / "bin" / "mtlbench"
    words = " ".join(f"'{word}'" for word in command())
    script.write_text(f"#!/bin/sh\nexport PYTHONPATH='{environment()['PYTHONPATH']}'\nexec {words} \"$@\"\n")
    script.chmod(0o755)
    return folder


def check(said: str, found: str) -> None:
    """Hold `found` against what the table says: nothing, the first line, progress, or words in code quotes."""
    if said == "nothing":
        assert found == ""
    elif said == "the first line":
        assert found.count("\n") == 1
    elif said == "progress":
        assert "attack rooms-tiny-all_shared-clean-s0: " in found
        assert "mtlbench: " not in found
    else:
        (words,) = re.findall("`(.+)`", said)
        assert words in found


@pytest.mark.parametrize("line", lines())
def test_a_line_of_the_table(place: Path, line: str) -> None:
    status, out, err = lines()[line]
    cells = len(list((place / "outputs" / "store").glob("*.npz")))
    filled = line.replace("...", " ".join((*SMALL, "eps=[2,3,8]")))
    environ = environment() | {"PATH": f"{place / 'bin'}:{os.environ['PATH']}"}
    for name in ("PYTHONWARNINGS", "PYTHONIOENCODING"):
        environ.pop(name, None)
    done = subprocess.run(
        ["bash", "-c", f"{filled}; exit ${{PIPESTATUS[0]}}"],
        cwd=place,
        env=environ,
        capture_output=True,
        timeout=240,
        check=False,
        preexec_fn=bound_by_permissions,
    )
    found, told = done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
    subprocess.run(["chmod", "-R", "u+w", place], check=True)
    assert done.returncode == status, told
    check(out, found)
    check(err, told)
    assert "Traceback" not in told
    assert "WARNING" not in found
    if "attack" in line:
        computed = len(list((place / "outputs" / "store").glob("*.npz"))) - cells
        assert computed == (1 if status == 0 else 0), "the work is done, whoever can see it"
    if "LC_ALL=C" in line:
        assert found.isascii()


def test_the_table_is_there() -> None:
    assert {status for status, _, _ in lines().values()} == {0, 2, 3}
