"""`flask inbound queue`: mails whose meaning is not certain, for a person to decide on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid5

import click
from flask.cli import AppGroup

from preference_center.cli.errors import mending, mending_argument, refuse_arguments, typed
from preference_center.domain import sender_requests
from preference_center.domain.addresses import Address, Channel, parse
from preference_center.domain.events import ALL_MARKETING, Change, Kind
from preference_center.domain.mail import TooComplex, Why
from preference_center.domain.mail.mime import opened
from preference_center.domain.sender_requests import Origin, Via
from preference_center.extensions import services
from preference_center.ledger import record
from preference_center.storage.access.key_fingerprints import require_known_keys
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection, run
from preference_center.storage.mail import review_queue
from preference_center.storage.mail.review_queue import KeptMail

_FIELDS = ("From", "To", "Cc", "Date", "Subject", "Message-ID", "In-Reply-To")
OPTED_OUT, COMPLAINED = "opted-out", "complained"

_WHYS = {
    Why.NOT_CLEAR: "somebody wrote, and what they want is not clear",
    Why.ASKS_MORE: "the opt-out is recorded, and somebody wrote something else as well",
    Why.WRONG_DOOR: "somebody wrote to an address for reports",
    Why.NO_RECIPIENT: "a report that does not say whom it is about",
    Why.NOT_PROVED: "a report that nothing shows to be about a mail of ours",
    Why.UNKNOWN_KIND: "a report of a kind that is not known",
    Why.CUT_SHORT: "a report too long to be read to its end: what was read is recorded",
    Why.TOO_COMPLEX: "it has more parts than any honest mail",
    Why.UNREADABLE: "it could not be read",
}

queue = AppGroup("queue", help="Mails whose meaning is not certain: a person decides.")


@queue.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1))
def list_(limit: int) -> None:
    """Show the mails that wait, the one that has waited longest first.

    The 72 hours run from when a mail came: what was an opt-out is late if nobody looks.
    """
    with mending():
        found = run(lambda connection: review_queue.waiting(connection, limit))
    for mail in found:
        gone = "" if mail.has_content else " (its content was deleted after 30 days)"
        why = f"{_WHYS[Why(mail.why)]}{gone}"
        click.echo("\t".join((str(mail.id), _time(mail.received_at), mail.door, why)))
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
    found, head = _waiting(mail)
    click.echo(f"received {_time(found.received_at)}, {found.size} octets", err=True)
    if not found.has_content:
        click.echo("Its content was deleted after 30 days: ask your mail server.", err=True)
    click.echo(_harmless(head.decode("utf-8", "replace") if raw else _readable(head)))


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

    Example: flask inbound queue resolve ID --scope acme.offers < address.txt
    """
    refuse_arguments(given, "flask inbound queue resolve ID < address.txt")
    found, _ = _waiting(mail)
    channel = Channel.SMS if found.door == Channel.SMS else Channel.EMAIL
    region = services().settings.phone_region
    with mending_argument("Address"):
        parsed = [parse(line, channel, region=region) for line in typed("Addresses")]
    if not parsed:
        raise click.UsageError("no address was given: type or pipe one a line")
    with mending():
        require_known_keys()
        catalogue = current_catalogue()
    with mending_argument("--scope"):
        covered = sender_requests.marketing_scope(parsed[0], scope, catalogue)
    with mending():
        recorded = record(
            _changes(found, parsed, meaning, covered),
            lambda connection, _: _forget(connection, mail, meaning),
        )
    click.echo(f"{len(recorded.events)} recorded. The mail is forgotten.")


@queue.command("dismiss")
@click.argument("mails", type=click.UUID, nargs=-1, required=True, metavar="MAIL...")
def dismiss(mails: tuple[UUID, ...]) -> None:
    """Forget each MAIL: it asks for nothing. All of them, or none if one is not there."""
    numbers = set(mails)

    def work(connection: Connection) -> None:
        for number in numbers:
            _forget(connection, number, "dismissed")

    with mending():
        run(work)
    click.echo(f"{len(numbers)} dismissed.")


def _none(number: UUID) -> click.ClickException:
    return click.ClickException(
        f"no mail that waits has the id {number}: `flask inbound queue list`"
    )


def _waiting(number: UUID) -> tuple[KeptMail, bytes]:
    keys = services().keys
    with mending():
        found = run(lambda connection: review_queue.by_id(connection, keys, number))
    if found is None:
        raise _none(number)
    return found


def _forget(connection: Connection, number: UUID, outcome: str) -> None:
    """Taken back with all else if somebody was quicker."""
    if not review_queue.settle(connection, number, outcome, services().now()):
        raise _none(number)


def _changes(
    mail: KeptMail, addresses: Sequence[Address], meaning: str, scope: str
) -> list[Change]:
    origin = Origin("cli", "cli", services().now())
    changes = []
    for number, address in enumerate(addresses):
        change = sender_requests.opt_out(
            uuid5(mail.id, f"{meaning} {scope} {number}"),
            address,
            scope,
            Via.REPLY,
            origin,
            received_at=mail.received_at,
            occurred_at=mail.received_at,
        )
        if meaning == COMPLAINED:
            change = Change(
                id=change.id,
                kind=Kind.COMPLAINED,
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


def _readable(head: bytes) -> str:
    """What a person has to know of a mail to judge it; all as it came if it can't be opened."""
    try:
        mail = opened(head)
    except TooComplex:
        return head.decode("utf-8", "replace")
    fields = [f"{name}: {mail.field(name)}" for name in _FIELDS if mail.field(name)]
    texts = [f"--- {leaf.kind}\n{leaf.text.strip()}" for leaf in mail.leaves]
    return "\n\n".join(["\n".join(fields), *texts])


def _harmless(text: str) -> str:
    """The text, without what a terminal would obey."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(each for each in text if each.isprintable() or each in "\n\t")


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
