"""A web server as the Procfile names it, on a port of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dev.processes import wait_until
from dev.server import free_port
from preference_center.processes import read_procfile

ROOT = Path(__file__).resolve().parents[1]
SERVICE = "preference_center.asgi:app"
BARE = "bench.bare:server"

_GROUPS: dict[str, int] = {}
"""The process group of each server that runs, by its address."""


@contextmanager
def serving(environ: Mapping[str, str], app: str = SERVICE, workers: int = 2) -> Iterator[str]:
    """The address of `app` under the Procfile's server, until the end of the block."""
    port = free_port()
    given = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PORT": str(port),
        "WEB_WORKERS": str(workers),
        "WEB_APP": app,
    }
    process = subprocess.Popen(
        ["sh", "-c", f"exec {read_procfile()['web']}"],
        cwd=ROOT,
        env=os.environ | environ | given,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        if not wait_until(lambda: process.poll() is not None or _listens(port), 30):
            raise RuntimeError("the web server does not listen")
        if process.returncode is not None:
            raise RuntimeError("the web server did not start")
        base = f"http://127.0.0.1:{port}"
        _GROUPS[base] = process.pid  # its own session, so its own group
        yield base
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def resident(base: str) -> float:
    """What the processes of the server at this address have in memory, in MiB."""
    command = ["ps", "-A", "-o", "pgid=,rss="]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = (line.split() for line in output.splitlines())
    return sum(int(rss) for group, rss in rows if int(group) == _GROUPS[base]) / 1024


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
