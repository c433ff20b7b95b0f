"""Somebody is told of an incident as docs/monitoring.md says: by Prometheus and by our own alerts.

What is exported goes to the shipped rules, what they measure to our own conditions, and the command
of each alert is run while the incident lasts. Redis, workers, waiting rows, the spool, requests and
the erasure journal are real. Simulated are the outage of the database, the clock and repeated
drift, whose causes other tests have, and counters and `up`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from preference_center.infra import occurrences
from preference_center.infra.metrics import render_metrics
from preference_center.monitoring import gauges, measure
from preference_center.monitoring.gauges import DatabaseCollector, HostCollector, QueueCollector
from preference_center.monitoring.rules.conditions import Observation, find_alerts
from tests.monitoring.incidents import INCIDENTS
from tests.monitoring.scene import DOCS, ROOT, Scene

ROW = re.compile(r"^\| `([A-Z]\w+)` \| ([^|]+) \|[^|]+\|[^|]+\| `([^`|]+)` \|$", re.MULTILINE)
TABLE = {name: (by_service, command) for name, by_service, command in ROW.findall(DOCS)}
MINUTES = 20


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
        occurred=occurrences.take(),
        database_away_since=None if measured else now - timedelta(minutes=5),
        ticked_at=now,
        housekept_at=scene.housekept_at or now,
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
    cause, shown = INCIDENTS[incident]
    cause(scene)
    assert own_alerts(scene) == {
        name for name in shown if TABLE[name][0].startswith(("yes", "of the hosts"))
    }
    require_firing(scene, tmp_path, set(shown))


@pytest.mark.parametrize("incident", INCIDENTS)
def test_what_to_look_at_names_the_cause_while_it_lasts(incident: str, scene: Scene) -> None:
    cause, shown = INCIDENTS[incident]
    cause(scene)
    for name, text in shown.items():
        assert text in scene.look_at(TABLE[name][1])


@pytest.mark.parametrize("command", sorted({command for _, command in TABLE.values()}))
def test_what_to_look_at_works(command: str, scene: Scene) -> None:
    nobody_to_inform = command == "flask alerts test"
    assert ("Error" in scene.look_at(command)) == nobody_to_inform


def test_every_alert_says_what_to_look_at() -> None:
    rules = (ROOT / "deploy/alerts.yml").read_text()
    assert set(re.findall(r"- alert: (\w+)", rules)) == TABLE.keys()
