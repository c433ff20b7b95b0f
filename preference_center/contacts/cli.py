"""Run `flask opt-out` and `flask policies`.

`flask opt-out` records an opt-out that the company received by another way. `flask policies` shows
the versions of the privacy policy, and handles who is informed of them.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TextIO

import click

from preference_center.catalogue.store import current_catalogue
from preference_center.contacts.notices import store
from preference_center.contacts.notices.rules import NoticeChannel, Reach
from preference_center.contacts.notices.select import (
    DISCLOSURE,
    NoticeRow,
    announced_version,
    count_recipients,
    may_be_sent,
    next_disclosure_rows,
    next_rows,
    queue_batches,
    select_all,
    select_named,
)
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.channels import AddressSyntax
from preference_center.core.events import ALL_MARKETING
from preference_center.destinations.store.deliveries import find_address_id
from preference_center.infra import audit
from preference_center.infra.commands import (
    SOURCE,
    CommandGroup,
    Timestamp,
    actor,
    click_bad_parameter,
    click_errors,
    reject_address_arguments,
    with_service,
)
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.infra.files import atomic_write_text
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.ledger import record
from preference_center.ledger.rules import (
    ReceivedVia,
    RequestOrigin,
    build_opt_out_change,
    clamp_to_now,
    validate_opt_out_scope,
)


@click.command("opt-out")
@click.argument("given", nargs=-1, metavar="")
@click.option(
    "--channel",
    type=click.Choice([channel.value for channel in Channel]),
    default=Channel.EMAIL.value,
    show_default=True,
    help="The channel of the address.",
)
@click.option(
    "--scope",
    default=ALL_MARKETING,
    show_default=True,
    help="A topic of the catalogue, all_marketing, or sharing (sale and sharing of data).",
)
@click.option(
    "--via",
    type=click.Choice([via.value for via in ReceivedVia]),
    required=True,
    help="How the opt-out was received.",
)
@click.option(
    "--received-at",
    type=Timestamp(),
    help="When the company received it, e.g. 2026-11-24T09:30+01:00; default: now."
    " The 72 hours count from this time.",
)
@with_service
def opt_out(
    given: tuple[str, ...], channel: str, scope: str, via: str, received_at: datetime | None
) -> None:
    """Record an opt-out, and push it to every connected tool.

    The address is read from a prompt or standard input, so that it appears in no shell history
    and no list of processes.

    Example: flask opt-out --via phone --received-at 2026-11-24T09:30+01:00 < address.txt
    """
    reject_address_arguments(given, "flask opt-out --via phone < address.txt")
    address = click.prompt("Address", err=True)
    context = services()
    now = context.now()
    with click_bad_parameter("Address"):
        parsed = parse_address(address, Channel(channel), region=context.settings.phone_region)
    with click_bad_parameter("--received-at"):
        received = clamp_to_now(received_at or now, now)
    with click_errors():
        require_known_keys()  # with other keys no decision would find the opt-out
        catalogue = current_catalogue()
    with click_bad_parameter("--scope"):
        valid_scope = validate_opt_out_scope(parsed, scope, catalogue)
    change = build_opt_out_change(
        context.new_id(),
        parsed,
        valid_scope,
        ReceivedVia(via),
        RequestOrigin(SOURCE, actor(), now),
        received_at=received,
        occurred_at=received,
    )
    with click_errors():
        recorded = record([change])
    if recorded.events:
        click.echo(f"Recorded: opted out of {valid_scope}. Event {change.id}")
    else:
        click.echo(f"Already opted out of {valid_scope}.")


CSV_COLUMNS = ("ref", "contact", "channel", "address", "language", "ends")
"""`ends` has the topics that the person loses, with spaces between them."""


group = CommandGroup(
    "policies", help="Versions of the privacy policy: inform people, and see who was informed."
)


_version = click.argument("version")


@group.command("announce")
@_version
@click.option("--confirm", is_flag=True, help="Select them; without it they are only counted.")
@click.option("--webhook", is_flag=True, help="Also send them to RIGHTS_WEBHOOK_URL, in batches.")
def announce(version: str, *, confirm: bool, webhook: bool) -> None:
    """Select whom to inform of VERSION: everyone active, whatever their marketing choices.

    Without --confirm it only counts. It can be stopped at any time, and started again: it goes
    on, and nobody is selected twice. Once it is complete, a later run adds who has come since.

    The selected people leave by GET /v1/policies/VERSION/audience, by `flask policies export`,
    or with --webhook by the webhook policy.announcement. This service sends no notice itself.

    Example: flask policies announce 2027-01 --confirm
    """
    if webhook and not confirm:
        raise click.UsageError("--webhook needs --confirm: a count informs nobody")
    with click_bad_parameter("VERSION"):
        announced_version(version)
    with click_errors():
        require_known_keys()
        if not confirm:
            with _progress() as advance:
                counted = count_recipients(version, advance)
            _print_counts({reach: counted.get(reach, 0) for reach in Reach})
            click.echo("Nothing was selected: add --confirm.", err=True)
            return
        with _progress() as advance:
            selected = select_all(version, advance)
        _print_counts({reach: selected.new.get(reach, 0) for reach in Reach})
        click.echo(f"selected before\t{selected.earlier}")
        _audit("policy.announced", version)
        if webhook:
            click.echo(f"webhooks queued\t{queue_batches(version)}")


@group.command("export")
@_version
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), required=True, help="A file."
)
def export(version: str, output: Path) -> None:
    """Write the people to inform of VERSION to a CSV file, and record them as informed.

    Those to whom the message may be sent now, each once, without those that the stream or the
    webhook has had. The file appears when it is complete. It contains addresses: protect it.

    Example: flask policies export 2027-01 -o notices.csv
    """
    if not output.absolute().parent.is_dir():
        raise click.BadParameter("its parent folder does not exist", param_hint="--output")
    with click_bad_parameter("VERSION"):
        announced_version(version)
    with click_errors():
        require_known_keys()
        written = _write_csv(version, output, partial(next_rows, version))
        _audit("policy.exported", version)
    click.echo(f"written\t{len(written)}")


@group.command("disclose")
@click.argument("name")
@click.argument("given", nargs=-1, metavar="")
@click.option(
    "--message-type", required=True, help="The service message by which people are informed."
)
@click.option(
    "--addresses",
    type=click.File("r"),
    default="-",
    help="A file with one email address or phone number (+39...) a line; default: standard input.",
)
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), required=True, help="A file."
)
def disclose(
    name: str, given: tuple[str, ...], message_type: str, addresses: TextIO, output: Path
) -> None:
    """Write whom to inform of one disclosure to a CSV file, and record them as informed.

    For what concerns some people and not everybody, such as an order of a court. NAME is yours;
    these people read it in the file that answers their request for access. Each is written once,
    at the best address of their contact. The same NAME again adds people.

    Example: flask policies disclose court-2027-03 --message-type legal_notice -o a.csv < list.txt
    """
    reject_address_arguments(given, "flask policies disclose NAME ... -o a.csv < list.txt")
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,31}", name):
        raise click.BadParameter("use 1 to 32 of a-z 0-9 _ . -", param_hint="NAME")
    if not output.absolute().parent.is_dir():
        raise click.BadParameter("its parent folder does not exist", param_hint="--output")
    with click_bad_parameter("--message-type"):
        message = current_catalogue().service_message(message_type)
    named = _read_addresses(addresses)
    with click_errors():
        require_known_keys()
        counted = select_named(name, named, message)
        version = f"{DISCLOSURE}{name}"
        written = _write_csv(
            version, output, lambda after: next_disclosure_rows(name, message, after)
        )
        _audit("policy.disclosed", version)
    _print_counts({reach: counted.get(reach, 0) for reach in Reach})
    click.echo(f"written\t{len(written)}")


def _read_addresses(lines: TextIO) -> list[Address]:
    found: list[Address] = []
    for number, line in enumerate(lines, 1):
        if line := line.strip():
            is_number = line.startswith("+")
            syntax = AddressSyntax.PHONE_NUMBER if is_number else AddressSyntax.EMAIL
            channels = [channel for channel in Channel if channel.rules.syntax is syntax]
            with click_bad_parameter(f"line {number}"):
                found += [parse_address(line, channel) for channel in channels]
    if not found:
        raise click.BadParameter("it has no address", param_hint="--addresses")
    return found


@group.command("status")
@click.argument("version", required=False)
@click.option("--address", "asks_address", is_flag=True, help="Ask for an email address instead.")
def status(version: str | None, *, asks_address: bool) -> None:
    """Show how many people were informed of each version, or of VERSION.

    With --address: of which versions one address was informed, and when. The address is read from
    a prompt or standard input.

    Example: flask policies status 2027-01
    """
    if asks_address and version:
        raise click.UsageError("give VERSION or --address, not both")
    if asks_address:
        _print_address()
        return
    with click_bad_parameter("VERSION"):
        if version:
            current_catalogue().policy_version(version)
    with click_errors():
        found = run_in_transaction(store.list_announcements)
        for announcement in found:
            if version in {None, announcement.version}:
                _print_announcement(announcement)
    if not any(version in {None, each.version} for each in found):
        click.echo("Nothing was announced.", err=True)


def _print_announcement(announcement: store.Announcement) -> None:
    version = announcement.version
    counted = run_in_transaction(lambda c: store.count_notices(c, version))
    done = announcement.selected_at
    complete = f"complete {done:%Y-%m-%d %H:%M} UTC" if done else "not complete: announce it again"
    click.echo(f"{version}\tbegun {announcement.begun_at:%Y-%m-%d %H:%M} UTC\t{complete}")
    for (reach, via), count in counted.items():
        informed = f"informed by {via}" if via else "not informed"
        click.echo(f"{version}\t{reach}\t{informed}\t{count}")


def _print_address() -> None:
    raw = click.prompt("Address", err=True)
    with click_bad_parameter("Address"):
        address = parse_address(raw, Channel.EMAIL)
    digest = services().keys.exact_digest(address)

    def load(connection: Connection) -> list[store.NoticeRecord]:
        address_id = find_address_id(connection, digest, address.channel)
        return store.list_notices_of(connection, [address_id] if address_id else [])

    with click_errors():
        found = run_in_transaction(load)
    for each in found:
        at = f"{each.noticed_at:%Y-%m-%d %H:%M} UTC" if each.noticed_at else "not informed"
        click.echo(f"{each.version}\t{each.reach}\t{at}\t{each.via or ''}".rstrip())
    if not found:
        click.echo("No notice to this address.", err=True)


def _write_csv(
    version: str, output: Path, rows_after: Callable[[int], list[NoticeRow]]
) -> list[int]:
    """Write the file, then record its people; a repeat after a crash writes the same people."""
    written: list[int] = []
    with atomic_write_text(output) as text:
        writer = csv.writer(text)
        writer.writerow(CSV_COLUMNS)
        after = 0
        while rows := rows_after(after):
            after = int(rows[-1]["cursor"])
            for row in rows:
                if may_be_sent(row) and row.get("via", NoticeChannel.CSV) == NoticeChannel.CSV:
                    cells = row | {"ends": " ".join(row.get("ends", ()))}
                    writer.writerow([cells.get(column, "") for column in CSV_COLUMNS])
                    written.append(int(row["ref"]))
    now = services().now()
    run_in_transaction(lambda c: store.mark_noticed(c, version, written, NoticeChannel.CSV, now))
    return written


def _print_counts(counts: dict[Reach, int]) -> None:
    for reach, count in counts.items():
        click.echo(f"{reach}\t{count}")


def _audit(action: str, version: str) -> None:
    now = services().now()
    run_in_transaction(
        lambda c: audit.insert_audit_entry(c, now, actor(), action, {"version": version})
    )


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """A progress bar over the ids of addresses; 0 says that all were looked at."""
    highest = run_in_transaction(store.max_address_id)
    with click.progressbar(length=highest, label="Addresses", file=sys.stderr) as bar:

        def advance(address_id: int) -> None:
            bar.update((address_id or highest) - bar.pos)

        yield advance
