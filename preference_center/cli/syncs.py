"""`flask syncs`: does the window hold, and what still waits (I3)?"""

from __future__ import annotations

from datetime import datetime

import click
from flask.cli import AppGroup

from preference_center.cli.errors import mending
from preference_center.domain.deadlines import Stage
from preference_center.extensions import services
from preference_center.storage.db.database import Connection, run
from preference_center.storage.sync import backlog as waiting
from preference_center.storage.sync import states, undecided_events
from preference_center.storage.sync.states import Late
from preference_center.storage.sync.undecided_events import LateWait, Waits

syncs = AppGroup("syncs", help="Opt-outs on their way into the connected tools.")

_STAGES = {
    Stage.AT_RISK: "at risk (36 h gone)",
    Stage.PAST_TARGET: "past target (48 h gone)",
    Stage.OVERDUE: "OVERDUE (72 h gone)",
}
_WAITS = {
    Waits.VENDOR_EVENT: "vendor events that were not understood",
    Waits.WEBHOOK: "webhooks that are not processed yet",
    Waits.MAIL_OPT_OUT: "opt-outs by mail whose address is not known",
    Waits.MESSAGE: "messages whose meaning is not clear",
    Waits.FORMS: "opt-outs that wait for the scheduler, for some forms of a mailbox",
}
_COMMANDS = {
    Waits.VENDOR_EVENT: "flask inbound events list",
    Waits.WEBHOOK: "flask destinations list",
    Waits.MAIL_OPT_OUT: "flask inbound unresolved",
    Waits.MESSAGE: "flask inbound queue list",
}


@syncs.command()
def overdue() -> None:
    """Show opt-outs that wait too long, the most urgent first; also as an alert.

    72 hours after it reached the company, every tool must reflect an opt-out. It is at
    risk from 36 hours on, past target from 48, overdue from 72. Rows of paused, observed
    and broken destinations count too: their clock keeps running. So does whatever was
    acknowledged and not understood, until a person decides: vendor events, opt-outs by mail
    whose address is not known, mails that wait in the queue. So do the forms of a mailbox
    that the scheduler has not come to yet.

    Exits with 1 as soon as one is at risk, so that a monitor shouts while there is still
    time to mend the tool; with 0 if all is on time.
    """
    with mending():
        late, waits, now = run(_look)
    for row in late:
        click.echo(_late_line(row, now))
    for wait in waits:
        click.echo(_wait_line(wait, now))
    commands = [_COMMANDS[wait.what] for wait in waits if wait.what in _COMMANDS]
    for command in dict.fromkeys(commands):
        click.echo(f"What to decide: {command}", err=True)
    if any(wait.what is Waits.FORMS for wait in waits):
        click.echo("What to fix: start `python -m workers.scheduler`, or read its log", err=True)
    if late:
        click.echo("What to fix: flask destinations list", err=True)
    if late or waits:
        raise click.exceptions.Exit(1)
    click.echo("Nothing is late.", err=True)


@syncs.command()
def pending() -> None:
    """Show how many addresses each destination still has to be told about.

    For one in *observe* it is what it would push: `flask destinations resume` lets it.
    """
    with mending():
        known = run(waiting.pending)
    for row in known.values():
        due = f"earliest due {_time(row.due_at)}" if row.due_at else "up to date"
        click.echo("\t".join((row.destination, row.state, f"{row.waiting} pending", due)))
    if not known:
        click.echo("No destinations yet: set one up with `flask destinations add`.", err=True)


def _look(connection: Connection) -> tuple[list[Late], list[LateWait], datetime]:
    now = services().now()
    return states.late(connection, now), undecided_events.late(connection, now), now


def _late_line(row: Late, now: datetime) -> str:
    state = f"{row.state}: {row.reason}" if row.reason else row.state
    return "\t".join((row.destination, _STAGES[row.stage], _count(row), _due(row, now), state))


def _wait_line(wait: LateWait, now: datetime) -> str:
    source = wait.destination or ("scheduler" if wait.what is Waits.FORMS else "mail")
    parts = (source, _STAGES[wait.stage], _count(wait), _due(wait, now), _WAITS[wait.what])
    return "\t".join(parts)


def _count(row: Late | LateWait) -> str:
    return f"{'at least ' if row.at_least else ''}{row.count} pending"


def _due(row: Late | LateWait, now: datetime) -> str:
    hours = abs(row.due_at - now).total_seconds() / 3600
    return f"{hours:.1f} h {'late' if row.due_at <= now else 'left'}, due {_time(row.due_at)}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
