"""Gauges: what the database knows, and this host."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from preference_center.core.addresses import Channel, parse_address
from preference_center.destinations.rules.promise import BacklogKind
from preference_center.destinations.store import samples
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.metrics import render_metrics
from preference_center.ledger import record
from preference_center.ledger.spool import Spool, SpoolFolder
from preference_center.ledger.spool.recorder import EXTENSION_KEY, SpoolWriter
from preference_center.monitoring import gauges as collectors
from preference_center.monitoring import measure
from preference_center.monitoring.gauges import (
    DatabaseCollector,
    HostCollector,
    SchedulerCollector,
    add_collector,
)
from preference_center.monitoring.measure import Heartbeat
from preference_center.monitoring.probes import INTERNAL
from tests.clock import START, Clock
from tests.core.histories import NEWS
from tests.ledger.changes import add_destination, change

if TYPE_CHECKING:
    from flask import Flask
    from prometheus_client.registry import Collector

pytestmark = pytest.mark.usefixtures("in_context")


def gauges(*measured: Collector) -> dict[tuple[str, ...], float]:
    """Values by name and labels' values."""
    return {
        (sample.name.removeprefix("preference_center_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(render_metrics(measured).decode())
        for sample in family.samples
    }


def opt_outs(clock: Clock, count: int) -> None:
    record(
        [
            change(n + 1, address=parse_address(f"p{n}@example.com", Channel.EMAIL), at=clock())
            for n in range(count)
        ]
    )


def test_what_waits_is_counted_per_destination_with_its_age(clock: Clock) -> None:  # I3
    add_destination("crm", NEWS)
    add_destination("idle", "acme.other")
    opt_outs(clock, 3)
    clock.advance(timedelta(hours=49))
    found = gauges(DatabaseCollector())
    assert found["destination_pending", "crm"] == 3
    assert found["destination_oldest_seconds", "crm"] == 49 * 3600
    assert found["destination_late", "crm", "past_target"] == 3
    assert found["destination_late", "crm", "overdue"] == 0
    assert found["destination_pending", "idle"] == 0
    assert found["destination_state", "crm", "observe"] == 1
    assert found["destination_state", "crm", "broken"] == 0
    assert found["database_up",] == 1


def test_an_open_circuit_is_a_state(clock: Clock) -> None:
    number = add_destination("crm", NEWS)
    run_in_transaction(
        lambda c: c.execute(
            "UPDATE destination SET status = 'active', retry_at = %s WHERE id = %s",
            (START, number),
        )
    )
    assert gauges(DatabaseCollector())["destination_state", "crm", "broken"] == 1
    run_in_transaction(lambda c: c.execute("UPDATE destination SET trouble = 'slowed'"))
    found = gauges(DatabaseCollector())
    assert found["destination_state", "crm", "slowed"] == 1
    assert found["destination_state", "crm", "broken"] == 0


def test_what_waits_for_a_person_is_counted_by_kind() -> None:
    found = gauges(DatabaseCollector())
    assert {kind for name, *kinds in found if name == "backlog" for kind in kinds} == set(
        BacklogKind
    )
    run_in_transaction(
        lambda c: c.execute(
            """INSERT INTO review_queue (id, content_digest, mailbox, reason, size, received_at)
            VALUES (gen_random_uuid(), 'x', 'replies', 'unclear', 1, %s)""",
            (START,),
        )
    )
    assert gauges(DatabaseCollector())["backlog", "review_item"] == 1


def test_what_is_late_is_0_and_not_missing_while_nothing_is() -> None:
    """A series that appears with its first problem has no increase, and its panel no data."""
    found = gauges(DatabaseCollector())
    assert found["backlog_late", "webhook", "overdue"] == 0
    counted = render_metrics([]).decode()
    assert (
        'preference_center_inbound_total{destination="",kind="mail",outcome="unreadable"}'
        in counted
    )
    unknown = 'preference_center_decisions_total{allow="false",rule="unknown_message_type"}'
    assert unknown in counted


def test_the_count_has_a_limit(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "MIN_PENDING", 2)
    monkeypatch.setattr(samples, "MAX_PENDING", 2)
    add_destination("crm", NEWS)
    opt_outs(clock, 5)
    found = gauges(DatabaseCollector())
    assert found["destination_pending", "crm"] == 2
    assert found["count_capped", "destination_pending", "crm"] == 1


def test_a_count_at_its_limit_and_not_above_is_exact(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "MIN_PENDING", 3)
    monkeypatch.setattr(samples, "MAX_PENDING", 3)
    add_destination("crm", NEWS)
    opt_outs(clock, 3)
    found = gauges(DatabaseCollector())
    assert found["destination_pending", "crm"] == 3
    for what, of in (
        ("destination_pending", "crm"),
        ("destination_late", "crm"),
        ("backlog", "webhook"),
        ("emails_due", ""),
    ):
        assert found["count_capped", what, of] == 0


@pytest.mark.parametrize(
    "limit, count",
    [
        ("MAX_STAGES", "rights_requests"),
        ("MAX_DUE", "rights_webhooks_due"),
        ("MAX_BY_HAND", "erasures_by_hand"),
        ("MAX_UNWRITTEN", "erasures_not_in_journal"),
    ],
)
def test_every_count_that_stopped_at_its_limit_says_so(
    limit: str, count: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gauges(DatabaseCollector())["count_capped", count, ""] == 0
    monkeypatch.setattr(measure, limit, 0)
    assert gauges(DatabaseCollector())["count_capped", count, ""] == 1


def test_the_database_is_asked_once_in_ten_seconds(clock: Clock) -> None:
    elapsed = [0.0]
    collector = DatabaseCollector(monotonic=lambda: elapsed[0])
    assert ("destination_pending", "crm") not in gauges(collector)
    add_destination("crm", NEWS)
    elapsed[0] = 9.9
    assert ("destination_pending", "crm") not in gauges(collector)
    elapsed[0] = 10
    assert ("destination_pending", "crm") in gauges(collector)


def test_without_the_database_only_that_is_reported(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collectors, "_measure_or_none", lambda: None)
    found = gauges(DatabaseCollector())
    assert found["database_up",] == 0
    assert not [name for name, *_ in found if name.startswith("destination_")]


def test_the_spool_and_the_disks_are_of_this_host(app: Flask, tmp_path: Path) -> None:
    folder = SpoolFolder(tmp_path, 1 << 20)
    app.extensions[EXTENSION_KEY] = Spool(folder, SpoolWriter(folder))
    found = gauges(HostCollector())
    assert found["spool_pending",] == 0
    assert found["spool_writable",] == 1
    assert 0 < found["disk_free_bytes", "spool"] <= found["disk_size_bytes", "spool"]
    assert found["disk_free_bytes", "temporary"] > 0


def test_the_time_of_the_last_tick_is_a_gauge() -> None:
    heartbeat = Heartbeat(START)
    heartbeat.beat(START + timedelta(seconds=2))
    found = gauges(SchedulerCollector(heartbeat))
    assert found["scheduler_tick_timestamp_seconds",] == START.timestamp() + 2
    assert ("scheduler_housekeeping_timestamp_seconds",) not in found
    heartbeat.finish_housekeeping(START)
    found = gauges(SchedulerCollector(heartbeat))
    assert found["scheduler_housekeeping_timestamp_seconds",] == START.timestamp()


def test_a_scheduler_that_has_done_nothing_yet_has_no_such_time() -> None:
    found = gauges(SchedulerCollector(Heartbeat(START)))
    assert not [name for name, *_ in found if name.startswith("scheduler_")]


def test_metrics_are_on_the_internal_port_only(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/metrics").status_code == 404
    answer = client.get("/metrics", environ_overrides={INTERNAL: True})
    assert answer.status_code == 200
    assert answer.mimetype == "text/plain"
    assert "preference_center_opt_outs_total" in answer.text
    assert "preference_center_destination_pending" not in answer.text


def test_the_scheduler_has_the_database_in_its_own(app: Flask) -> None:
    add_destination("crm", NEWS)
    add_collector(app, DatabaseCollector())
    answer = app.test_client().get("/metrics", environ_overrides={INTERNAL: True})
    assert 'preference_center_destination_pending{destination="crm"} 0.0' in answer.text
    assert services().settings.internal_port is None
