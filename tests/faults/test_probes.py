"""A database outage restarts nothing: every process stays alive, and says that it is not ready."""

from __future__ import annotations

import json
import re
import socket

import httpx

from dev.engines import Engines
from dev.processes import wait_until
from dev.server import free_port
from tests.faults.service import PATIENCE, Service

NAMES = ("web", "worker", "scheduler", "mail")


def status(port: int, path: str) -> int:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=10).status_code
    except httpx.TransportError:
        return 0


def scrapes(port: int) -> int:
    """How often the process was asked for metrics, as it says."""
    found = re.search(
        r'request_seconds_count\{endpoint="probes.metrics",status="2xx"\} (\d+)', metrics(port)
    )
    return int(found[1]) if found else 0


def metrics(port: int) -> str:
    return httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text


def test_every_process_has_probes_that_tell_alive_from_ready(
    own_engines: Engines, service: Service
) -> None:
    ports = {name: free_port() for name in NAMES}
    common = {**service.extra, "SPOOL_DIR": "none", "MAIL_RECEIVER_PORT": str(free_port())}

    def all_answer(path: str, expected: int) -> bool:
        return wait_until(
            lambda: {status(port, path) for port in ports.values()} == {expected}, PATIENCE
        )

    own_engines.database.stop()  # processes start in any order at boot
    processes = []
    for name, port in ports.items():
        service.extra = {**common, "INTERNAL_PORT": str(port)}
        processes.append(service.start(name, ready=False))
    assert all_answer("/livez", 200)
    assert all_answer("/readyz", 503)
    own_engines.database.start()
    assert all_answer("/readyz", 200)
    assert all_answer("/healthz", 200)
    assert all_answer("/metrics", 200)
    assert wait_until(lambda: "destination_state" in metrics(ports["scheduler"]), PATIENCE)
    seen = [scrapes(ports["web"]) for _ in range(8)]
    assert seen == [*range(seen[0], seen[0] + 8)]  # whichever of two processes answers
    assert "database_up" not in metrics(ports["web"])  # one process reads the database for all
    own_engines.database.kill()
    assert all_answer("/readyz", 503)
    assert all_answer("/livez", 200)
    own_engines.database.start()
    assert all_answer("/readyz", 200)
    assert all(process.alive for process in processes)
    for process in processes:
        for line in process.log.read_text().splitlines():
            assert json.loads(line)["event"], line


def test_a_probe_while_the_first_connection_hangs_ends_no_process(service: Service) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the system accepts, nobody answers
        name = service.settings.database_url.rpartition("/")[2]
        url = f"postgresql://{name}:x@127.0.0.1:{silent.getsockname()[1]}/{name}"
        service.extra = {**service.extra, "DATABASE_URL": url, "INTERNAL_PORT": str(port)}
        web = service.start("web", ready=False)
        assert wait_until(lambda: status(port, "/livez") == 200, PATIENCE)
        assert wait_until(lambda: status(service.port, "/") != 0, PATIENCE)  # it has started
        assert status(port, "/readyz") == 503
    assert "Unexpected exit" not in web.log.read_text()
