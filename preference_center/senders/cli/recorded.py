"""`flask keys events` and `flask keys undo`: what an API key recorded, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click

from preference_center.core.events import format_receipt_code
from preference_center.infra.commands import Timestamp, actor, click_errors, with_service
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.senders.recorded import (
    RecordedEvent,
    UndoPlan,
    apply_undo,
    count_kinds,
    list_recorded,
    plan_undo,
)

_since_option = click.option(
    "--since",
    type=Timestamp(),
    required=True,
    help="From when on, with its time zone, e.g. 2026-11-24T09:30+01:00.",
)


@click.command("events")
@click.argument("name")
@_since_option
@click.option("--list", "is_list", is_flag=True, help="Also list each event by its reference.")
@with_service
def events(name: str, since: datetime, *, is_list: bool) -> None:
    """Show what the API key NAME recorded since a time, and how to retract it.

    Counts per kind and scope; with --list also each event with its reference, by which
    /console/people finds the person. Shows no address, and writes nothing.

    Example: flask keys events shop --since 2026-11-24T09:30+01:00 --list
    """
    with click_errors():
        found = list_recorded(name, since)
    for (kind, scope), count in sorted(count_kinds(found).items()):
        click.echo(f"{count:>12,}  {kind}  {scope}")
    if is_list:
        for event in found:
            click.echo(_format_event(event))
    _print_plan(plan_undo(name, found), found, since)


@click.command("undo")
@click.argument("name")
@_since_option
@click.option("--plan", "plan_id", required=True, help="As `flask keys events` printed it.")
@with_service
def undo(name: str, since: datetime, plan_id: str) -> None:
    """Retract the opt-ins and consents that the revoked API key NAME recorded since a time.

    `flask keys events` prints the command that does it. Opt-outs stay, and whatever people have
    done themselves. Can be repeated after it was stopped.
    """
    with click_errors():
        require_known_keys()
        count = apply_undo(name, since, plan_id, actor())
    click.echo(f"Retracted: {count:,}.")


def _format_event(event: RecordedEvent) -> str:
    at = f"{event.recorded_at:%Y-%m-%dT%H:%M:%SZ}"
    cells = [format_receipt_code(event.id), at, event.kind, event.scope]
    notes = {"retracted": event.is_retracted, "by an import": event.is_imported}
    return "\t".join([*cells, *(note for note, applies in notes.items() if applies)])


def _print_plan(plan: UndoPlan, found: Sequence[RecordedEvent], since: datetime) -> None:
    if not found:
        click.echo("It recorded nothing since then.")
        return
    others = len(found) - len(plan.events)
    if others:
        click.echo(
            f"{others:,} of these are not retracted together: opt-outs stay, imports are undone by"
            " `flask imports undo`, accounts and contacts are a person's to look at."
        )
    if plan.pending:
        click.echo(f"To retract {len(plan.pending):,} opt-ins and consents, once it is revoked:")
        click.echo(f"flask keys undo {plan.name} --since {since.isoformat()} --plan {plan.id}")
    else:
        click.echo("There is nothing to retract.")
