"""`flask receipts`: what support finds by the reference that a person reads out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import click
from flask.cli import AppGroup

from preference_center.cli.errors import click_bad_parameter, click_errors, read_stdin_lines
from preference_center.context import services
from preference_center.domain.addresses import Channel, mask_address
from preference_center.domain.delivery_status import (
    ActiveSuppression,
    active_suppressions,
    compute_delivery_status,
)
from preference_center.domain.events import Event
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

receipts = AppGroup("receipts", help="Opt-outs by the reference on a person's receipt.")


@dataclass(frozen=True, slots=True)
class FoundOptOut:
    """An event and all around it that support is asked about."""

    event: Event
    masked_address: str
    retracted: bool
    active: bool
    tools: Sequence[AddressProgress]
    burst: BurstRecord | None


@receipts.command()
@click.argument("reference")
def find(reference: str) -> None:
    """Show the opt-out behind REFERENCE, and what each connected tool was told of it.

    Case, spaces and dashes do not matter. The address is shown masked; the table of tools
    says for each how far it is. Exits with 1 if there is no such opt-out.

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
        kept = run_in_transaction(
            lambda connection: pending_mail_opt_outs.list_between(connection, first, last)
        )
    blocks = [_opt_out_lines(each, now) for each in found] + [
        _pending_mail_lines(row) for row in kept
    ]
    if not blocks:
        raise click.ClickException("no opt-out has this reference")
    click.echo("\n\n".join("\n".join(block) for block in blocks))


@receipts.command()
def hash_message_id() -> None:
    """Show what a receipt has in place of a message id that may not stay readable.

    The id is read from standard input, or typed. Compare with `hmac:...` in `flask receipts
    find`: one line for each digest key, the oldest first.
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
        owner = event.address_id
        topics = {
            topic.key for topic in catalogue.topics_for_channel(load_channel(connection, owner))
        }
        standing = active_suppressions(facts.get(owner, NO_SCOPE_FACTS), now)
        found.append(
            FoundOptOut(
                event,
                _mask_address(*names[owner])
                if owner in names
                else "erased: only its digest is left",
                event.id in list_events_of(connection, [owner])[1],
                event.id in {no.event_id for no in standing},
                list_address_progress(connection, owner, topics),
                flags.get(event.id),
            )
        )
    return found


def _opt_out_lines(found: FoundOptOut, now: datetime) -> Iterator[str]:
    event = found.event
    state = "taken back" if found.retracted else "stands" if found.active else "no longer decides"
    yield from _table(
        ("event", str(event.id)),
        ("what", f"{event.kind} {event.scope} ({state})"),
        ("address", found.masked_address),
        ("occurred", _format_time(event.occurred_at)),
        ("received", _format_time(event.received_at)),
        ("recorded", _format_time(event.recorded_at)),
        ("source", f"{event.source}, by {event.actor}"),
        *((f"  {name}", value) for name, value in sorted(event.evidence.items())),
        *((("flagged", _burst_text(found.burst)),) if found.burst else ()),
    )
    if event.kind.suppresses or event.until:
        yield from (_tool_line(each, event, now) for each in found.tools)


def _burst_text(burst: BurstRecord) -> str:
    return (
        f"one of {burst.events} opt-outs of {burst.addresses} addresses of its domain at once:"
        f" a scanner may have pressed. Burst {burst.id}"
    )


def _tool_line(tool_status: AddressProgress, event: Event, now: datetime) -> str:
    no = ActiveSuppression(event.scope, event.kind, event.id, event.counts_at, event.until)
    at = compute_delivery_status(
        tool_status.tool,
        tool_status.sync_row,
        tool_status.deliveries,
        [(no, event.received_at)],
        now,
    )
    words = [at.state.value]
    if at.blocker:
        words.append(f"({at.blocker})")
    if at.confirmed_at:
        words.append(f"at {_format_time(at.confirmed_at)}")
    if at.ack:
        words.append(f"acknowledged: {at.ack}")
    if at.due_at:
        words.append(f"{'LATE, was due' if at.late else 'due'} {_format_time(at.due_at)}")
    return f"{tool_status.tool.name}\t{' '.join(words)}"


def _pending_mail_lines(row: PendingMailOptOut) -> Iterator[str]:
    yield from _table(
        ("event", f"{row.id} (not in the ledger yet)"),
        ("what", f"opted_out {row.scope or 'a topic that no catalogue has'}"),
        ("address", "not known yet: checks honour the opt-out all the same"),
        ("received", _format_time(row.received_at)),
        ("source", "mailto"),
    )


def _table(*rows: tuple[str, str]) -> Iterator[str]:
    return (f"{name}\t{value}" for name, value in rows)


def _mask_address(channel: Channel, text: str) -> str:
    return mask_address(restore_address(text, channel))


def _format_time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
