"""The disk of the spool is full and a file on it damaged: all other records are recorded (I1)."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from dev.engines import Engines
from dev.processes import wait_until
from tests.faults.service import PATIENCE, START, Service
from tests.faults.test_spool import start_web, waiting
from tests.faults.test_web import Load, lost
from tests.faults.tool import SlowReceiver

MEBIBYTE = 2**20
SMALL = 2**17
"""Bytes of the disk: some 200 records."""
JANE = "jane@example.com"


@pytest.fixture
def folder(service: Service, tmp_path: Path) -> Iterator[Path]:
    """A spool that is full soon: on a disk of its own, where this account may mount one."""
    folder = tmp_path / "spool"
    folder.mkdir(mode=0o700)
    given = {"spool_dir": str(folder), "spool_max_bytes": MEBIBYTE}
    service.settings = service.settings.model_copy(update=given)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL},mode=700", "spool", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        (folder / "filling").write_bytes(bytes(MEBIBYTE - SMALL))
    yield folder
    if mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def flip(path: Path) -> None:
    """Damage the first record of a file."""
    with path.open("r+b") as file:
        file.seek(100)
        (byte,) = file.read(1)
        file.seek(100)
        file.write(bytes([byte ^ 1]))


def test_on_a_full_disk_with_a_damaged_file_every_other_record_is_recorded(
    service: Service, own_engines: Engines, folder: Path, tool: SlowReceiver
) -> None:  # I1, I3
    web = start_web(service)
    token = service.token(JANE)
    own_engines.database.stop()
    assert wait_until(lambda: service.post(token).status_code == 202, PATIENCE)
    [damaged] = folder.glob("*.spool")  # begins with a click of hers
    assert service.post(token).status_code == 202  # once more, so that she is not lost
    load = Load(service)
    with load:
        assert wait_until(lambda: load.counts[503] >= 20, PATIENCE), load.counts
    accepted = load.counts[202]
    assert accepted > 20
    web.signal(signal.SIGKILL)
    web.popen.wait()
    flip(damaged)

    for name in ("worker", "scheduler"):
        service.start(name)
    start_web(service)
    assert service.post(token).status_code == 503  # the disk is full
    own_engines.database.start()
    assert wait_until(lambda: waiting(folder) == 0, PATIENCE), service.logs()
    assert lost(service, load) == []
    assert service.rows("SELECT count(*) FROM event") == [(accepted + 1,)]  # each once, and hers
    assert [path.name for path in folder.glob("*.damaged")] == [f"{damaged.stem}.damaged"]
    assert '"event": "spool_damaged"' in service.logs()
    assert wait_until(lambda: service.status("/healthz") == 200, START)
    spool = httpx.get(f"{service.url}/healthz").json()["spool"]
    assert (spool["waiting"], spool["damaged"]) == (0, 1)
    assert wait_until(lambda: {JANE, *load.promised} <= set(tool.off), START)
