"""`flask inbound`: opt-outs by mail from a pipe or a maildir, and those still pending."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import BinaryIO
from uuid import UUID

import click
import structlog

from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import Unavailable
from preference_center.core.mime import MAIL_HEAD_BYTES
from preference_center.inbound import ingest, review
from preference_center.inbound.opt_outs import resolve_pending
from preference_center.inbound.review import NotOpen
from preference_center.infra.commands import (
    CommandGroup,
    LazyCommand,
    actor,
    click_bad_parameter,
    click_errors,
    read_stdin_lines,
    reject_address_arguments,
)
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.ledger.rules import validate_marketing_scope
from preference_center.ledger.store import suppressions

log = structlog.get_logger()

# BSD's sysexits, which MTAs act on: bounce the mail, or keep it and try again.
EXIT_NO_USER = os.EX_NOUSER
EXIT_TEMPORARY_FAILURE = os.EX_TEMPFAIL

WATCH_INTERVAL = 2.0
"""Seconds between two scans of a maildir."""

group = CommandGroup("inbound", help="Process opt-outs from mail, text messages and vendor events.")
group.add_command(
    LazyCommand(
        "replay",
        "preference_center.destinations.cli.status:replay",
        "Process once more what NAME has posted to /in/NAME.",
    )
)


@group.command("receive")
@click.argument("file", type=click.File("rb"), default="-")
@click.option(
    "--recipient",
    "recipients",
    multiple=True,
    metavar="ADDRESS",
    help="A recipient of the envelope; repeatable. Without it Delivered-To, X-Original-To,"
    " Envelope-To and To are used, which do not appear in a list of processes.",
)
@click.option(
    "--sender", default="", metavar="ADDRESS", help="The envelope's sender; default: Return-Path."
)
def receive(file: BinaryIO, recipients: tuple[str, ...], sender: str) -> None:
    """Process one mail from FILE, or from standard input as a mail server pipes it.

    The token in the recipient's local part determines who is opted out of what; at a mailbox for
    replies or reports the content does. Exits with 0 when that is committed, with 67 if no
    recipient is ours (the mail server bounces the mail), and with 75 if it can't be recorded now
    (the mail server keeps the mail and tries again).

    Example, for Postfix's pipe with flags=DOR: flask inbound receive -
    """
    with _exit_temporary_failure():
        require_known_keys()
        head = file.read(MAIL_HEAD_BYTES)
        size = len(head)
        while more := len(file.read(MAIL_HEAD_BYTES)):  # otherwise the MTA sees a broken pipe
            size += more
        now = services().now()
        arrival = ingest.ingest_mail(head, recipients or None, now, size=size, sender=sender)
    if not arrival.is_ours:
        click.echo("No recipient is ours: no token, and no mailbox of ours.", err=True)
        raise click.exceptions.Exit(EXIT_NO_USER)


@group.command("maildir")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--watch", is_flag=True, help="Run until stopped, under a supervisor.")
def maildir(path: Path, watch: bool) -> None:  # noqa: FBT001 - click passes it by name
    """Process the mails in the `new` folder of the maildir PATH.

    Mails for a token or a mailbox of ours are moved to `cur` and flagged as seen once they are
    recorded. Others stay in `new`, unchanged. No other program should use the maildir: a mail
    program that opens it moves mails out of `new` before they are processed.

    Exits with 0 when all mails were processed, and with 75 if the database is unavailable; with
    --watch it waits until the database is available.
    """
    with click_bad_parameter("PATH"):
        ingest.validate_maildir(path)
    if watch:
        _watch(path)
        return
    with _exit_temporary_failure():
        require_known_keys()
        handled_mails = list(ingest.process_new(path))
    ours = sum(handled.is_ours for handled in handled_mails)
    click.echo(f"{ours} processed, {len(handled_mails) - ours} not for us and left in new.")


@group.command("pending")
@click.option("--limit", default=1_000, show_default=True, type=click.IntRange(1))
def pending(limit: int) -> None:
    """Show opt-outs by mail whose address is not known yet, the oldest first.

    A mail token contains half of a digest of its address. If that address was never stored, and
    the mail was sent from another one, the opt-out can't be pushed to tools yet. Decisions
    consider it already. It is recorded automatically when the address is stored; `flask inbound
    resolve-pending -` records it for an address that you found, e.g. in the sender's records.
    """
    with click_errors():
        rows = run_in_transaction(lambda connection: suppressions.list_oldest(connection, limit))
    for row in rows:
        scope = row.scope or "a topic that is not in the catalogue: treated as all_marketing"
        received = f"received {row.received_at:%Y-%m-%d %H:%M} UTC"
        link = f"link of {row.issued_on or f'key {row.key_id}'}"
        click.echo("\t".join((str(row.id), received, link, scope)))
    if not rows:
        click.echo("No opt-out is pending.", err=True)


@group.command("resolve-pending")
@click.argument("given", nargs=-1, metavar="[-]")
@click.option(
    "--scope",
    help="The scope to record if the topic is not in the catalogue: a topic, or all_marketing.",
)
def resolve(given: tuple[str, ...], scope: str | None) -> None:
    """Record the unresolved opt-outs by mail that belong to an address stored by now.

    With `-` also those that belong to an address of standard input, one a line. One that none
    of them belongs to changes nothing, so many may be tried.

    Example: flask inbound resolve-pending - < addresses.txt
    """
    reject_address_arguments(given, "flask inbound resolve-pending - < addresses.txt")
    with click_bad_parameter("Address"):
        parsed = (
            [parse_address(line, Channel.EMAIL) for line in read_stdin_lines("Addresses")]
            if given
            else []
        )
    with click_errors():
        require_known_keys()
        catalogue = current_catalogue() if scope and parsed else None
    if scope and catalogue:
        with click_bad_parameter("--scope"):
            validate_marketing_scope(parsed[0], scope, catalogue)
    with click_errors():
        done = resolve_pending(parsed, scope)
    click.echo(f"{done.recorded} recorded, {done.pending} still pending.")


@group.command("dismiss-pending")
@click.argument("numbers", type=click.UUID, nargs=-1, required=True, metavar="OPT_OUT...")
@click.option(
    "--reason", required=True, metavar="TEXT", help="Why, for the audit; nothing personal."
)
def dismiss(numbers: tuple[UUID, ...], reason: str) -> None:
    """Decide that the address of each unresolved OPT_OUT cannot be found: late no more.

    Checks honour it all the same, and it is recorded if its address turns up. All of them,
    or none if one is not there.
    """
    with click_errors():
        try:
            review.dismiss_pending(dict.fromkeys(numbers), reason, actor())
        except NotOpen as error:
            raise click.ClickException(
                f"no pending opt-out has the id {error.open_id}: `flask inbound pending`"
            ) from None
    click.echo(f"{len(set(numbers))} dismissed.")


@contextmanager
def _exit_temporary_failure() -> Iterator[None]:
    """Exit with 75 on any error: an MTA takes a code that it doesn't know for a bounce."""
    try:
        yield
    except Exception as error:
        name = type(error).__name__
        click.echo(f"Nothing was lost, try again later: {name}", err=True)
        raise click.exceptions.Exit(EXIT_TEMPORARY_FAILURE) from error


def _watch(path: Path) -> None:
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    not_ours: set[str] = set()
    knows_keys = False
    while not stopping.is_set():
        try:
            if not knows_keys:
                require_known_keys()
                knows_keys = True
            for handled in ingest.process_new(path, not_ours):
                if not handled.is_ours:
                    not_ours.add(handled.name)
                if stopping.is_set():
                    break
            resolve_pending()
        except Unavailable:
            log.warning("database_unavailable")
        stopping.wait(WATCH_INTERVAL)
