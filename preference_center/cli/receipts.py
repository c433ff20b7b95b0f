"""`flask receipts`: find an opt-out by the reference on a person's receipt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import click

from preference_center.cli.command_app import CommandGroup
from preference_center.cli.errors import click_bad_parameter, click_errors, read_stdin_lines
from preference_center.context import services
from preference_center.domain.addresses import Channel, mask_address
from preference_center.domain.delivery_status import (
    ActiveSuppression,
    active_suppressions,
    compute_delivery_status,
)
from preference_center.domain.events import SHARING, Event
from preference_center.domain.receipt_codes import parse_receipt_code
from preference_center.links import restore_address
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.ledger.addresses import load_readable
from preference_center.storage.ledger.events import list_events_between, list_events_of
from preference_center.storage.ledger.suppression_lookup import NO_SCOPE_FACTS, load_facts_by_id
from preference_center.storage.mail import bursts, pending_mail_opt_outs
from preference_center.storage.mail.bursts import BurstRecord
from preference_center.storage.mail.pending_mail_opt_outs import PendingMailOptOut
from preference_center.storage.sync.delivery_status import (
    AddressProgress,
    list_address_progress,
    load_channel,
)

receipts = CommandGroup("receipts", help="Find opt-outs by the reference on a person's receipt.")


@dataclass(frozen=True, slots=True)
class FoundOptOut:
    """An opt-out event with its context."""

    event: Event
    masked_address: str
    retracted: bool
    active: bool
    tools: Sequence[AddressProgress]
    burst: BurstRecord | None


@receipts.command()
@click.argument("reference")
def find(reference: str) -> None:
    """Show the opt-out with REFERENCE, and its delivery to each connected tool.

    Case, spaces and dashes are ignored. The address is shown masked. Exits with 1 if there is no
    such opt-out.

    Example: flask receipts find 06H0-SJ4E-G1WH-34VF
    """
    with click_bad_parameter("REFERENCE"):
        first, last = parse_receipt_code(reference)
    with click_errors():
        now = services().now()
        found = run_in_transaction(
            lambda connection: _load_opt_outs(
                connection, list_events_between(connection, first, last), now
            )
        )
        pending = run_in_transaction(
            lambda connection: pending_mail_opt_outs.list_between(connection, first, last)
        )
    blocks = [_opt_out_lines(each, now) for each in found] + [
        _pending_mail_lines(row) for row in pending
    ]
    if not blocks:
        raise click.ClickException("there is no opt-out with this reference")
    click.echo("\n\n".join("\n".join(block) for block in blocks))


@receipts.command()
def hash_message_id() -> None:
    """Show the digests that are stored in place of a message id with personal data.

    The id is read from standard input or a prompt. Compare the output with `hmac:...` in `flask
    receipts find`: one line for each digest key, the oldest first.
    """
    for line in read_stdin_lines("Message id"):
        click.echo("\n".join(services().keys.evidence_hmacs(line)))


def _load_opt_outs(
    connection: Connection, events: Sequence[Event], now: datetime
) -> list[FoundOptOut]:
    ids = {event.address_id for event in events}
    names = load_readable(connection, services().keys, ids)
    facts = load_facts_by_id(connection, ids)
    catalogue = current_catalogue()
    flags = bursts.find_bursts_by_event(connection, [event.id for event in events])
    found = []
    for event in events:
        address_id = event.address_id
        channel = load_channel(connection, address_id)
        topics = {SHARING, *(topic.key for topic in catalogue.topics_for_channel(channel))}
        active = active_suppressions(facts.get(address_id, NO_SCOPE_FACTS), now)
        found.append(
            FoundOptOut(
                event,
                _mask_address(*names[address_id])
                if address_id in names
                else "erased: only its digest is stored",
                event.id in list_events_of(connection, [address_id])[1],
                event.id in {each.event_id for each in active},
                list_address_progress(connection, address_id, topics),
                flags.get(event.id),
            )
        )
    return found


def _opt_out_lines(found: FoundOptOut, now: datetime) -> Iterator[str]:
    event = found.event
    state = "retracted" if found.retracted else "active" if found.active else "overridden"
    yield from _table(
        ("event", str(event.id)),
        ("what", f"{event.kind} {event.scope} ({state})"),
        ("address", found.masked_address),
        ("occurred", _format_time(event.occurred_at)),
        ("received", _format_time(event.received_at)),
        ("recorded", _format_time(event.recorded_at)),
        ("source", f"{event.source}, by {event.actor}"),
        *((f"  {name}", value) for name, value in sorted(event.evidence.items())),
        *((("  evidence", "erased on request, or expired"),) if event.evidence_erased else ()),
        *((("flagged", _burst_text(found.burst)),) if found.burst else ()),
    )
    if event.kind.suppresses or event.until:
        yield from (_tool_line(each, event, now) for each in found.tools)


def _burst_text(burst: BurstRecord) -> str:
    return (
        f"one of {burst.events} opt-outs of {burst.addresses} addresses of its domain in a burst:"
        f" a link scanner may have made it. Burst {burst.id}"
    )


def _tool_line(tool_status: AddressProgress, event: Event, now: datetime) -> str:
    suppression = ActiveSuppression(event.scope, event.kind, event.id, event.counts_at, event.until)
    status = compute_delivery_status(
        tool_status.tool,
        tool_status.sync_row,
        tool_status.deliveries,
        [(suppression, event.received_at)],
        now,
    )
    words = [status.state.value]
    if status.blocker:
        words.append(f"({status.blocker})")
    if status.confirmed_at:
        words.append(f"at {_format_time(status.confirmed_at)}")
    if status.ack:
        words.append(f"acknowledged: {status.ack}")
    if status.due_at:
        words.append(f"{'LATE, was due' if status.late else 'due'} {_format_time(status.due_at)}")
    return f"{tool_status.tool.name}\t{' '.join(words)}"


def _pending_mail_lines(row: PendingMailOptOut) -> Iterator[str]:
    yield from _table(
        ("event", f"{row.id} (not in the ledger yet)"),
        ("what", f"opted_out {row.scope or 'a topic that is not in the catalogue'}"),
        ("address", "not known yet: decisions consider the opt-out already"),
        ("received", _format_time(row.received_at)),
        ("source", "mailto"),
    )


def _table(*rows: tuple[str, str]) -> Iterator[str]:
    return (f"{name}\t{value}" for name, value in rows)


def _mask_address(channel: Channel, text: str) -> str:
    return mask_address(restore_address(text, channel))


def _format_time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
