"""`flask inbound review-queue`: mails that a person must decide on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid5

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
from preference_center.domain import sender_requests
from preference_center.domain.addresses import Address, Channel, parse_address
from preference_center.domain.events import ALL_MARKETING, Change, EventKind
from preference_center.domain.mail import MailTooComplex, ReviewReason
from preference_center.domain.mail.mime import parse_mail
from preference_center.domain.sender_requests import ReceivedVia, RequestOrigin
from preference_center.ledger import record
from preference_center.storage.access.key_fingerprints import require_known_keys
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.mail import review_queue
from preference_center.storage.mail.review_queue import ReviewItem

_SHOWN_FIELDS = ("From", "To", "Cc", "Date", "Subject", "Message-ID", "In-Reply-To")
OPTED_OUT, COMPLAINED = "opted-out", "complained"

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
    type=click.Choice([OPTED_OUT, COMPLAINED]),
    default=OPTED_OUT,
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
    channel = Channel.SMS if found.mailbox == Channel.SMS else Channel.EMAIL
    region = services().settings.phone_region
    with click_bad_parameter("Address"):
        parsed = [
            parse_address(line, channel, region=region) for line in read_stdin_lines("Addresses")
        ]
    if not parsed:
        raise click.UsageError("no address given: type or pipe one per line")
    with click_errors():
        require_known_keys()
        catalogue = current_catalogue()
    with click_bad_parameter("--scope"):
        valid_scope = sender_requests.validate_opt_out_scope(parsed[0], scope, catalogue)
    with click_errors():
        recorded = record(
            _changes(found, parsed, meaning, valid_scope),
            lambda connection, _: _settle(connection, mail, meaning),
        )
    click.echo(f"{len(recorded.events)} recorded. The mail is deleted.")


@queue.command("dismiss")
@click.argument("mails", type=click.UUID, nargs=-1, required=True, metavar="MAIL...")
def dismiss(mails: tuple[UUID, ...]) -> None:
    """Delete each MAIL, which needs no action. All of them, or none if one does not exist."""
    mail_ids = set(mails)

    def dismiss_all(connection: Connection) -> None:
        for mail_id in mail_ids:
            _settle(connection, mail_id, "dismissed")

    with click_errors():
        run_in_transaction(dismiss_all)
    click.echo(f"{len(mail_ids)} dismissed.")


def _not_found(mail_id: UUID) -> click.ClickException:
    return click.ClickException(
        f"no mail in the queue has the id {mail_id}: see `flask inbound review-queue list`"
    )


def _load_waiting(mail_id: UUID) -> tuple[ReviewItem, bytes]:
    keys = services().keys
    with click_errors():
        found = run_in_transaction(
            lambda connection: review_queue.load_open_item(connection, keys, mail_id)
        )
    if found is None:
        raise _not_found(mail_id)
    return found


def _settle(connection: Connection, mail_id: UUID, outcome: str) -> None:
    """Remove the mail. Raises ClickException, which rolls back, if it was resolved already."""
    if not review_queue.resolve_item(connection, mail_id, outcome, services().now()):
        raise _not_found(mail_id)


def _changes(
    mail: ReviewItem, addresses: Sequence[Address], meaning: str, scope: str
) -> list[Change]:
    origin = RequestOrigin(SOURCE, actor(), services().now())
    changes = []
    for number, address in enumerate(addresses):
        change = sender_requests.build_opt_out_change(
            uuid5(mail.id, f"{meaning} {scope} {number}"),
            address,
            scope,
            ReceivedVia.REPLY,
            origin,
            received_at=mail.received_at,
            occurred_at=mail.received_at,
        )
        if meaning == COMPLAINED:
            evidence = {"method": "feedback_report", "proof": "person"}
            change = replace(change, kind=EventKind.COMPLAINED, evidence=evidence, own_act=False)
        changes.append(change)
    return changes


def _format_mail(head: bytes) -> str:
    """The fields and texts of a mail that a decision needs; unparsed if it is too complex."""
    try:
        mail = parse_mail(head)
    except MailTooComplex:
        return head.decode("utf-8", "replace")
    fields = [f"{name}: {mail.field(name)}" for name in _SHOWN_FIELDS if mail.field(name)]
    texts = [f"--- {leaf.content_type}\n{leaf.text.strip()}" for leaf in mail.text_parts]
    return "\n\n".join(["\n".join(fields), *texts])


def _format_time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
