"""Unique names of processes, and whether the process of a name is still alive.

A name holds host, boot, process-id namespace, process id and start time, so that it is unique even after a reboot, in
another container of the same host, or when the system reuses the process id.
"""

import os
import re
import socket
from functools import cache
from pathlib import Path

NAME = re.compile(r"(?P<host>[A-Za-z0-9-]+)~(?P<boot>\w*)~(?P<space>\d*)~(?P<pid>\d+)~(?P<start>\d*)")
DEAD, STOPPED = ("Z", "X"), ("T", "t")
"""States of a process; stopped means by a signal or a debugger."""

HIDDEN = ""


def me() -> str:
    """The name of this process; usable in file names, and without dots, which separate it from other parts."""
    return "~".join((*_here(), str(os.getpid()), _my_start(os.getpid())))


def alive(name: str) -> bool | None:
    """Whether the process called `name` is alive (also if stopped); None if this machine cannot know."""
    found = NAME.fullmatch(name)
    if found is None or (found["host"], found["boot"], found["space"]) != _here():
        # This includes our own host after a reboot: two machines may have the same host name.
        return None
    start = _start(int(found["pid"]))
    if start == HIDDEN != found["start"]:
        return None
    return start is not None and start == found["start"]


def state(pid: int) -> str:
    """The state of a process on this machine, possibly one of `STOPPED` or `DEAD`; empty if unknown."""
    try:
        return _status(pid)[0]
    except OSError:
        return ""


def words(name: str) -> str:
    """A readable form of a name."""
    found = NAME.fullmatch(name)
    return f"process {found['pid']} on {found['host']}" if found else f"process {name}"


@cache
def _here() -> tuple[str, str, str]:
    """Host, boot and process-id namespace; empty if the system does not provide them."""
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
    """Start time of a process, in ticks since boot; `HIDDEN` if the system does not provide it, None if it is dead."""
    try:
        fields = _status(pid)
    except ProcessLookupError:
        return None
    except OSError:
        # Missing, hidden because it belongs to another user, or we have too many files open.
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
        pass  # of another user
    return HIDDEN
