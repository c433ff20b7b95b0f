"""`flask alerts`: what somebody must learn of, and whether they do."""

from __future__ import annotations

import click

from preference_center.infra.commands import CommandGroup, click_errors
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.monitoring.alerts import NoticeNotSent, list_channels, send_notice
from preference_center.monitoring.rules import MESSAGES, Alert, AlertKind, Notice
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
