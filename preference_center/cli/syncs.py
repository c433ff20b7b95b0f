"""`flask syncs`: late and pending opt-outs, measured against the 72-hour window (I3)."""

from __future__ import annotations

from datetime import datetime

import click

from preference_center.cli.command_app import CommandGroup
from preference_center.cli.errors import click_errors
from preference_center.context import services
from preference_center.domain.deadlines import DeadlineStage
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.sync import backlog as waiting
from preference_center.storage.sync import late_rows, undecided_events
from preference_center.storage.sync.late_rows import LateRows
from preference_center.storage.sync.undecided_events import BacklogKind, OverdueBacklog

syncs = CommandGroup("syncs", help="Show late and pending opt-outs of the connected tools.")

_STAGE_LABELS = {
    DeadlineStage.AT_RISK: "at risk (36 h passed)",
    DeadlineStage.PAST_TARGET: "past target (48 h passed)",
    DeadlineStage.OVERDUE: "OVERDUE (72 h passed)",
}
_BACKLOG_LABELS = {
    BacklogKind.VENDOR_EVENT: "vendor events that were not understood",
    BacklogKind.WEBHOOK: "webhooks that are not processed yet",
    BacklogKind.MAIL_OPT_OUT: "opt-outs by mail whose address is not known",
    BacklogKind.REVIEW_ITEM: "messages whose meaning is not clear",
    BacklogKind.DEFERRED_FORMS: "opt-outs that wait for the scheduler, for some forms of a mailbox",
}
_BACKLOG_COMMANDS = {
    BacklogKind.VENDOR_EVENT: "flask inbound events list",
    BacklogKind.WEBHOOK: "flask destinations list",
    BacklogKind.MAIL_OPT_OUT: "flask inbound pending",
    BacklogKind.REVIEW_ITEM: "flask inbound review-queue list",
}


@syncs.command()
def overdue() -> None:
    """Show opt-outs that are late, the most urgent first; usable as an alert.

    72 hours after the company received an opt-out, every tool must reflect it. It is at risk
    from 36 hours on, past target from 48, overdue from 72. Rows of paused, observed and broken
    destinations count too: their 72 hours keep running. So does everything that was acknowledged
    and not understood, until a person decides: vendor events, opt-outs by mail whose address is
    not known, mails in the review queue. So do other forms of a mailbox that the scheduler has
    not processed yet.

    Exits with 1 as soon as one is at risk, so that a monitor alerts while there is still time to
    fix the tool; with 0 if all are on time.
    """
    with click_errors():
        late, backlogs, now = run_in_transaction(_load_late)
    for row in late:
        click.echo(_late_line(row, now))
    for backlog in backlogs:
        click.echo(_backlog_line(backlog, now))
    commands = [_BACKLOG_COMMANDS[each.kind] for each in backlogs if each.kind in _BACKLOG_COMMANDS]
    for command in dict.fromkeys(commands):
        click.echo(f"To decide: {command}", err=True)
    if any(each.kind is BacklogKind.DEFERRED_FORMS for each in backlogs):
        click.echo("To fix: start `python -m workers.scheduler`, or read its log", err=True)
    if late:
        click.echo("To fix: flask destinations list", err=True)
    if late or backlogs:
        raise click.exceptions.Exit(1)
    click.echo("Nothing is late.", err=True)


@syncs.command()
def pending() -> None:
    """Show the number of addresses that are pending for each destination.

    For one in *observe* these are what it would push after `flask destinations resume`.
    """
    with click_errors():
        known = run_in_transaction(waiting.load_backlogs)
    for row in known.values():
        due = f"earliest due {_format_time(row.due_at)}" if row.due_at else "up to date"
        click.echo(
            "\t".join((row.destination, row.status_label, f"{row.pending_count} pending", due))
        )
    if not known:
        click.echo("No destinations yet: add one with `flask destinations add`.", err=True)


def _load_late(connection: Connection) -> tuple[list[LateRows], list[OverdueBacklog], datetime]:
    now = services().now()
    return (
        late_rows.list_late(connection, now),
        undecided_events.list_overdue_backlog(connection, now),
        now,
    )


def _late_line(row: LateRows, now: datetime) -> str:
    state = f"{row.status_label}: {row.reason}" if row.reason else row.status_label
    return "\t".join(
        (row.destination, _STAGE_LABELS[row.stage], _count(row), _due(row, now), state)
    )


def _backlog_line(backlog: OverdueBacklog, now: datetime) -> str:
    source = backlog.destination or (
        "scheduler" if backlog.kind is BacklogKind.DEFERRED_FORMS else "mail"
    )
    parts = (
        source,
        _STAGE_LABELS[backlog.stage],
        _count(backlog),
        _due(backlog, now),
        _BACKLOG_LABELS[backlog.kind],
    )
    return "\t".join(parts)


def _count(row: LateRows | OverdueBacklog) -> str:
    return f"{'at least ' if row.at_least else ''}{row.count} pending"


def _due(row: LateRows | OverdueBacklog, now: datetime) -> str:
    hours = abs(row.due_at - now).total_seconds() / 3600
    return (
        f"{hours:.1f} h {'late' if row.due_at <= now else 'left'}, due {_format_time(row.due_at)}"
    )


def _format_time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
