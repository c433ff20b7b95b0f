"""Somebody is told of an incident as docs/monitoring.md says: by Prometheus and by our own alerts.

What is exported goes to the shipped rules, what they measure to our own conditions. Redis,
workers, waiting rows and the spool are real. Simulated are the outage of the database, the clock,
a restored backup and repeated drift, whose causes other tests have, and counters and `up`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from preference_center.core.deadlines import AT_RISK, TARGET
from preference_center.core.errors import Unavailable
from preference_center.core.staff import Role
from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.metrics import render_metrics
from preference_center.infra.redis import connect_redis
from preference_center.ledger import record
from preference_center.ledger.spool import Spool, SpoolFolder
from preference_center.ledger.spool.frames import encode_frame
from preference_center.ledger.spool.recorder import EXTENSION_KEY, SpoolWriter
from preference_center.monitoring import gauges, measure
from preference_center.monitoring.gauges import DatabaseCollector, HostCollector, QueueCollector
from preference_center.monitoring.rules import Observation, find_alerts
from tests.clock import Clock
from tests.core.histories import NEWS
from tests.ledger.changes import add_destination, change
from tests.web.console.staff import staff
from workers.worker import make_worker

if TYPE_CHECKING:
    from flask import Flask

pytestmark = pytest.mark.usefixtures("in_context")
ROOT = Path(__file__).resolve().parents[2]
DOCS = (ROOT / "docs/monitoring.md").read_text()
ROW = re.compile(r"^\| `([A-Z]\w+)` \| ([^|]+) \|[^|]+\|[^|]+\| `([^`|]+)` \|$", re.MULTILINE)
TABLE = {name: (by_service, command) for name, by_service, command in ROW.findall(DOCS)}
UP = 'up{job="preference-center",instance="web:8001"}'
TICK = "preference_center_scheduler_tick_timestamp_seconds"
MINUTES = 20


@dataclass(slots=True)
class Scene:
    """A service in which nothing is wrong, until an incident changes that."""

    app: Flask
    clock: Clock
    redis_url: str
    patch: pytest.MonkeyPatch
    spool: SpoolFolder
    series: dict[str, str] = field(default_factory=lambda: {UP: "1x40", TICK: "0+60x40"})
    """What no collector of this test exports, in the notation of promtool."""
    is_scheduled: bool = True

    def wait(self, status: str, waited: timedelta, *, retry: bool = False) -> None:
        """An opt-out waits for a destination in this state."""
        record([change(1, at=self.clock())])
        self.execute(
            "UPDATE destination SET status = %s, retry_at = %s",
            status,
            self.clock() + waited + timedelta(minutes=5) if retry else None,
        )
        self.clock.advance(waited)

    def execute(self, statement: str, *values: object) -> None:
        run_in_transaction(lambda c: c.execute(statement.encode(), values))


def use(app: Flask, patch: pytest.MonkeyPatch, **given: object) -> None:
    settings = services().settings.model_copy(update=given)
    patch.setitem(app.extensions, EXTENSION_NAME, replace(services(), settings=settings))


def refuse(_now: object) -> None:
    raise Unavailable("away")


def away(scene: Scene) -> None:
    for module in (measure, gauges):
        scene.patch.setattr(module, "measure_database", refuse)


def no_redis(scene: Scene) -> None:
    use(scene.app, scene.patch, redis_url="redis://127.0.0.1:1/0")


def no_worker(scene: Scene) -> None:
    with connect_redis(scene.redis_url) as connection:
        connection.flushdb()


def no_scheduler(scene: Scene) -> None:
    scene.is_scheduled = False
    del scene.series[TICK]


def drift(scene: Scene) -> None:
    scene.execute(
        "INSERT INTO verification (destination_id, drift_repeated_at) SELECT id, %s"
        " FROM destination",
        scene.clock(),
    )


def full_spool(scene: Scene) -> None:
    (scene.spool.path / "1-00.spool").write_bytes(encode_frame(b"x", scene.clock()))
    scene.clock.advance(timedelta(minutes=6))
    writer = SpoolFolder(scene.spool.path, 1)
    scene.app.extensions[EXTENSION_KEY] = Spool(writer, SpoolWriter(writer))
    counter = 'preference_center_opt_outs_total{outcome="refused"}'
    scene.series[counter] = "0x14 5x30"


def unknown_type(scene: Scene) -> None:
    counter = 'preference_center_decisions_total{rule="unknown_message_type",allow="false"}'
    scene.series[counter] = "0+1000x40"


def dead_process(scene: Scene) -> None:
    scene.series['up{job="preference-center",instance="mail:8001"}'] = "0x40"


def slow_clock(scene: Scene) -> None:
    for module in (measure, gauges):
        scene.patch.setattr(module, "measure_clock", lambda: timedelta(minutes=-10))


def restored(scene: Scene) -> None:
    scene.patch.setattr(measure, "find_journal_problem", lambda: "erasures are missing")


Cause = Callable[[Scene], None]
SOON = timedelta(minutes=16)
INCIDENTS: dict[str, tuple[Cause, set[str]]] = {
    "a vendor's key is revoked, or its certificate is wrong": (
        lambda scene: scene.wait("active", SOON, retry=True),
        {"OptOutsWait"},
    ),
    "a vendor is down for 40 hours": (
        lambda scene: scene.wait("active", AT_RISK + timedelta(hours=4), retry=True),
        {"OptOutsWait", "WorkAtRisk"},
    ),
    "a pause is forgotten for two days": (
        lambda scene: scene.wait("paused", TARGET),
        {"OptOutsWait", "WorkLate"},
    ),
    "a rate limit lets a tenth through": (
        lambda scene: scene.wait("active", SOON),
        {"OptOutsWait"},
    ),
    "a tool keeps nothing": (drift, {"DriftRepeats"}),
    "no worker is left": (no_worker, {"NoWorker"}),
    "Redis is gone": (no_redis, {"RedisUnusable"}),
    "the scheduler is dead": (no_scheduler, {"SchedulerSilent"}),
    "PostgreSQL is stopped": (away, {"DatabaseUnavailable"}),
    "a spool is full": (full_spool, {"SpoolNotEmpty", "SpoolNotWritable", "OptOutsRefused"}),
    "a message type was removed": (unknown_type, {"UnknownMessageType"}),
    "the mail receiver is dead": (dead_process, {"ProcessDown"}),
    "a clock is ten minutes behind": (slow_clock, {"ClockDiffers"}),
    "a backup was restored": (restored, {"ErasureJournalClosed"}),
    "nothing": (lambda _: None, set()),
}


@pytest.fixture
def scene(
    app: Flask, clock: Clock, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scene]:
    monkeypatch.setattr(measure, "_list_folders", tuple)
    for module in (measure, gauges):
        monkeypatch.setattr(module, "measure_clock", timedelta)
    use(app, monkeypatch, spool_dir=str(tmp_path))
    folder = SpoolFolder(tmp_path, 1 << 20)
    app.extensions[EXTENSION_KEY] = Spool(folder, SpoolWriter(folder))
    add_destination("crm", NEWS)
    with connect_redis(redis_url) as connection:
        connection.flushdb()
        worker = make_worker(connection)
        worker.register_birth()  # type: ignore[no-untyped-call]
        yield Scene(app, clock, redis_url, monkeypatch, folder)
        worker.register_death()  # type: ignore[no-untyped-call]


def own_alerts(scene: Scene) -> set[str]:
    """By the service, once everything has held for long enough."""
    if not scene.is_scheduled:
        return set()
    now, measured = scene.clock(), gauges._measure_or_none()
    seen = Observation(
        now,
        measured,
        measure.measure_host(),
        measure.measure_queue(),
        database_away_since=None if measured else now - timedelta(minutes=5),
        ticked_at=now,
    )
    return {alert.kind.title().replace("_", "") for alert in find_alerts(seen)}


def list_series(scene: Scene) -> Iterator[tuple[str, str]]:
    """What is scraped, the gauges as they are now."""
    collectors = [HostCollector()]
    if scene.is_scheduled:
        collectors += [DatabaseCollector(), QueueCollector()]  # type: ignore[list-item]
    for family in text_string_to_metric_families(render_metrics(collectors).decode()):
        for sample in family.samples if family.type == "gauge" else ():
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            yield f"{sample.name}{{{labels}}}", f"{sample.value}x40"
    yield from scene.series.items()


def require_firing(scene: Scene, folder: Path, names: set[str]) -> None:
    """Ask promtool whether these alerts fire after MINUTES, and no others."""
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names)]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": v} for name, v in list_series(scene)],
        "promql_expr_test": [
            {
                "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{MINUTES}m",
                "exp_samples": samples,
            }
        ],
    }
    rules = str(ROOT / "deploy/alerts.yml")
    file = folder / "incident.yml"
    file.write_text(yaml.safe_dump({"rule_files": [rules], "tests": [test]}))
    done = subprocess.run(
        ["promtool", "test", "rules", file], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is missing: apt-get install prometheus"
)
@pytest.mark.parametrize("incident", INCIDENTS)
def test_an_incident_is_told_as_documented(incident: str, scene: Scene, tmp_path: Path) -> None:
    # I3
    cause, names = INCIDENTS[incident]
    cause(scene)
    assert own_alerts(scene) == {
        name for name in names if TABLE[name][0].startswith(("yes", "of the hosts"))
    }
    require_firing(scene, tmp_path, names)


@pytest.mark.parametrize("name", TABLE)
def test_what_to_look_at_works(name: str, scene: Scene) -> None:
    look_at = TABLE[name][1]
    if look_at.startswith("/console/"):
        assert staff(scene.app, Role.COMPLIANCE).get(look_at).status_code == 200
        return
    program, *words = look_at.replace("NAME", "crm").split()
    assert program == "flask"
    result = scene.app.test_cli_runner().invoke(args=words)
    expected = 1 if words == ["alerts", "test"] else 0  # nobody is to be informed here
    assert result.exit_code == expected, result.output


def test_every_alert_says_what_to_look_at() -> None:
    rules = (ROOT / "deploy/alerts.yml").read_text()
    assert set(re.findall(r"- alert: (\w+)", rules)) == TABLE.keys()
