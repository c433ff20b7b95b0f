"""`flask inbound review-queue`: mails that a person must decide on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

import click

from preference_center.cli.actor import SOURCE, actor
from preference_center.cli.command_app import CommandGroup
from preference_center.cli.errors import (
    click_bad_parameter,
    click_errors,
    read_stdin_lines,
    reject_address_arguments,
)
from preference_center.cli.terminal import strip_control_characters
from preference_center.context import services
from preference_center.domain.addresses import parse_address
from preference_center.domain.events import ALL_MARKETING
from preference_center.domain.mail import ReviewReason
from preference_center.domain.sender_requests import RequestOrigin, validate_opt_out_scope
from preference_center.ingest import review
from preference_center.ingest.review import Meaning, NotOpen
from preference_center.storage.access.key_fingerprints import require_known_keys
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import run_in_transaction
from preference_center.storage.mail import review_queue
from preference_center.storage.mail.review_queue import ReviewItem

_REASON_TEXTS = {
    ReviewReason.UNCLEAR: "the meaning of a reply is not clear",
    ReviewReason.HAS_FURTHER_REQUEST: "the opt-out is recorded; the reply has other requests",
    ReviewReason.WRONG_MAILBOX: "a reply to an address for reports",
    ReviewReason.NO_RECIPIENT: "a report without a recipient",
    ReviewReason.UNPROVEN: "a report without proof that it is about a mail of ours",
    ReviewReason.UNKNOWN_REPORT_TYPE: "a report of an unknown type",
    ReviewReason.TRUNCATED: "a report too long to be parsed completely: its beginning is recorded",
    ReviewReason.TOO_COMPLEX: "it has too many parts",
    ReviewReason.UNREADABLE: "it could not be parsed",
}

queue = CommandGroup("review-queue", help="Decide on mails whose meaning is not certain.")


@queue.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1))
def list_(limit: int) -> None:
    """List the mails to decide on, the oldest first.

    The 72 hours count from when a mail was received: an undecided opt-out becomes late.
    """
    with click_errors():
        found = run_in_transaction(
            lambda connection: review_queue.list_open_items(connection, limit)
        )
    for mail in found:
        note = "" if mail.has_content else " (its content was deleted after 30 days)"
        reason = f"{_REASON_TEXTS[ReviewReason(mail.reason)]}{note}"
        click.echo("\t".join((str(mail.id), _format_time(mail.received_at), mail.mailbox, reason)))
    if not found:
        click.echo("The queue is empty.", err=True)


@queue.command("show")
@click.argument("mail", type=click.UUID)
@click.option("--raw", is_flag=True, help="Unparsed: header, boundaries and encoded parts.")
def show(mail: UUID, *, raw: bool) -> None:
    """Show the beginning of MAIL, which is personal data.

    Its first 64 KiB: sender, recipients, subject and all texts, decoded. Control characters are
    omitted.
    """
    found, head = _load_waiting(mail)
    click.echo(f"received {_format_time(found.received_at)}, {found.size} bytes", err=True)
    if not found.has_content:
        click.echo("Its content was deleted after 30 days: ask your mail server.", err=True)
    click.echo(
        strip_control_characters(head.decode("utf-8", "replace") if raw else _format_mail(head))
    )


@queue.command("resolve")
@click.argument("mail", type=click.UUID)
@click.argument("given", nargs=-1, metavar="")
@click.option(
    "--meaning",
    type=click.Choice([meaning.value for meaning in Meaning]),
    default=Meaning.OPTED_OUT.value,
    show_default=True,
    help="The meaning of the mail.",
)
@click.option(
    "--scope",
    default=ALL_MARKETING,
    show_default=True,
    help="A topic of the catalogue, all_marketing, or sharing (sale and sharing of data).",
)
def resolve(mail: UUID, given: tuple[str, ...], meaning: str, scope: str) -> None:
    """Record the meaning of MAIL as of when it was received, and delete it.

    The person's addresses are read from a prompt or standard input, one per line.

    Example: flask inbound review-queue resolve ID --scope acme.offers < address.txt
    """
    reject_address_arguments(given, "flask inbound review-queue resolve ID < address.txt")
    found, _ = _load_waiting(mail)
    region = services().settings.phone_region
    with click_bad_parameter("Address"):
        parsed = [
            parse_address(line, review.channel_of(found), region=region)
            for line in read_stdin_lines("Addresses")
        ]
    if not parsed:
        raise click.UsageError("no address given: type or pipe one per line")
    origin = RequestOrigin(SOURCE, actor(), services().now())
    with click_errors():
        require_known_keys()
        catalogue = current_catalogue()
    with click_bad_parameter("--scope"):
        validate_opt_out_scope(parsed[0], scope, catalogue)
    with _not_found():
        recorded = review.resolve_item(found, parsed, Meaning(meaning), scope, origin)
    click.echo(f"{recorded} recorded. The mail is deleted.")


@queue.command("dismiss")
@click.argument("mails", type=click.UUID, nargs=-1, required=True, metavar="MAIL...")
def dismiss(mails: tuple[UUID, ...]) -> None:
    """Delete each MAIL, which needs no action. All of them, or none if one does not exist."""
    mail_ids = set(mails)
    with _not_found():
        review.dismiss_items(mail_ids, actor())
    click.echo(f"{len(mail_ids)} dismissed.")


@contextmanager
def _not_found() -> Iterator[None]:
    with click_errors():
        try:
            yield
        except NotOpen as error:
            raise click.ClickException(
                f"no mail in the queue has the id {error.open_id}:"
                " see `flask inbound review-queue list`"
            ) from None


def _load_waiting(mail_id: UUID) -> tuple[ReviewItem, bytes]:
    with _not_found():
        return review.load_item(mail_id)


def _format_mail(head: bytes) -> str:
    """The fields and texts of a mail that a decision needs; unparsed if it is too complex."""
    mail = review.show_mail(head)
    if not mail.fields:
        return "\n\n".join(text for _, text in mail.texts)
    fields = "\n".join(f"{name}: {value}" for name, value in mail.fields)
    return "\n\n".join([fields, *(f"--- {kind}\n{text}" for kind, text in mail.texts)])


def _format_time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
