"""`flask receipts`: what support finds by the reference that a person reads out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import click
from flask.cli import AppGroup

from preference_center.cli.errors import mending, mending_argument, typed
from preference_center.domain.addresses import Channel, mask
from preference_center.domain.delivery_status import No, progress, standing_nos
from preference_center.domain.events import Event
from preference_center.domain.receipt_codes import ids_of
from preference_center.extensions import services
from preference_center.links import recovered
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection, run
from preference_center.storage.ledger.addresses import readable
from preference_center.storage.ledger.events import events_between, events_of
from preference_center.storage.ledger.suppression_lookup import NO_FACTS, facts_by_id
from preference_center.storage.mail import bursts, pending_mail_opt_outs
from preference_center.storage.mail.bursts import Flag
from preference_center.storage.mail.pending_mail_opt_outs import Unresolved
from preference_center.storage.sync.delivery_status import Standing, channel_of, standings

receipts = AppGroup("receipts", help="Opt-outs by the reference on a person's receipt.")


@dataclass(frozen=True, slots=True)
class Found:
    """An event and all around it that support is asked about."""

    event: Event
    who: str
    retracted: bool
    stands: bool
    places: Sequence[Standing]
    burst: Flag | None


@receipts.command()
@click.argument("reference")
def find(reference: str) -> None:
    """Show the opt-out behind REFERENCE, and what each connected tool was told of it.

    Case, spaces and dashes do not matter. The address is shown masked; the table of tools
    says for each how far it is. Exits with 1 if there is no such opt-out.

    Example: flask receipts find 06H0-SJ4E-G1WH-34VF
    """
    with mending_argument("REFERENCE"):
        first, last = ids_of(reference)
    with mending():
        now = services().now()
        found = run(
            lambda connection: _look(connection, events_between(connection, first, last), now)
        )
        kept = run(lambda connection: pending_mail_opt_outs.between(connection, first, last))
    blocks = [_lines(each, now) for each in found] + [_kept_lines(row) for row in kept]
    if not blocks:
        raise click.ClickException("no opt-out has this reference")
    click.echo("\n\n".join("\n".join(block) for block in blocks))


@receipts.command()
def mark() -> None:
    """Show what a receipt has in place of a message id that may not stay readable.

    The id is read from standard input, or typed. Compare with `hmac:...` in `flask receipts
    find`: one line for each digest key, the oldest first.
    """
    for line in typed("Message id"):
        click.echo("\n".join(services().keys.marks(line)))


def _look(connection: Connection, events: Sequence[Event], now: datetime) -> list[Found]:
    ids = {event.address_id for event in events}
    names = readable(connection, services().keys, ids)
    facts = facts_by_id(connection, ids)
    catalogue = current_catalogue()
    flags = bursts.of_events(connection, [event.id for event in events])
    found = []
    for event in events:
        owner = event.address_id
        topics = {topic.key for topic in catalogue.topics_on(channel_of(connection, owner))}
        standing = standing_nos(facts.get(owner, NO_FACTS), now)
        found.append(
            Found(
                event,
                _masked(*names[owner]) if owner in names else "erased: only its digest is left",
                event.id in events_of(connection, [owner])[1],
                event.id in {no.event for no in standing},
                standings(connection, owner, topics),
                flags.get(event.id),
            )
        )
    return found


def _lines(found: Found, now: datetime) -> Iterator[str]:
    event = found.event
    state = "taken back" if found.retracted else "stands" if found.stands else "no longer decides"
    yield from _table(
        ("event", str(event.id)),
        ("what", f"{event.kind} {event.scope} ({state})"),
        ("address", found.who),
        ("occurred", _time(event.occurred_at)),
        ("received", _time(event.received_at)),
        ("recorded", _time(event.recorded_at)),
        ("source", f"{event.source}, by {event.actor}"),
        *((f"  {name}", value) for name, value in sorted(event.evidence.items())),
        *((("flagged", _flagged(found.burst)),) if found.burst else ()),
    )
    if event.kind.suppresses or event.until:
        yield from (_place(each, event, now) for each in found.places)


def _flagged(burst: Flag) -> str:
    return (
        f"one of {burst.events} opt-outs of {burst.addresses} addresses of its domain at once:"
        f" a scanner may have pressed. Burst {burst.id}"
    )


def _place(standing: Standing, event: Event, now: datetime) -> str:
    no = No(event.scope, event.kind, event.id, event.counts_at, event.until)
    at = progress(standing.tool, standing.row, standing.told, [(no, event.received_at)], now)
    words = [at.step.value]
    if at.hurdle:
        words.append(f"({at.hurdle})")
    if at.at:
        words.append(f"at {_time(at.at)}")
    if at.ack:
        words.append(f"acknowledged: {at.ack}")
    if at.due_at:
        words.append(f"{'LATE, was due' if at.late else 'due'} {_time(at.due_at)}")
    return f"{standing.tool.name}\t{' '.join(words)}"


def _kept_lines(row: Unresolved) -> Iterator[str]:
    yield from _table(
        ("event", f"{row.id} (not in the ledger yet)"),
        ("what", f"opted_out {row.scope or 'a topic that no catalogue has'}"),
        ("address", "not known yet: checks honour the opt-out all the same"),
        ("received", _time(row.received_at)),
        ("source", "mailto"),
    )


def _table(*rows: tuple[str, str]) -> Iterator[str]:
    return (f"{name}\t{value}" for name, value in rows)


def _masked(channel: Channel, text: str) -> str:
    return mask(recovered(text, channel))


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
