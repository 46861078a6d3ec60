"""Names of processes: who lives, who is dead, and whom this machine cannot know."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtlbench.storage import owner

PRINT_NAME = "from mtlbench.storage import owner; print(owner.me(), flush=True); input()"
ROOT = Path(owner.__file__).parents[2]


@pytest.fixture
def other() -> Iterator[subprocess.Popen[str]]:
    """A process that prints its name and waits."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", PRINT_NAME], cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
    yield process
    process.kill()
    process.communicate()


def name_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def changed(name: str, **fields: str) -> str:
    found = owner.NAME.fullmatch(name)
    assert found
    return "~".join((found.groupdict() | fields).values())


def test_we_live() -> None:
    assert owner.alive(owner.me()) is True
    assert owner.me() == owner.me()
    assert owner.NAME.fullmatch(owner.me())
    assert "." not in owner.me()


def test_words() -> None:
    assert owner.words(owner.me()).startswith(f"process {os.getpid()} on ")
    assert owner.words("anything") == "process anything"


def test_another_process_lives_stops_and_dies(other: subprocess.Popen[str]) -> None:
    name = name_of(other)
    assert name != owner.me()
    assert owner.alive(name) is True
    assert owner.state(other.pid) not in (*owner.STOPPED, *owner.DEAD, "")
    other.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, other.pid, os.WSTOPPED | os.WNOWAIT)
    assert owner.state(other.pid) in owner.STOPPED
    assert owner.alive(name) is True, "it may go on"
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert owner.state(other.pid) in owner.DEAD
    assert owner.alive(name) is False, "a zombie, whose parent has not asked for its status yet"
    other.wait()
    assert owner.alive(name) is False
    assert owner.state(other.pid) == "", "nobody tells"


def test_the_same_number_at_another_time_is_another_process() -> None:
    assert owner.alive(changed(owner.me(), start="1")) is False


@pytest.mark.parametrize("field", ["host", "boot", "space"])
def test_elsewhere_nobody_knows(field: str) -> None:
    assert owner.alive(changed(owner.me(), **{field: "1"})) is None


@pytest.mark.parametrize("name", ["", "x", "host~1", "a.b~c~1~2~3", "host~boot~1~me~3"])
def test_no_name(name: str) -> None:
    assert owner.alive(name) is None


def test_a_process_that_the_system_hides_is_not_dead(other: subprocess.Popen[str], monkeypatch) -> None:
    """/proc may hide the processes of other users; so does having too many files open."""
    name, mine, real = name_of(other), owner.me(), Path.read_text

    def hidden(self: Path, *args, **options) -> str:
        if self.name == "stat":
            raise FileNotFoundError
        return real(self, *args, **options)

    monkeypatch.setattr(Path, "read_text", hidden)
    assert owner.alive(name) is None
    assert owner.me() == mine
    other.kill()
    other.wait()
    assert owner.alive(name) is False


def test_a_program_may_be_called_anything(tmp_path: Path) -> None:
    """The name of the program stands before the fields that count, in parentheses, and may hold some itself."""
    program = tmp_path / "a) Z (b"
    program.symlink_to(sys.executable)
    pipe = subprocess.PIPE
    process = subprocess.Popen([program, "-c", PRINT_NAME], cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
    assert owner.alive(name_of(process)) is True
    process.kill()
    process.communicate()
