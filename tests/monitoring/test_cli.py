"""`flask alerts`: what has begun, and whether people would learn of it."""

# ruff: noqa: F401 - a fixture of another folder is imported by name

from __future__ import annotations

import threading
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING

import pytest

from dev.processes import wait_until
from preference_center.destinations.rules.promise import HostMeasurements, QueueMeasurement
from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.monitoring import alerts, cli
from preference_center.monitoring.measure import Heartbeat
from preference_center.monitoring.rules.conditions import HOLDS_FOR, WAITING_AFTER
from preference_center.monitoring.rules.notices import Alert, AlertKind
from preference_center.monitoring.store import begin_alerts, list_alerts
from tests.clock import START, Clock
from tests.core.histories import NEWS
from tests.infra.cli.fixtures import _staff_name
from tests.infra.smtp.stub import SmtpStub, run_smtp_stub
from tests.ledger.changes import add_destination, change

if TYPE_CHECKING:
    from flask import Flask

pytestmark = pytest.mark.usefixtures("in_context")


def use(app: Flask, monkeypatch: pytest.MonkeyPatch, **given: str) -> None:
    settings = services().settings.model_copy(update=given)
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(services(), settings=settings))


def test_alerts_that_have_begun_are_listed(app: Flask) -> None:
    found = app.test_cli_runner().invoke(args=["alerts", "list"])
    assert (found.stdout, found.stderr) == ("", "No alerts.\n")
    alert = Alert(AlertKind.OPT_OUTS_WAIT, "crm")
    run_in_transaction(lambda c: begin_alerts(c, [alert], START))
    found = app.test_cli_runner().invoke(args=["alerts", "list"])
    since, kind, subject, text = found.stdout.strip().split("\t")
    assert (since, kind, subject) == (START.isoformat(), "opt_outs_wait", "crm")
    assert text.startswith("Opt-outs have waited")


def test_a_check_evaluates_now_though_nobody_is_to_be_informed(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "measure_host", HostMeasurements)
    monkeypatch.setattr(cli, "measure_queue", QueueMeasurement)
    found = app.test_cli_runner().invoke(args=["alerts", "check"])
    assert (found.exit_code, found.stdout, found.stderr) == (0, "", "No condition holds.\n")
    add_destination("crm", NEWS)
    record([change(1)])
    clock.advance(WAITING_AFTER)
    found = app.test_cli_runner().invoke(args=["alerts", "check"])
    assert found.exit_code == 1
    assert found.stdout.startswith("opt_outs_wait\tcrm\tOpt-outs have waited")


def test_a_trial_arrives(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = SmtpStub()
    with run_smtp_stub(stub) as port:
        use(
            app,
            monkeypatch,
            smtp_url=f"smtp://127.0.0.1:{port}?starttls=0",
            mail_from="choices@example.com",
            alert_email="staff@example.com",
        )
        found = app.test_cli_runner().invoke(args=["alerts", "test"])
    assert found.exit_code == 0
    assert found.stdout == "email: sent\n"
    assert len(stub.received) == 2


def test_a_trial_that_fails_says_why(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    found = app.test_cli_runner().invoke(args=["alerts", "test"])
    assert found.exit_code == 1
    assert "set ALERT_EMAIL or ALERT_WEBHOOK" in found.stderr
    use(app, monkeypatch, alert_webhook="http://127.0.0.1:9/secret")
    found = app.test_cli_runner().invoke(args=["alerts", "test"])
    assert found.exit_code == 1
    assert found.stderr.startswith("Error: webhook: ")
    assert "secret" not in found.stderr


def test_the_scheduler_looks_in_a_thread_of_its_own(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "LOOK_INTERVAL", 0.01)
    monkeypatch.delitem(HOLDS_FOR, AlertKind.SCHEDULER_SILENT)
    monkeypatch.setattr(alerts, "measure_host", HostMeasurements)  # not this machine's disks
    use(app, monkeypatch, alert_webhook="http://127.0.0.1:9/secret")
    stop = Event()
    long_ago = services().now() - 2 * alerts.ENDS_AFTER
    alerts.start_alerting(app, Heartbeat(long_ago), stop)
    try:
        assert wait_until(lambda: bool(run_in_transaction(list_alerts)), 20)
    finally:
        stop.set()
        for thread in threading.enumerate():
            if thread.name == "alerts":
                thread.join(30)
    ((alert, _),) = run_in_transaction(list_alerts)
    assert alert == Alert(AlertKind.SCHEDULER_SILENT)


def test_without_anybody_to_inform_nothing_looks(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "AlertWatch", None)
    alerts.start_alerting(app, Heartbeat(START), Event())
