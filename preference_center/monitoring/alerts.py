"""`AlertWatch` informs staff of alerts: once when each begins, and once when it ends.

It runs in a thread of the scheduler's own, since it must also work while the scheduler's ticks,
Redis or the workers do not. What it has sent is in the database, so that a restart or a second
scheduler sends nothing twice; only that the database itself is away is in memory.

Notices go by email or to a webhook. They are for the company's own staff, so they are in English.
They name conditions, destinations, folders and hosts, never an address.

What is in a spool only the processes of its host see, and what happened in one of them only it
(`start_host_alerting`). They store alerts;
the scheduler sends the notices. It alone ends alerts: of most it alone sees whether they hold.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from enum import StrEnum
from functools import partial

import structlog
from flask import Flask

from preference_center.core.deadlines import destination_retry
from preference_center.core.errors import PreferenceCenterError, Unavailable
from preference_center.core.networks import split_url
from preference_center.destinations.rules.promise import Measurements
from preference_center.destinations.store.forecasts import describe_slowed
from preference_center.infra import occurrences
from preference_center.infra.context import services
from preference_center.infra.db.connections import WEB_TIMEOUTS
from preference_center.infra.db.transactions import Connection, override_limits, run_in_transaction
from preference_center.infra.smtp_client import SmtpClient, SmtpError
from preference_center.integrations.base.contract import DeliveryError
from preference_center.monitoring import store
from preference_center.monitoring.measure import (
    Heartbeat,
    measure_database,
    measure_host,
    measure_queue,
)
from preference_center.monitoring.rules.conditions import HoldTimer, Observation, find_alerts
from preference_center.monitoring.rules.notices import Alert, AlertKind, Notice
from preference_center.monitoring.store import ClaimedNotice


class NoticeNotSent(PreferenceCenterError):
    """A notice could not be sent; the message states why, without a secret."""


class NoticeChannel(StrEnum):
    """How a notice is sent."""

    EMAIL = "email"
    """To ALERT_EMAIL."""
    WEBHOOK = "webhook"
    """To ALERT_WEBHOOK."""


def list_channels() -> list[NoticeChannel]:
    """Those that are configured."""
    settings = services().settings
    given = {
        NoticeChannel.EMAIL: settings.alert_email,
        NoticeChannel.WEBHOOK: settings.alert_webhook,
    }
    return [channel for channel, value in given.items() if value]


def send_notice(channel: NoticeChannel, notice: Notice) -> None:
    """Send it. Raises NoticeNotSent, whose message has no secret."""
    match channel:
        case NoticeChannel.EMAIL:
            _send_email(notice)
        case NoticeChannel.WEBHOOK:
            _send_webhook(notice)


def _send_email(notice: Notice) -> None:
    settings = services().settings
    server = settings.mail_server
    if server is None or not settings.alert_email:
        raise NoticeNotSent("ALERT_EMAIL is no longer set")
    message = EmailMessage()
    message["From"], message["To"] = settings.mail_from, settings.alert_email
    message["Subject"] = f"Preference center: {notice.title}"
    message["Date"] = notice.at
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 5
    message.set_content(f"{notice.text}\n\n{settings.public_url}\n")
    try:
        with SmtpClient(server, settings.public_url) as client:
            client.send(message)
    except SmtpError as error:
        raise NoticeNotSent(f"{type(error).__name__} {error}") from None


def _send_webhook(notice: Notice) -> None:
    url = services().settings.alert_webhook
    if not url:
        raise NoticeNotSent("ALERT_WEBHOOK is no longer set")
    body = {
        "text": f"{notice.title}\n{notice.text}",  # chat programs show this
        "kind": notice.alert.kind,
        "subject": notice.alert.subject,
        "state": "ended" if notice.has_ended else "began",
        "at": notice.at.isoformat(),
    }
    # Imported late: its libraries take memory in every process, and few notices go by it.
    from preference_center.integrations.base.http import HttpContext  # noqa: PLC0415

    origin, path = split_url(url)
    http = HttpContext(now=services().now, allow_private=True)
    try:
        with http.session("alerts", origin) as session:
            session.send(
                "POST",
                "ALERT_WEBHOOK",
                raw_path=path,
                body=json.dumps(body).encode(),
                headers={"Content-Type": "application/json"},
            )
    except DeliveryError as error:
        raise NoticeNotSent(str(error)) from None


LOOK_INTERVAL = 30.0
"""Seconds between evaluations."""


ENDS_AFTER = timedelta(minutes=10)
"""How long a condition must not hold until its alert has ended: one that comes and goes is one."""


LEASE = timedelta(minutes=3)
"""Longer than sending a notice may take."""


GIVE_UP_AFTER = timedelta(days=1)


log = structlog.get_logger()


Send = Callable[[NoticeChannel, Notice], None]


_DATABASE_UNAVAILABLE = Alert(AlertKind.DATABASE_UNAVAILABLE)


def start_alerting(app: Flask, heartbeat: Heartbeat, stop: threading.Event) -> None:
    """Look every LOOK_INTERVAL in a thread until `stop`; nothing if nobody is to be informed."""
    with app.app_context():
        if not list_channels():
            return
    _look_until(app, AlertWatch(heartbeat).look, stop)


def start_host_alerting(app: Flask, stop: threading.Event | None = None) -> None:
    """The same for the host of a process that takes opt-outs, and what happened in it."""
    with app.app_context():
        if not list_channels():
            return
    _look_until(app, look_at_host, stop or threading.Event())


def look_at_host() -> None:
    """Store the alerts about this host and process, if there are any. Raises Unavailable.

    What has happened in the process is stored by a later look then.
    """
    now, occurred = services().now(), occurrences.take()
    found = find_alerts(Observation(now, None, measure_host(), occurred=occurred))
    if not found:
        return
    try:
        with override_limits(WEB_TIMEOUTS):
            run_in_transaction(lambda c: _store_begun(c, found, now))
    except BaseException:
        occurrences.put_back(occurred)
        raise


def report_occurrences() -> None:
    """`look_at_host` now, in a process that may not live until its next look. Raises nothing."""
    if list_channels():
        look_safely(look_at_host)


def _look_until(app: Flask, look: Callable[[], None], stop: threading.Event) -> None:
    def run() -> None:
        while not stop.wait(LOOK_INTERVAL):
            with app.app_context():
                look_safely(look)

    threading.Thread(target=run, name="alerts", daemon=True).start()


def look_safely(look: Callable[[], None]) -> None:
    """`look`, with any error in the log: the next one may succeed."""
    try:
        look()
    except PreferenceCenterError as error:
        log.warning("alerts_not_evaluated", error=type(error).__name__)
    except Exception as error:  # noqa: BLE001 - no other thread would look
        log.error("alerts_failed", error=type(error).__name__)  # noqa: TRY400 - may quote a row


@dataclass(slots=True)
class AlertWatch:
    """Evaluates the conditions, and sends what is new. Needs an application context."""

    heartbeat: Heartbeat
    send: Send = send_notice
    _timer: HoldTimer = field(default_factory=HoldTimer)
    _measured_since: datetime | None = None
    """Since when the database has been measured without a break."""
    _away_since: datetime | None = None
    """Since when it could not be measured, or nothing be stored in it."""
    _away_cause: str = ""
    _sent_away: bool = False

    def look(self) -> None:
        """Evaluate all conditions now, and send due notices. Raises Unavailable."""
        now = services().now()
        measured = self._measure(now)
        observation = Observation(
            at=now,
            measured=measured,
            host=measure_host(),
            queue=measure_queue(),
            database_away_since=self._away_since,
            ticked_at=self.heartbeat.ticked_at or self.heartbeat.started_at,
            housekept_at=self.heartbeat.housekept_at or self.heartbeat.started_at,
        )
        found = self._timer.select_persisting(find_alerts(observation), now)
        is_stored = measured is not None and self._try_to_store(found, now)
        self._notify_about_database(now, is_away=_DATABASE_UNAVAILABLE in found)
        if is_stored:
            self._send_due()

    def _try_to_store(self, found: frozenset[Alert], now: datetime) -> bool:
        """Whether it succeeded. A database that can be read only, as on a full disk, is away."""
        try:
            with override_limits(WEB_TIMEOUTS):
                run_in_transaction(lambda c: self._store(c, found - {_DATABASE_UNAVAILABLE}, now))
        except Unavailable as error:
            self._note_away(now, error)
            return False
        self._away_since, self._away_cause = None, ""
        return True

    def _note_away(self, now: datetime, error: Unavailable) -> None:
        self._away_since, self._away_cause = self._away_since or now, error.detail
        self._measured_since = None

    def _store(self, connection: Connection, found: frozenset[Alert], now: datetime) -> None:
        """Store what began and what ended, with the notices about it.

        After a start or an outage nothing ends until every condition could have been seen again.
        """
        _store_begun(connection, found, now)
        ends_before = now - ENDS_AFTER
        if self._measured_since is not None and self._measured_since <= ends_before:
            for alert in store.end_alerts(connection, ends_before):
                _insert_notices(connection, Notice(alert, has_ended=True, at=now))

    def _measure(self, now: datetime) -> Measurements | None:
        try:
            with override_limits(WEB_TIMEOUTS):  # a frozen server must not hold this thread
                measured = measure_database(now)
        except Unavailable as error:
            self._note_away(now, error)
            return None
        self._measured_since = self._measured_since or now
        return measured

    def _notify_about_database(self, now: datetime, *, is_away: bool) -> None:
        """At once, since nothing can be stored; each scheduler for itself."""
        has_ended = self._sent_away and self._away_since is None
        if not has_ended and (not is_away or self._sent_away):
            return
        cause = f"failing: {self._away_cause}" if self._away_cause else ""
        notice = Notice(_DATABASE_UNAVAILABLE, has_ended=has_ended, at=now, detail=cause)
        self._sent_away = not has_ended
        for channel in list_channels():
            try:
                self.send(channel, notice)
            except NoticeNotSent as error:
                log.warning("alert_not_sent", channel=channel, error=str(error))

    def _send_due(self) -> None:
        context = services()
        while claim := run_in_transaction(
            lambda c: store.claim_notice(c, context.now(), context.now() + LEASE)
        ):
            next_at = self._try(claim)
            run_in_transaction(partial(store.settle_notice, notice_id=claim.id, next_at=next_at))

    def _try(self, claim: ClaimedNotice) -> datetime | None:
        """When to send it again; None if it was sent, or is given up."""
        alert = claim.notice.alert
        notice = replace(claim.notice, detail=_describe(alert))
        try:
            self.send(NoticeChannel(claim.channel), notice)
        except NoticeNotSent as error:
            log.warning("alert_not_sent", channel=claim.channel, error=str(error))
            now = services().now()
            return (
                destination_retry(claim.attempts, now)
                if now < claim.notice.at + GIVE_UP_AFTER
                else None
            )
        log.info(
            "alert_sent",
            channel=claim.channel,
            kind=alert.kind,
            subject=alert.subject,
            ended=claim.notice.has_ended,
        )
        return None


def _describe(alert: Alert) -> str:
    """What is to be said of an alert as it is sent: of a tool that is slow, how slow."""
    if alert.kind is not AlertKind.OPT_OUTS_WAIT:
        return ""
    now = services().now()
    return run_in_transaction(lambda c: describe_slowed(c, alert.subject, now))


def _store_begun(connection: Connection, found: frozenset[Alert], now: datetime) -> None:
    """Store what began, with the notices about it, and that the others still hold."""
    for alert in store.begin_alerts(connection, found, now):
        _insert_notices(connection, Notice(alert, has_ended=False, at=now))


def _insert_notices(connection: Connection, notice: Notice) -> None:
    for channel in list_channels():
        store.insert_notice(connection, services().new_id(), channel, notice)
