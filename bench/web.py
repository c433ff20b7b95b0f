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
from preference_center.__main__ import read_procfile

ROOT = Path(__file__).resolve().parents[1]
SERVICE = "workers.asgi:app"
BARE = "bench.bare:server"
STOPS_WITHIN = 2.0
"""Seconds that a server is given: what it does longer concerns no measurement."""

_GROUPS: dict[str, int] = {}
"""The process group of each server that runs, by its address."""


@contextmanager
def serving(
    environ: Mapping[str, str], app: str = SERVICE, workers: int | None = None
) -> Iterator[str]:
    """The address of `app` under the Procfile's server, until the end of the block.

    So many workers, else as many as WEB_WORKERS has, else the Procfile's two.
    """
    port = free_port()
    given = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PORT": str(port),
        "WEB_APP": app,
    }
    if workers:
        given["WEB_WORKERS"] = str(workers)
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
            process.wait(STOPS_WITHIN)  # far more if it is still starting a worker
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
