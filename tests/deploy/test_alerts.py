"""Rules and dashboards name what the service exports, and agree with its own alerts."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from preference_center.infra.metrics import render_metrics
from preference_center.ledger.spool import Spool, SpoolFolder
from preference_center.ledger.spool.recorder import EXTENSION_KEY, SpoolWriter
from preference_center.monitoring.gauges import (
    DatabaseCollector,
    HostCollector,
    QueueCollector,
    SchedulerCollector,
)
from preference_center.monitoring.measure import Heartbeat
from preference_center.monitoring.rules import conditions as alerts
from preference_center.monitoring.rules.notices import AlertKind
from tests.clock import START
from tests.docs.reading import rows

if TYPE_CHECKING:
    from flask import Flask

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = (DEPLOY / "alerts.yml").read_text()
DASHBOARDS = sorted((DEPLOY / "grafana").glob("*.json"))
DOCS = (DEPLOY.parent / "docs/monitoring.md").read_text()
OBJECTIVES_PAGE = DEPLOY.parent / "docs/slo.md"
OBJECTIVES = OBJECTIVES_PAGE.read_text()
NAME = re.compile(r"preference_center_\w+")
ALERT = re.compile(r"- alert: (\w+)")


@pytest.fixture
def families(app: Flask, in_context: None, tmp_path: Path) -> list[Metric]:
    """Everything that some process exports."""
    folder = SpoolFolder(tmp_path, 1 << 20)
    app.extensions[EXTENSION_KEY] = Spool(folder, SpoolWriter(folder))
    collectors = [
        DatabaseCollector(),
        HostCollector(),
        QueueCollector(),
        SchedulerCollector(Heartbeat(START)),
    ]
    return [*text_string_to_metric_families(render_metrics(collectors).decode())]


def series(families: list[Metric]) -> set[str]:
    """The names of series, also of those that have none yet."""
    names = set()
    for family in families:
        if family.type == "counter":
            names.add(f"{family.name}_total")
        elif family.type == "histogram":
            names |= {f"{family.name}_{part}" for part in ("bucket", "count", "sum")}
        else:
            names.add(family.name)
    return names


def test_rules_name_only_what_is_exported(families: list[Metric]) -> None:
    assert set(NAME.findall(RULES)) - series(families) == set()


def test_objectives_are_measured_and_watched_by_what_exists(families: list[Metric]) -> None:
    known = series(families) | {family.name for family in families}
    assert NAME.findall(OBJECTIVES)
    assert set(NAME.findall(OBJECTIVES)) <= known
    found = rows(OBJECTIVES_PAGE, "| promise | objective | measured by | alert |")
    named = {alert for *_, cell in found.values() for alert in re.findall(r"`(\w+)`", cell)}
    assert named
    assert named <= set(ALERT.findall(RULES))


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_name_only_what_is_exported(path: Path, families: list[Metric]) -> None:
    board = json.loads(path.read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert expressions
    assert {name for text in expressions for name in NAME.findall(text)} - series(families) == set()
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in board["panels"])


def test_the_first_row_shows_what_fires_first() -> None:
    board = json.loads((DEPLOY / "grafana/window.json").read_text())
    first = [each["targets"][0]["expr"] for each in board["panels"] if each["gridPos"]["y"] == 0]
    assert [set(NAME.findall(expression)) for expression in first] == [
        set(),
        {"preference_center_destination_oldest_seconds"},
        {"preference_center_workers"},
        {"preference_center_redis_usable"},
        {"preference_center_spool_oldest_seconds"},
    ]
    (named,) = re.findall(r'ALERTS.*alertname=~"([\w|]+)"', first[0])
    assert named.split("|") == ALERT.findall(RULES)


def documented_labels() -> dict[str, set[str]]:
    """The labels of each metric, by the table of docs/monitoring.md."""
    table = re.findall(r"^\| `(preference_center_\w+)` \|([\w, ]*)\|", DOCS, re.MULTILINE)
    return {name: {label.strip() for label in labels.split(",")} - {""} for name, labels in table}


def test_documented_labels_are_those_that_are_exported(families: list[Metric]) -> None:
    documented = documented_labels()
    for family in families:
        for sample in family.samples:
            name = re.sub(r"_(bucket|count|sum)$", "", sample.name)
            labels = documented.get(name, documented.get(sample.name))
            assert sample.labels.keys() - {"le"} == labels, sample.name


def expressions_of(path: Path) -> list[str]:
    """Those of the rules, of a page's only block of code, or of a dashboard."""
    text = path.read_text()
    if path.suffix == ".yml":
        return [rule["expr"] for rule in yaml.safe_load(text)["groups"][0]["rules"]]
    if path.suffix == ".md":
        (block,) = re.findall(r"```\n(.*?)```", text, re.DOTALL)
        return str(block).split("\n\n")
    return [target["expr"] for panel in json.loads(text)["panels"] for target in panel["targets"]]


@pytest.mark.parametrize(
    "path", [DEPLOY / "alerts.yml", OBJECTIVES_PAGE, *DASHBOARDS], ids=lambda path: path.stem
)
def test_expressions_select_and_sum_by_labels_that_exist(path: Path) -> None:
    """Prometheus takes an unknown label for one that nothing has: a panel without data."""
    documented = documented_labels()
    expressions = expressions_of(path)
    assert expressions
    for expression in expressions:
        metrics = {re.sub(r"_(bucket|count|sum)$", "", each) for each in NAME.findall(expression)}
        known = set().union(
            {"le", "instance", "job", "component", "alertname", "alertstate"},
            *(documented[each] for each in metrics),
        )
        grouped = re.findall(r"\b(?:by|on) \(([\w, ]+)\)", expression)
        selected = re.findall(r"(\w+)=~?\"", expression)
        used = {label.strip() for group in grouped for label in group.split(",")} | set(selected)
        assert used <= known, expression


def test_every_metric_is_documented_and_nothing_else(families: list[Metric]) -> None:
    exported = {
        f"{family.name}_total" if family.type == "counter" else family.name for family in families
    }
    assert set(re.findall(r"^\| `(preference_center_\w+)`", DOCS, re.MULTILINE)) == exported


def test_every_alert_of_our_own_is_a_rule_and_documented() -> None:
    rules = set(ALERT.findall(RULES))
    assert {kind.title().replace("_", "") for kind in AlertKind} <= rules
    documented = set(re.findall(r"^\| `(\w+)` \|", DOCS, re.MULTILINE))
    assert rules <= documented


@pytest.mark.parametrize(
    "expression, limit",
    [
        ("destination_oldest_seconds) > {}", alerts.WAITING_AFTER),
        ("destination_unread_seconds) > {}", alerts.WAITING_AFTER),
        ('{{kind=~"webhook|vendor_event"}}) > {}', alerts.WAITING_AFTER),
        ("scheduler_tick_timestamp_seconds) > {}", alerts.TICK_MISSING_AFTER),
        ("scheduler_housekeeping_timestamp_seconds) > {}", alerts.HOUSEKEEPING_MISSING_AFTER),
        ("company_webhooks_failing_seconds) > {}", alerts.COMPANY_WEBHOOKS_FAIL_AFTER),
        ("emails_oldest_seconds) > {}", alerts.EMAIL_STUCK_AFTER),
        ("emails_refused_share) > {}", alerts.MAX_REFUSED_SHARE),
        ("feed_held_seconds) > {}", alerts.FEED_HELD_AFTER),
        ("feed_publisher_oldest_seconds) > {}", alerts.PUBLISHER_BEHIND_AFTER),
        ("spool_oldest_seconds > {}", alerts.SPOOL_WAITING_AFTER),
    ],
)
def test_limits_are_the_same(expression: str, limit: object) -> None:
    value = int(limit.total_seconds()) if isinstance(limit, timedelta) else limit
    assert expression.format(value) in RULES


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is missing: apt-get install prometheus"
)
@pytest.mark.parametrize("arguments", [("check", "alerts.yml"), ("test", "alerts_test.yml")])
def test_promtool_accepts_the_rules(arguments: tuple[str, str]) -> None:
    what, file = arguments
    command = ["promtool", what, "rules", file]
    done = subprocess.run(command, cwd=DEPLOY, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is missing: apt-get install prometheus"
)
@pytest.mark.parametrize("page", ["kubernetes.md", "monitoring.md"])
def test_promtool_accepts_the_scrape_configurations_of_the_pages(page: str, tmp_path: Path) -> None:
    blocks = re.findall(
        r"```yaml\n(.*?)```", (DEPLOY.parent / "docs" / page).read_text(), re.DOTALL
    )
    shown = [block for block in blocks if "scrape_configs" in block]
    assert shown
    for block in shown:
        assert "job_name: preference-center\n" in block
        (tmp_path / "prometheus.yml").write_text(block)
        command = ["promtool", "check", "config", "--syntax-only", str(tmp_path / "prometheus.yml")]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_rules_hold_for_as_long_as_our_own_alerts() -> None:
    rules = {rule.get("alert"): rule for rule in yaml.safe_load(RULES)["groups"][0]["rules"]}
    for kind, length in alerts.HOLDS_FOR.items():
        held = rules[kind.title().replace("_", "")]["for"]
        assert held == f"{length.total_seconds() / 60:.0f}m", kind


MEASURED_BY_THE_SCHEDULER = re.compile(
    r"preference_center_(destination|backlog|rights|emails|erasure|key_rotation|feed|history|redis|workers)"
)


def test_no_alert_about_what_the_scheduler_measures_ends_because_it_is_dead() -> None:  # I3
    for rule in yaml.safe_load(RULES)["groups"][0]["rules"]:
        if MEASURED_BY_THE_SCHEDULER.search(rule["expr"]):
            held = f'ALERTS{{alertname="{rule["alert"]}", alertstate="firing"}}'
            assert held in rule["expr"], rule["alert"]


def test_every_alert_leads_to_its_row_of_the_page() -> None:
    for rule in yaml.safe_load(RULES)["groups"][0]["rules"]:
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        text = (DEPLOY.parent / page).read_text()
        (row,) = [line for line in text.splitlines() if f'<a id="{anchor}"></a>' in line]
        assert row.startswith(f"| `{rule['alert']}` |")


def test_every_rule_is_tested() -> None:
    tested = set(re.findall(r"alertname: (\w+)", (DEPLOY / "alerts_test.yml").read_text()))
    assert set(ALERT.findall(RULES)) == tested
