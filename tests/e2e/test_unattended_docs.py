"""What docs/unattended.md tells people to paste is pasted here."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import SMALL, command

ROOT = Path(__file__).resolve().parents[2]
PLACE = "/srv/robustness"


def block(language: str, first: str = "") -> str:
    """The code block in `language` that begins with `first`."""
    text = (ROOT / "docs" / "unattended.md").read_text()
    found = [code for code in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL) if code.startswith(first)]
    assert len(found) == 1, language
    return str(found[0])


@pytest.fixture
def place(own_outputs: Path) -> Path:
    """A folder as on the page: .venv/bin/mtlbench in it, and outputs."""
    folder = own_outputs.parent
    script = folder / ".venv" / "bin" / "mtlbench"
    script.parent.mkdir(parents=True)
    words = " ".join(f"'{word}'" for word in command())
    script.write_text(f"#!/bin/sh\nPYTHONPATH='{ROOT}' OMP_NUM_THREADS=1 exec {words} \"$@\"\n")
    script.chmod(0o755)
    return folder


def test_the_crontab_line(place: Path) -> None:
    """As cron starts it: by /bin/sh, from the home folder, with next to no environment."""
    *when, line = block("crontab").strip().split(" ", 5)
    assert all(re.fullmatch(r"[\d*/,-]+", field) for field in when)
    assert "%" not in line, "cron takes it for the end of the line"
    line = line.replace(PLACE, f"'{place}'").replace("experiment=transfer", " ".join((*SMALL, "eps=[2,8]")))
    bare = {"HOME": str(place), "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin", "LOGNAME": "cron"}
    for _ in range(2):
        done = subprocess.run(["/bin/sh", "-c", line], cwd="/", env=bare, capture_output=True, text=True, timeout=240)
        log = (place / "night.log").read_text()
        assert done.returncode == 0, log
        assert (done.stdout, done.stderr) == ("", "")
    assert log.count("ARP: percent of the clean metrics lost") == 2
    assert "\x1b" not in log
    assert "\r" not in log


def test_the_systemd_units(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("units")
    service, timer = block("ini", "# mtlbench.service"), block("ini", "# mtlbench.timer")
    for status in ("75", "143"):
        assert status in re.findall(r"SuccessExitStatus=(.*)", service)[0].split()
    (folder / "mtlbench.service").write_text(service.replace(PLACE, str(place)))
    (folder / "mtlbench.timer").write_text(timer)
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")  # a tool of the system, no dependency of the project
    units = [str(folder / name) for name in ("mtlbench.service", "mtlbench.timer")]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "mtlbench" not in done.stderr


def test_the_logrotate_file(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    if shutil.which("logrotate") is None:
        pytest.skip("logrotate is not installed")  # a tool of the system, no dependency of the project
    folder = tmp_path_factory.mktemp("rotate")
    (folder / "conf").write_text(block("logrotate").replace(PLACE, str(place)))
    (place / "night.log").write_text("a night\n")
    rotate = ["logrotate", "--force", "--state", str(folder / "state"), str(folder / "conf")]
    done = subprocess.run(rotate, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (place / "night.log").read_text() == ""
    assert (place / "night.log.1.gz").is_file()


def test_old_run_folders_may_go(place: Path, call: Callable) -> None:
    (line,) = re.findall(r"`(find outputs/runs [^`]*)`", (ROOT / "docs" / "unattended.md").read_text())
    subprocess.run(["/bin/sh", "-c", line.replace("+60", "-1")], cwd=place, check=True, timeout=60)
    assert list((place / "outputs" / "runs").iterdir()) == []
    assert call("report", f"outputs={place / 'outputs'}").status == 0
