"""`flask alerts`: what somebody must learn of, and whether they do."""

from __future__ import annotations

import click

from preference_center.core.errors import Unavailable
from preference_center.infra.commands import CommandGroup, click_errors
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.monitoring.alerts import NoticeNotSent, list_channels, send_notice
from preference_center.monitoring.measure import measure_database, measure_host, measure_queue
from preference_center.monitoring.rules.conditions import (
    DATABASE_AWAY_AFTER,
    Observation,
    find_alerts,
)
from preference_center.monitoring.rules.notices import MESSAGES, Alert, AlertKind, Notice
from preference_center.monitoring.store import list_alerts

alerts_group = CommandGroup(
    "alerts", help="Conditions that somebody must learn of, and who is informed."
)


@alerts_group.command("list")
def list_() -> None:
    """List the alerts that have begun and not ended, as the scheduler last saw them.

    Columns: since when, what, which destination or folder, what it means. The scheduler looks
    only if ALERT_EMAIL or ALERT_WEBHOOK is set.

    Example: flask alerts list
    """
    with click_errors():
        found = run_in_transaction(list_alerts)
    for alert, began_at in found:
        columns = (began_at.isoformat(), alert.kind, alert.subject, MESSAGES[alert.kind])
        click.echo("\t".join(columns))
    if not found:
        click.echo("No alerts.", err=True)


@alerts_group.command()
def check() -> None:
    """Evaluate the conditions now, as this host sees them; informs nobody.

    Columns: what, which destination, queue or folder, what it means. Of hosts it sees this one,
    without its spool (`flask spool status`); whether a scheduler runs it can't see.

    Exits with 1 if any condition holds.

    Example: flask alerts check
    """
    now, measured, cause = services().now(), None, ""
    try:
        measured = measure_database(now)
    except Unavailable as error:
        cause = error.detail
    away_since = None if measured else now - DATABASE_AWAY_AFTER
    seen = Observation(now, measured, measure_host(), measure_queue(), away_since)
    found = sorted(find_alerts(seen))
    for alert in found:
        click.echo("\t".join((alert.kind, alert.subject or cause, MESSAGES[alert.kind])))
    if found:
        raise click.exceptions.Exit(1)
    click.echo("No condition holds.", err=True)


@alerts_group.command()
def test() -> None:
    """Send an alert and its end to ALERT_EMAIL and ALERT_WEBHOOK, to see that they arrive.

    Example: flask alerts test
    """
    channels = list_channels()
    if not channels:
        raise click.ClickException("set ALERT_EMAIL or ALERT_WEBHOOK")
    alert = Alert(AlertKind.OPT_OUTS_WAIT, "test")
    for channel in channels:
        for has_ended in (False, True):
            try:
                send_notice(channel, Notice(alert, has_ended=has_ended, at=services().now()))
            except NoticeNotSent as error:
                raise click.ClickException(f"{channel}: {error}") from None
        click.echo(f"{channel}: sent")
