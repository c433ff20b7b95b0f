"""`flask inbound review-queue`: mails whose meaning is not certain, for a person to decide on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid5

import click
from flask.cli import AppGroup

from preference_center.cli.errors import (
    click_bad_parameter,
    click_errors,
    read_stdin_lines,
    reject_address_arguments,
)
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
    ReviewReason.UNCLEAR: "somebody wrote, and what they want is not clear",
    ReviewReason.HAS_FURTHER_REQUEST: "the opt-out is recorded, and somebody wrote something "
    "else as well",
    ReviewReason.WRONG_MAILBOX: "somebody wrote to an address for reports",
    ReviewReason.NO_RECIPIENT: "a report that does not say whom it is about",
    ReviewReason.UNPROVEN: "a report that nothing shows to be about a mail of ours",
    ReviewReason.UNKNOWN_REPORT_TYPE: "a report of a kind that is not known",
    ReviewReason.TRUNCATED: "a report too long to be read to its end: what was read is recorded",
    ReviewReason.TOO_COMPLEX: "it has more parts than any honest mail",
    ReviewReason.UNREADABLE: "it could not be read",
}

queue = AppGroup("review-queue", help="Mails whose meaning is not certain: a person decides.")


@queue.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1))
def list_(limit: int) -> None:
    """Show the mails that wait, the one that has waited longest first.

    The 72 hours run from when a mail came: what was an opt-out is late if nobody looks.
    """
    with click_errors():
        found = run_in_transaction(
            lambda connection: review_queue.list_open_items(connection, limit)
        )
    for mail in found:
        gone = "" if mail.has_content else " (its content was deleted after 30 days)"
        why = f"{_REASON_TEXTS[ReviewReason(mail.reason)]}{gone}"
        click.echo("\t".join((str(mail.id), _format_time(mail.received_at), mail.mailbox, why)))
    if not found:
        click.echo("Nothing waits.", err=True)


@queue.command("show")
@click.argument("mail", type=click.UUID)
@click.option("--raw", is_flag=True, help="As it came: header, boundaries, base64 and all.")
def show(mail: UUID, *, raw: bool) -> None:
    """Show the beginning of MAIL: personal data, for your eyes.

    Its first 64 KiB: who wrote to whom about what, and every text in it, decoded. Control
    characters are left out.
    """
    found, head = _load_waiting(mail)
    click.echo(f"received {_format_time(found.received_at)}, {found.size} octets", err=True)
    if not found.has_content:
        click.echo("Its content was deleted after 30 days: ask your mail server.", err=True)
    click.echo(
        _strip_control_characters(head.decode("utf-8", "replace") if raw else _format_mail(head))
    )


@queue.command("resolve")
@click.argument("mail", type=click.UUID)
@click.argument("given", nargs=-1, metavar="")
@click.option(
    "--as",
    "meaning",
    type=click.Choice([OPTED_OUT, COMPLAINED]),
    default=OPTED_OUT,
    show_default=True,
    help="What the mail says.",
)
@click.option(
    "--scope",
    default=ALL_MARKETING,
    show_default=True,
    help="A topic of the catalogue, or all_marketing.",
)
def resolve(mail: UUID, given: tuple[str, ...], meaning: str, scope: str) -> None:
    """Record what MAIL says for a person, from when it came, and forget it.

    The person's addresses are asked for, or read from standard input, one a line.

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
        raise click.UsageError("no address was given: type or pipe one a line")
    with click_errors():
        require_known_keys()
        catalogue = current_catalogue()
    with click_bad_parameter("--scope"):
        covered = sender_requests.validate_marketing_scope(parsed[0], scope, catalogue)
    with click_errors():
        recorded = record(
            _changes(found, parsed, meaning, covered),
            lambda connection, _: _settle(connection, mail, meaning),
        )
    click.echo(f"{len(recorded.events)} recorded. The mail is forgotten.")


@queue.command("dismiss")
@click.argument("mails", type=click.UUID, nargs=-1, required=True, metavar="MAIL...")
def dismiss(mails: tuple[UUID, ...]) -> None:
    """Forget each MAIL: it asks for nothing. All of them, or none if one is not there."""
    numbers = set(mails)

    def dismiss_all(connection: Connection) -> None:
        for number in numbers:
            _settle(connection, number, "dismissed")

    with click_errors():
        run_in_transaction(dismiss_all)
    click.echo(f"{len(numbers)} dismissed.")


def _not_found(mail_id: UUID) -> click.ClickException:
    return click.ClickException(
        f"no mail that waits has the id {mail_id}: `flask inbound review-queue list`"
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
    """Taken back with all else if somebody was quicker."""
    if not review_queue.resolve_item(connection, mail_id, outcome, services().now()):
        raise _not_found(mail_id)


def _changes(
    mail: ReviewItem, addresses: Sequence[Address], meaning: str, scope: str
) -> list[Change]:
    origin = RequestOrigin("cli", "cli", services().now())
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
            change = Change(
                id=change.id,
                kind=EventKind.COMPLAINED,
                address=address,
                scope=scope,
                occurred_at=mail.received_at,
                received_at=mail.received_at,
                source=origin.source,
                actor=origin.actor,
                evidence={"method": "feedback_report", "proof": "person"},
            )
        changes.append(change)
    return changes


def _format_mail(head: bytes) -> str:
    """What a person has to know of a mail to judge it; all as it came if it can't be opened."""
    try:
        mail = parse_mail(head)
    except MailTooComplex:
        return head.decode("utf-8", "replace")
    fields = [f"{name}: {mail.field(name)}" for name in _SHOWN_FIELDS if mail.field(name)]
    texts = [f"--- {leaf.content_type}\n{leaf.text.strip()}" for leaf in mail.text_parts]
    return "\n\n".join(["\n".join(fields), *texts])


def _strip_control_characters(text: str) -> str:
    """The text, without what a terminal would obey."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(each for each in text if each.isprintable() or each in "\n\t")


def _format_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
