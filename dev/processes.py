"""Looking at processes that somebody else may have started."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PROC = Path("/proc/self").exists()
POLL = 0.02


def command_line(pid: int) -> str:
    """Return the command line of a process; empty when there is none, or only a zombie."""
    if PROC:
        try:
            raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return ""
        return raw.replace(b"\0", b" ").decode(errors="replace")
    done = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return done.stdout


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until `condition()` holds; return whether it did within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True


def children(pid: int) -> list[int]:
    """The processes that this one started."""
    output = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True
    ).stdout
    rows = (line.split() for line in output.splitlines())
    return sorted(int(child) for child, parent in rows if int(parent) == pid)
