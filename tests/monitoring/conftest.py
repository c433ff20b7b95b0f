"""The scene of an incident."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from preference_center.core.occurrences import Threshold
from preference_center.infra import occurrences
from preference_center.infra.redis import connect_redis
from preference_center.ledger.spool import Spool, SpoolFolder
from preference_center.ledger.spool.recorder import EXTENSION_KEY, SpoolWriter
from preference_center.monitoring import gauges, measure
from tests.clock import Clock
from tests.core.histories import NEWS
from tests.ledger.changes import add_destination
from tests.monitoring.scene import Scene
from workers.worker import make_worker

if TYPE_CHECKING:
    from flask import Flask


@pytest.fixture
def scene(
    app: Flask,
    in_context: None,
    clock: Clock,
    redis_url: str,
    admin_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Scene]:
    monkeypatch.setattr(measure, "_list_folders", tuple)
    for module in (measure, gauges):
        monkeypatch.setattr(module, "measure_clock", timedelta)
    folder = SpoolFolder(tmp_path / "spool", 1 << 20)
    folder.path.mkdir()
    monkeypatch.setitem(app.extensions, EXTENSION_KEY, Spool(folder, SpoolWriter(folder)))
    occurrences.take()
    for problem in occurrences._unverified:
        threshold = Threshold(occurrences.MIN_UNVERIFIED, occurrences.UNVERIFIED_PERIOD)
        monkeypatch.setitem(occurrences._unverified, problem, threshold)
    add_destination("crm", NEWS)
    with connect_redis(redis_url) as connection, ExitStack() as at_the_end:
        connection.flushdb()
        worker = make_worker(connection)
        worker.register_birth()  # type: ignore[no-untyped-call]
        scene = Scene(app, clock, monkeypatch, tmp_path, folder, worker, at_the_end, admin_url)
        scene.use(spool_dir=str(folder.path))
        yield scene
        worker.register_death()  # type: ignore[no-untyped-call]
