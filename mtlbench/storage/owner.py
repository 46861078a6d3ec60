"""Names of processes, and whether the one behind a name still lives.

A name holds host, boot, process-id namespace, process id and start time, so that no other process ever has it: neither
after a reboot, nor in another container of the same host, nor when the system hands out the process id again.
"""

import os
import re
import socket
from functools import cache
from pathlib import Path

NAME = re.compile(r"(?P<host>[A-Za-z0-9-]+)~(?P<boot>\w*)~(?P<space>\d*)~(?P<pid>\d+)~(?P<start>\d*)")
DEAD, STOPPED = ("Z", "X"), ("T", "t")
"""States of a process; stopped: by a signal, or by a debugger."""

HIDDEN = ""


def me() -> str:
    """The name of this process; usable in file names, and without a dot, so that it can stand between two."""
    return "~".join((*_here(), str(os.getpid()), _my_start(os.getpid())))


def alive(name: str) -> bool | None:
    """Whether the process called `name` lives, a stopped one included; None where this machine cannot know."""
    found = NAME.fullmatch(name)
    if found is None or (found["host"], found["boot"], found["space"]) != _here():
        # Even our own host after a reboot: two machines may have the same host name.
        return None
    start = _start(int(found["pid"]))
    if start == HIDDEN != found["start"]:
        return None
    return start is not None and start == found["start"]


def state(pid: int) -> str:
    """Whether a process of this machine runs, sleeps, is one of `STOPPED` or `DEAD`; empty where nobody tells."""
    try:
        return _status(pid)[0]
    except OSError:
        return ""


def words(name: str) -> str:
    """A name for people."""
    found = NAME.fullmatch(name)
    return f"process {found['pid']} on {found['host']}" if found else f"process {name}"


@cache
def _here() -> tuple[str, str, str]:
    """Host, boot and process-id namespace; empty where the system does not tell."""
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname()) or "host"
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")[:12]
        space = re.sub(r"\D", "", str(Path("/proc/self/ns/pid").readlink()))
    except OSError:
        boot = space = ""
    return host, boot, space


@cache
def _my_start(pid: int) -> str:
    """Read once: the name of a process must not change while it has too many files open."""
    return _start(pid) or HIDDEN


def _start(pid: int) -> str | None:
    """When a process started, in ticks since boot; `HIDDEN` where the system does not tell, None where it is dead."""
    try:
        fields = _status(pid)
    except ProcessLookupError:
        return None
    except OSError:
        # Not there, hidden because it is another user's, or we have too many files open.
        return _start_without_proc(pid)
    return None if fields[0] in DEAD else fields[19]


def _status(pid: int) -> list[str]:
    # The second field is the program's name in parentheses and may hold anything, even parentheses.
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()


def _start_without_proc(pid: int) -> str | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # another user's
    return HIDDEN
