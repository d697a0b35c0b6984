"""Processes that outlive the command that started them: known again by their start, ended with all that is theirs.

A process here leads a group of its own, as one in a session of its own does.
"""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from autorule.records import Record

STOP_S = 30.0
POLL_S = 0.2
PROC = Path("/proc")


class Process(Record):
    """A process of ours; its start tells it from another one that has got its number since."""

    pid: int
    started: str


def process_of(pid: int) -> Process:
    return Process(pid=pid, started=_started(pid) or "")


def is_alive(process: Process) -> bool:
    return _started(process.pid) == process.started


def end(process: Process) -> bool:
    """Ends a process with all that it started, and waits until all have ended; whether it was there."""
    if not is_alive(process):
        return False
    for sent in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
            os.killpg(process.pid, sent)
        deadline = time.monotonic() + STOP_S
        while (is_alive(process) or _has_group(process.pid)) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        if time.monotonic() < deadline:
            break
    return True


def is_gone(pid: int) -> bool:
    """Whether no process has this number, or it only waits to be collected."""
    return _started(pid) is None


def _has_group(leader: int) -> bool:
    """Whether any process of the group is there that does not only wait to be collected."""
    if not _has_proc():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, 0)
            return True
        return False
    told = (_fields(int(entry.name)) for entry in PROC.iterdir() if entry.name.isdigit())
    return any(fields is not None and int(fields[2]) == leader and fields[0] != "Z" for fields in told)


def _has_proc() -> bool:
    return (PROC / "self/stat").exists()


def _fields(pid: int) -> list[str] | None:
    """What Linux tells of a process, from its state on; None when it is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _started(pid: int) -> str | None:
    """When a process started, in the same words from every shell; None when it is gone, or only waits to be collected.

    Linux counts ticks since it booted. A date would change with the time zone, and with each correction of the clock.
    """
    with contextlib.suppress(OSError):  # not our child
        os.waitpid(pid, os.WNOHANG)
    if _has_proc():
        if (fields := _fields(pid)) is None or fields[0] == "Z":
            return None
        return f"{(PROC / 'sys/kernel/random/boot_id').read_text().strip()} {fields[19]}"
    words = {**os.environ, "TZ": "UTC", "LC_ALL": "C"}
    shown = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, env=words)
    found = shown.stdout.split()
    return None if not found or found[0].startswith("Z") else " ".join(found[1:])
