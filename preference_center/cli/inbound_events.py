"""`flask inbound events`: vendor events that were not understood and that a person decides."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import click

from preference_center.cli.actor import actor
from preference_center.cli.command_app import CommandGroup
from preference_center.cli.errors import click_errors
from preference_center.domain.sync.open_questions import (
    INVALID_ADDRESS_QUESTION,
    UNREADABLE_QUESTION,
)
from preference_center.ingest import review
from preference_center.ingest.review import NotOpen
from preference_center.storage.db.database import run_in_transaction
from preference_center.storage.sync import undecided_events

_QUESTION_TEXTS = {
    UNREADABLE_QUESTION: "the body does not match the vendor's documentation",
    INVALID_ADDRESS_QUESTION: "an opt-out or complaint with an invalid address",
}
_REASON_OPTION = click.option(
    "--reason",
    required=True,
    metavar="TEXT",
    help="The reason, for the audit log; no personal data.",
)

events = CommandGroup("events", help="Decide on vendor events that were not understood.")


@events.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1))
def list_(limit: int) -> None:
    """List undecided vendor events, the oldest first.

    A tool posted them, and they were acknowledged: the 72 hours count from then. The body is
    stored sealed until you decide. A target is a list, group or stream of the tool to which no
    topic is mapped: map one, then `retry`, or `ignore` it permanently. An unknown type may be one
    that the vendor has added.
    """
    with click_errors():
        found = run_in_transaction(
            lambda connection: undecided_events.list_open_questions(connection, limit)
        )
    for each in found:
        text = _QUESTION_TEXTS.get(each.question, "")
        parts = (
            str(each.webhook_id),
            _format_time(each.received_at),
            each.destination,
            each.question,
            text,
        )
        click.echo("\t".join(parts).rstrip())
    if not found:
        click.echo("No vendor event is undecided.", err=True)


@events.command("retry")
@click.option("--destination", metavar="NAME", help="Only what this destination posted.")
def retry(destination: str | None) -> None:
    """Process all undecided events once more: after an upgrade, or after mapping a topic.

    What was recorded before is not recorded again.
    """
    with click_errors():
        count = review.retry_vendor_events(actor(), destination)
    click.echo(f"{count} will be processed once more.")


@events.command("discard")
@click.argument("requests", type=click.UUID, nargs=-1, required=True, metavar="EVENT...")
@_REASON_OPTION
def discard(requests: tuple[UUID, ...], reason: str) -> None:
    """Discard each EVENT: it needs no action. All of them, or none if one is not undecided."""
    with click_errors():
        try:
            review.discard_vendor_events(dict.fromkeys(requests), reason, actor())
        except NotOpen as error:
            raise click.ClickException(
                f"no undecided event has the id {error.open_id}: see `flask inbound events list`"
            ) from None
    click.echo(f"{len(set(requests))} discarded.")


@events.command("ignore")
@click.argument("destination")
@click.argument("question")
@_REASON_OPTION
def ignore(destination: str, question: str, reason: str) -> None:
    """Ignore QUESTION, as `list` shows it, for DESTINATION from now on.

    For a list of the tool for which you do not handle opt-outs, or a type of event that is not
    about consent.

    Example: flask inbound events ignore newsletter "target 4711" --reason "the shop's own list"
    """
    if question == UNREADABLE_QUESTION:
        raise click.BadParameter(
            "an unreadable body may be any opt-out: discard them one by one",
            param_hint="QUESTION",
        )
    with click_errors():
        count = review.ignore_question(destination, question, reason, actor())
    click.echo(f"{count} settled; it is ignored from now on.")


def _format_time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
