"""`flask inbound events`: vendor events that were not understood, for a person to decide on."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import click
from flask.cli import AppGroup

from preference_center.cli.errors import click_errors
from preference_center.context import services
from preference_center.domain.sync.open_questions import (
    INVALID_ADDRESS_QUESTION,
    UNREADABLE_QUESTION,
)
from preference_center.storage.access import audit
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.sync import destinations, undecided_events, webhook_inbox

ACTOR = "cli"

_QUESTION_TEXTS = {
    UNREADABLE_QUESTION: "the body is not what the vendor documents",
    INVALID_ADDRESS_QUESTION: "an opt-out or complaint whose address cannot be parsed",
}
_REASON_OPTION = click.option(
    "--reason",
    required=True,
    metavar="TEXT",
    help="Why, for the audit; nothing personal.",
)

events = AppGroup("events", help="Vendor events that were not understood: a person decides.")


@events.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1))
def list_(limit: int) -> None:
    """Show vendor events that wait, the one that has waited longest first.

    A tool posted them, and they were acknowledged: the 72 hours run from then. The body is
    kept, sealed, until you decide. A target is a list, group or stream of the tool that no
    topic is mapped to: map one, then `retry`, or `ignore` it for good. A type that is not
    known may be one that the vendor has added.
    """
    with click_errors():
        found = run_in_transaction(
            lambda connection: undecided_events.list_open_questions(connection, limit)
        )
    for each in found:
        why = _QUESTION_TEXTS.get(each.question, "")
        parts = (
            str(each.webhook_id),
            _format_time(each.received_at),
            each.destination,
            each.question,
            why,
        )
        click.echo("\t".join(parts).rstrip())
    if not found:
        click.echo("Nothing waits.", err=True)


@events.command("retry")
@click.option("--destination", metavar="NAME", help="Only what this destination posted.")
def retry(destination: str | None) -> None:
    """Process all that waits once more: after an upgrade, or once a topic is mapped.

    What was recorded before is not recorded again.
    """

    def release(connection: Connection) -> tuple[int, set[int]]:
        context = services()
        number = None
        if destination is not None:
            number = destinations.get_by_name(connection, context.keys, destination).id
        posts = undecided_events.list_webhooks_with_open_questions(connection, number)
        return len(posts), webhook_inbox.requeue_webhooks(connection, posts, context.now())

    with click_errors():
        count, concerned = run_in_transaction(release)
    for number in concerned:
        services().queue.nudge_webhooks(number)
    click.echo(f"{count} are processed once more.")


@events.command("discard")
@click.argument("requests", type=click.UUID, nargs=-1, required=True, metavar="EVENT...")
@_REASON_OPTION
def discard(requests: tuple[UUID, ...], reason: str) -> None:
    """Decide that each EVENT asks for nothing. All of them, or none if one does not wait."""

    def discard_all(connection: Connection) -> None:
        now = services().now()
        for post in dict.fromkeys(requests):
            if not undecided_events.discard_webhook_questions(connection, post, reason, now):
                raise click.ClickException(
                    f"no vendor event that waits has the id {post}: `flask inbound events list`"
                )
            detail = {"event": str(post), "reason": reason}
            audit.insert_audit_entry(connection, now, ACTOR, "vendor_event.discarded", detail)

    with click_errors():
        run_in_transaction(discard_all)
    click.echo(f"{len(set(requests))} discarded.")


@events.command("ignore")
@click.argument("destination")
@click.argument("question")
@_REASON_OPTION
def ignore(destination: str, question: str, reason: str) -> None:
    """Ask QUESTION, as `list` shows it, never again for DESTINATION.

    For a list of the tool that is not yours to stop, or a type of event that says nothing
    about consent.

    Example: flask inbound events ignore newsletter "target 4711" --reason "the shop's own list"
    """
    if question == UNREADABLE_QUESTION:
        raise click.BadParameter(
            "a body that cannot be read may be any opt-out: discard one by one",
            param_hint="QUESTION",
        )

    def ignore_question(connection: Connection) -> int:
        context = services()
        now, found = context.now(), destinations.get_by_name(connection, context.keys, destination)
        detail = {"name": destination, "question": question, "reason": reason}
        audit.insert_audit_entry(connection, now, ACTOR, "vendor_event.ignored", detail)
        return undecided_events.ignore_question(connection, found.id, question, reason, now)

    with click_errors():
        count = run_in_transaction(ignore_question)
    click.echo(f"{count} settled; it is not asked again.")


def _format_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
