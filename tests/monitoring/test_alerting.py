"""Alerts are told once when they begin and once when they end, without an address."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from werkzeug.wrappers import Request, Response

from dev.processes import wait_until
from preference_center.core.deadlines import AT_RISK
from preference_center.core.errors import Unavailable, UnavailableCause
from preference_center.infra import occurrences
from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.redis import connect_redis
from preference_center.ledger import record
from preference_center.ledger.spool import Spool, SpoolFolder
from preference_center.ledger.spool.frames import encode_frame
from preference_center.ledger.spool.recorder import EXTENSION_KEY, SpoolWriter, spool_request
from preference_center.monitoring import alerts as alerting
from preference_center.monitoring import measure, store
from preference_center.monitoring.alerts import (
    ENDS_AFTER,
    AlertWatch,
    NoticeChannel,
    NoticeNotSent,
    send_notice,
)
from preference_center.monitoring.measure import Heartbeat
from preference_center.monitoring.rules.conditions import (
    DATABASE_AWAY_AFTER,
    HOLDS_FOR,
    SPOOL_WAITING_AFTER,
    WAITING_AFTER,
)
from preference_center.monitoring.rules.notices import (
    Alert,
    AlertKind,
    Notice,
)
from preference_center.monitoring.store import list_alerts
from tests.clock import Clock
from tests.core.histories import NEWS
from tests.in_force import put_in_force
from tests.infra.smtp.stub import SmtpStub, run_smtp_stub
from tests.integrations.tools.stand_in import StandIn
from tests.ledger.changes import add_destination, change
from tests.web.api.sender import make_sender
from workers.worker import make_worker

if TYPE_CHECKING:
    from flask import Flask

AT_RISK_CRM = (AlertKind.WORK_AT_RISK, "crm")


@dataclass(slots=True)
class Sent:
    """What was told; fails while `fails` is true."""

    notices: list[tuple[NoticeChannel, AlertKind, str, bool]] = field(default_factory=list)
    fails: bool = False

    def __call__(self, channel: NoticeChannel, notice: Notice) -> None:
        if self.fails:
            raise NoticeNotSent("no")
        alert = notice.alert
        self.notices.append((channel, alert.kind, alert.subject, notice.has_ended))

    def take(self) -> list[tuple[AlertKind, str, bool]]:
        found = [notice[1:] for notice in self.notices]
        self.notices.clear()
        return found


@pytest.fixture(autouse=True)
def _healthy_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the clock nor the disks of this machine count."""
    monkeypatch.setattr(measure, "measure_clock", timedelta)
    monkeypatch.setattr(measure, "_list_folders", tuple)


@pytest.fixture(autouse=True)
def _worker(redis_url: str) -> Iterator[None]:
    """Somebody takes all jobs."""
    with connect_redis(redis_url) as connection:
        connection.flushdb()
        worker = make_worker(connection)
        worker.register_birth()  # type: ignore[no-untyped-call]
        yield
        worker.register_death()  # type: ignore[no-untyped-call]


@pytest.fixture(autouse=True)
def _webhook(app: Flask, in_context: None, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = services().settings.model_copy(update={"alert_webhook": "https://chat.example/x"})
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(services(), settings=settings))


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def watch(sent: Sent, clock: Clock) -> AlertWatch:
    return AlertWatch(Heartbeat(clock()), sent)


def look(watch: AlertWatch, clock: Clock) -> None:
    watch.heartbeat.beat(clock())
    watch.heartbeat.finish_housekeeping(clock())
    watch.look()


def put_at_risk(clock: Clock) -> None:
    add_destination("crm", NEWS)
    record([change(1, at=clock())])
    clock.advance(AT_RISK)


def test_of_a_tool_that_slows_us_it_says_how_slow_and_until_when(clock: Clock) -> None:  # I3
    texts: list[str] = []
    watch = AlertWatch(Heartbeat(clock()), lambda _, notice: texts.append(notice.text))
    add_destination("crm", NEWS)
    record([change(1, at=clock())])
    clock.advance(timedelta(minutes=30))
    run_in_transaction(
        lambda c: c.execute(
            """WITH pushed AS (INSERT INTO delivery
                (destination_id, address_id, version, outcome, note, at)
                SELECT id, 1, 1, 'reflected', '', %(at)s
                FROM destination, generate_series(1, 90))
            UPDATE destination SET status = 'active', trouble = 'slowed', retry_at = %(at)s""",
            {"at": clock() - timedelta(minutes=5)},
        )
    )
    for _ in range(2):
        look(watch, clock)
        clock.advance(timedelta(minutes=5))
    (text,) = texts
    assert "Opt-outs have waited for this destination" in text
    assert "It is slowed by the tool: 3 a minute; the last pending opt-out at this rate by" in text


def reflect() -> None:
    run_in_transaction(lambda c: c.execute("UPDATE sync_state SET due_at = NULL"))


def test_an_alert_is_told_once_when_it_begins_and_once_when_it_ends(
    watch: AlertWatch, sent: Sent, clock: Clock
) -> None:  # I3
    put_at_risk(clock)
    look(watch, clock)
    assert sent.take() == [(*AT_RISK_CRM, False)]
    look(watch, clock)
    assert sent.take() == []
    reflect()
    clock.advance(ENDS_AFTER)
    look(watch, clock)
    assert sent.take() == []  # not until it has not held for so long
    clock.advance(timedelta(seconds=1))
    look(watch, clock)
    assert sent.take() == [(*AT_RISK_CRM, True)]
    look(watch, clock)
    assert sent.take() == []


def test_one_that_comes_and_goes_is_one(watch: AlertWatch, sent: Sent, clock: Clock) -> None:
    put_at_risk(clock)
    for _ in range(3):
        look(watch, clock)
        clock.advance(ENDS_AFTER - timedelta(seconds=1))
    assert [each for each in sent.take() if each[:2] == AT_RISK_CRM] == [(*AT_RISK_CRM, False)]


def test_opt_outs_that_nobody_pushes_are_told_of_after_15_minutes_and_5_more(
    watch: AlertWatch, sent: Sent, clock: Clock
) -> None:  # I3: no worker, no Redis, or whatever else, while the destination is active
    number = add_destination("crm", NEWS)
    run_in_transaction(
        lambda c: c.execute("UPDATE destination SET status = 'active' WHERE id = %s", (number,))
    )
    record([change(1, at=clock())])
    clock.advance(WAITING_AFTER)
    look(watch, clock)
    assert sent.take() == []
    clock.advance(HOLDS_FOR[AlertKind.OPT_OUTS_WAIT])
    look(watch, clock)
    assert sent.take() == [(AlertKind.OPT_OUTS_WAIT, "crm", False)]


def test_redis_without_workers_is_told_of(
    watch: AlertWatch, sent: Sent, clock: Clock, redis_url: str
) -> None:  # I3
    with connect_redis(redis_url) as connection:
        connection.flushdb()
    look(watch, clock)
    assert sent.take() == []
    clock.advance(HOLDS_FOR[AlertKind.NO_WORKER])
    look(watch, clock)
    assert sent.take() == [(AlertKind.NO_WORKER, "", False)]


def test_nothing_ends_because_no_scheduler_looked(
    watch: AlertWatch, sent: Sent, clock: Clock, spool: SpoolFolder
) -> None:  # I3: not by a host's look meanwhile, nor by the first of the next scheduler
    put_at_risk(clock)
    look(watch, clock)
    assert sent.take() == [(*AT_RISK_CRM, False)]
    reflect()
    clock.advance(2 * ENDS_AFTER)
    (spool.path / "1-00.damaged").touch()
    alerting.look_at_host()
    look(AlertWatch(Heartbeat(clock()), sent), clock)
    assert Alert(*AT_RISK_CRM) in [alert for alert, _ in run_in_transaction(list_alerts)]


def test_nothing_ends_because_the_database_was_away(
    watch: AlertWatch, sent: Sent, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:  # I3: what hosts store could not be stored meanwhile
    def refuse(_now: object) -> None:
        raise Unavailable("away")

    put_at_risk(clock)
    look(watch, clock)
    reflect()
    with monkeypatch.context() as patch:
        patch.setattr(alerting, "measure_database", refuse)
        clock.advance(2 * ENDS_AFTER)
        look(watch, clock)
    look(watch, clock)
    assert Alert(*AT_RISK_CRM) in [alert for alert, _ in run_in_transaction(list_alerts)]
    clock.advance(ENDS_AFTER)
    look(watch, clock)
    assert (*AT_RISK_CRM, True) in sent.take()


def test_a_second_scheduler_and_a_restart_tell_nothing_again(
    watch: AlertWatch, sent: Sent, clock: Clock
) -> None:
    put_at_risk(clock)
    look(watch, clock)
    sent.take()
    look(AlertWatch(Heartbeat(clock()), sent), clock)
    assert sent.take() == []


def test_what_could_not_be_sent_is_sent_later_and_given_up_after_a_day(
    watch: AlertWatch, sent: Sent, clock: Clock
) -> None:
    put_at_risk(clock)
    sent.fails = True
    look(watch, clock)
    sent.fails = False
    look(watch, clock)
    assert sent.take() == []  # its next try is later
    clock.advance(timedelta(minutes=1))
    look(watch, clock)
    assert sent.take() == [(*AT_RISK_CRM, False)]


def test_the_database_is_told_of_from_memory(
    watch: AlertWatch, sent: Sent, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_now: object) -> None:
        raise Unavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(alerting, "measure_database", refuse)
        for _ in range(3):
            look(watch, clock)
            clock.advance(DATABASE_AWAY_AFTER)
    assert sent.take() == [(AlertKind.DATABASE_UNAVAILABLE, "", False)]
    look(watch, clock)
    assert sent.take() == [(AlertKind.DATABASE_UNAVAILABLE, "", True)]


def test_a_full_disk_of_the_database_is_told_of_though_it_answers(
    sent: Sent, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise Unavailable("could not extend file", cause=UnavailableCause.DISK_FULL)

    texts: list[str] = []

    def send(channel: NoticeChannel, notice: Notice) -> None:
        texts.append(notice.text)
        sent(channel, notice)

    watch = AlertWatch(Heartbeat(clock()), send)
    put_at_risk(clock)
    with monkeypatch.context() as patch:
        patch.setattr(store, "begin_alerts", refuse)
        for _ in range(3):
            look(watch, clock)
            clock.advance(DATABASE_AWAY_AFTER)
    assert sent.take() == [(AlertKind.DATABASE_UNAVAILABLE, "", False)]
    assert "It is failing: disk_full." in texts[0]
    look(watch, clock)
    assert sent.take()[0] == (AlertKind.DATABASE_UNAVAILABLE, "", True)
    look(watch, clock)
    assert run_in_transaction(list_alerts)


def test_a_silent_scheduler_is_told_of_by_its_own_thread(
    watch: AlertWatch, sent: Sent, clock: Clock
) -> None:
    clock.advance(timedelta(minutes=5))
    watch.look()
    assert sent.take() == []
    clock.advance(HOLDS_FOR[AlertKind.SCHEDULER_SILENT])
    watch.look()
    assert sent.take() == [(AlertKind.SCHEDULER_SILENT, "", False)]


def test_a_scheduler_that_waited_for_the_database_is_not_silent(
    watch: AlertWatch, sent: Sent, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_now: object) -> None:
        raise Unavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(alerting, "measure_database", refuse)
        for _ in range(3):
            watch.look()
            clock.advance(timedelta(minutes=5))
    watch.look()  # before its first tick
    clock.advance(timedelta(seconds=30))
    look(watch, clock)
    kinds = {kind for kind, _, has_ended in sent.take() if not has_ended}
    assert kinds == {AlertKind.DATABASE_UNAVAILABLE}


def test_an_error_ends_no_thread(
    watch: AlertWatch, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_now: object) -> None:
        raise RuntimeError("anna@example.com")

    monkeypatch.setattr(alerting, "measure_database", fail)
    alerting.look_safely(watch.look)


def test_alerts_that_hold_are_listed(watch: AlertWatch, clock: Clock) -> None:
    put_at_risk(clock)
    look(watch, clock)
    assert run_in_transaction(list_alerts) == [(Alert(*AT_RISK_CRM), clock())]


class Chat(StandIn):
    """The receiver of a webhook."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[dict[str, str]] = []

    def handle(self, request: Request) -> Response:
        self.bodies.append(json.loads(request.get_data()))
        return Response(status=200)


@pytest.fixture
def notice(clock: Clock) -> Notice:
    return Notice(Alert(*AT_RISK_CRM), has_ended=False, at=clock())


def use(app: Flask, monkeypatch: pytest.MonkeyPatch, **given: str) -> None:
    settings = services().settings.model_copy(update=given)
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(services(), settings=settings))


@pytest.fixture
def chat() -> Iterator[Chat]:
    with Chat() as chat:
        yield chat


def test_a_webhook_has_a_text_and_the_parts(
    app: Flask, monkeypatch: pytest.MonkeyPatch, chat: Chat, notice: Notice
) -> None:
    use(app, monkeypatch, alert_webhook=f"{chat.url}/hook/secret")
    send_notice(NoticeChannel.WEBHOOK, notice)
    assert chat.bodies == [
        {
            "text": f"{notice.title}\n{notice.text}",
            "kind": "work_at_risk",
            "subject": "crm",
            "state": "began",
            "at": notice.at.isoformat(),
        }
    ]


def test_what_is_logged_of_a_failure_has_no_secret(
    app: Flask, monkeypatch: pytest.MonkeyPatch, notice: Notice
) -> None:
    use(app, monkeypatch, alert_webhook="http://127.0.0.1:9/hook/secret")
    with pytest.raises(NoticeNotSent) as error:
        send_notice(NoticeChannel.WEBHOOK, notice)
    assert "secret" not in str(error.value)


def test_an_email_goes_to_staff(
    app: Flask, monkeypatch: pytest.MonkeyPatch, notice: Notice
) -> None:
    stub = SmtpStub()
    with run_smtp_stub(stub) as port:
        use(
            app,
            monkeypatch,
            smtp_url=f"smtp://127.0.0.1:{port}?starttls=0",
            mail_from="choices@example.com",
            alert_email="staff@example.com",
        )
        send_notice(NoticeChannel.EMAIL, notice)
    (mail,) = stub.received
    assert mail.recipients == ["staff@example.com"]
    assert mail.message["Subject"] == "Preference center: work_at_risk: crm"
    assert "36 hours" in mail.message.get_content()


@pytest.fixture
def spool(app: Flask, tmp_path: Path) -> SpoolFolder:
    """The spool of this process, which serves."""
    folder = SpoolFolder(tmp_path, 1 << 20)
    app.extensions[EXTENSION_KEY] = Spool(folder, SpoolWriter(folder))
    return folder


def test_a_host_stores_the_alerts_of_its_spool_and_the_scheduler_sends_them(
    app: Flask, watch: AlertWatch, sent: Sent, spool: SpoolFolder, clock: Clock
) -> None:  # I1, I3: what is acknowledged and not recorded, somebody learns of
    alerting.look_at_host()
    assert run_in_transaction(list_alerts) == []
    (spool.path / "1-00.spool").write_bytes(encode_frame(b"x", clock()))
    (spool.path / "1-01.rejected").touch()
    clock.advance(SPOOL_WAITING_AFTER)
    alerting.look_at_host()
    del app.extensions[EXTENSION_KEY]  # the scheduler is another process, on another host
    look(watch, clock)
    host = socket.gethostname()
    assert sorted(sent.take()) == [
        (AlertKind.SPOOL_NOT_EMPTY, host, False),
        (AlertKind.SPOOL_REJECTED, host, False),
    ]
    clock.advance(ENDS_AFTER + timedelta(seconds=1))
    look(watch, clock)
    assert {ended for *_, ended in sent.take()} == {True}


def test_a_process_that_serves_looks_at_its_spool_in_a_thread_of_its_own(
    app: Flask, spool: SpoolFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (spool.path / "1-00.damaged").touch()
    monkeypatch.setattr(alerting, "LOOK_INTERVAL", 0.01)
    stop = threading.Event()
    alerting.start_host_alerting(app, stop)
    try:
        assert wait_until(lambda: bool(run_in_transaction(list_alerts)), 20)
    finally:
        stop.set()
        for thread in threading.enumerate():
            if thread.name == "alerts":
                thread.join(30)
    ((alert, _),) = run_in_transaction(list_alerts)
    assert alert == Alert(AlertKind.SPOOL_DAMAGED, socket.gethostname())


def test_what_happened_in_a_process_is_told_once_the_database_is_there(
    app: Flask,
    watch: AlertWatch,
    sent: Sent,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # I1, I11: without Prometheus, and without a spool
    put_in_force(app)
    occurrences.take()
    make_sender(app, "shop").ask("newsletter.gone", "jane@example.com")
    monkeypatch.delitem(app.extensions, EXTENSION_KEY, raising=False)
    with pytest.raises(Unavailable):
        spool_request("opt_outs", {}, clock(), Unavailable("away"))
    with monkeypatch.context() as patch:
        patch.setattr(alerting, "run_in_transaction", refuse)
        with pytest.raises(Unavailable):
            alerting.look_at_host()
    alerting.look_at_host()
    look(watch, clock)
    assert sorted(sent.take()) == [
        (AlertKind.OPT_OUTS_REFUSED, socket.gethostname(), False),
        (AlertKind.UNKNOWN_MESSAGE_TYPE, "shop", False),
    ]
    clock.advance(ENDS_AFTER + timedelta(seconds=1))
    alerting.look_at_host()  # it has not happened again
    look(watch, clock)
    assert {ended for *_, ended in sent.take()} == {True}


def refuse(_work: object) -> None:
    raise Unavailable("away")


def test_where_nobody_is_to_be_informed_a_process_does_not_look(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerting, "list_channels", list)
    monkeypatch.setattr(alerting, "look_at_host", None)
    monkeypatch.setattr(alerting, "_look_until", None)
    alerting.start_host_alerting(app)
