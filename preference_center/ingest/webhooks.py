"""Taking in what tools have posted to `/in/<destination>`: the second half of its way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

import structlog

from preference_center.destinations.leases import LEASE, Lease
from preference_center.domain.addresses import Channel, parse
from preference_center.domain.deadlines import destination_retry
from preference_center.domain.sync.classify import things_of, unmapped
from preference_center.domain.sync.destination import Destination
from preference_center.domain.vendor_events import (
    CarriesMail,
    Confirmation,
    Confirming,
    News,
    NewsKind,
    ReceivedMail,
)
from preference_center.errors import InvalidAddress, InvalidInput
from preference_center.extensions import Services, services
from preference_center.ingest.confirm_subscription import confirm
from preference_center.ingest.record import take_in
from preference_center.integrations.base.contract import Connector, DeliveryError, Findable
from preference_center.integrations.base.multi_channel import part_of
from preference_center.integrations.base.payload import unknown
from preference_center.integrations.webhooks import SOURCES
from preference_center.storage.db.database import Connection, run
from preference_center.storage.sync import (
    destinations,
    undecided_events,
    unknown_event_types,
    webhook_inbox,
)
from preference_center.storage.sync.webhook_inbox import Posted
from preference_center.sync.push import Connect

log = structlog.get_logger()

BATCH = 500
"""Bodies that are held at once; fewer if they are long, see `posted.claim`."""
AT_ONCE = 2_000
"""Pieces of news in one transaction, unless a single body has more."""
FOUND_AT_ONCE = 100
"""See Findable."""

OPT_OUTS = frozenset({NewsKind.OPTED_OUT, NewsKind.COMPLAINED})

Confirm = Callable[[Destination, Confirmation], None]


@dataclass(frozen=True, slots=True)
class Heard:
    """What one body says, and types of news in it that are not known.

    `questions`: what is left for a person to decide, see `storage.undecided`.
    """

    body: Posted
    news: Sequence[News]
    unknown: Counter[str]
    confirmation: Confirmation | None
    questions: frozenset[str]


def take_posted(
    destination_id: int,
    connect: Connect,
    *,
    until: datetime,
    stop: Callable[[], bool],
    confirm: Confirm = confirm,
) -> int:
    """Take in what the tool has posted, the oldest first; how many bodies.

    Whatever state the destination is in: what a person said counts, also while nothing is
    written there (I13).
    """
    context, total = services(), 0
    destination = run(lambda c: destinations.by_id(c, context.keys, destination_id))
    while destination is not None and not stop() and context.now() < until:
        ends_at = context.now() + LEASE
        bodies = _claim(context, destination, ends_at)
        if not bodies:
            break
        connector = connect(destination, Lease(ends_at, context.now))
        for part in _parts(_heard(destination, bodies)):
            _take(destination, connector, confirm, part)
        total += len(bodies)
    return total


def _claim(context: Services, destination: Destination, ends_at: datetime) -> list[Posted]:
    now = context.now()
    return run(
        lambda c: webhook_inbox.claim(
            c, context.keys, destination.id, now=now, until=ends_at, limit=BATCH
        )
    )


def _heard(destination: Destination, bodies: Sequence[Posted]) -> Iterator[Heard]:
    """What they say; those that can't be read are told to be so."""
    source, things = SOURCES[destination.kind], things_of(destination)
    for body in bodies:
        try:
            said = source.parse(body.body)
            wish = source.confirmation(body.body) if isinstance(source, Confirming) else None
            mails = source.mails(body.body) if isinstance(source, CarriesMail) else ()
        except InvalidInput as error:
            _unreadable(destination, body, error)
            continue
        said = [*said, *_take_mails(mails, body)]
        types = Counter(news.thing or "" for news in said if news.kind is NewsKind.UNKNOWN)
        known = [news for news in said if news.kind is not NewsKind.UNKNOWN]
        known = [replace(news, received_at=body.received_at) for news in known]
        yield Heard(body, known, types, wish, _questions(known, types, things))


def _take_mails(mails: Sequence[ReceivedMail], body: Posted) -> Iterator[News]:
    """Do what the mails in it say; news of those to no mailbox of ours, for a person.

    Taking a mail twice changes nothing, so it need not be in the transaction of the rest.
    """
    for mail in mails:
        if not services().receive_mail(mail, body.received_at):
            yield unknown("a mail to an address that REPLY_ADDRESSES lacks")


def _questions(
    known: Sequence[News], types: Iterable[str], things: Mapping[str, str]
) -> frozenset[str]:
    """What was acknowledged and is not understood (I3)."""
    found = {undecided_events.of_type(name) for name in types}
    for news in known:
        target = unmapped(news, things)
        if target is not None:
            found.add(undecided_events.of_target(target))
        if news.kind in OPT_OUTS and news.address and not _can_be_parsed(news):
            found.add(undecided_events.NO_ADDRESS)
    return frozenset(found)


def _can_be_parsed(news: News) -> bool:
    try:
        parse(news.address, news.channel, region=services().settings.phone_region)
    except InvalidAddress:
        return False
    return True


def _parts(heard: Iterable[Heard]) -> Iterator[list[Heard]]:
    """As many at a time as one transaction does well with."""
    part: list[Heard] = []
    size = 0
    for each in heard:
        size += len(each.news)
        if part and size > AT_ONCE:
            yield part
            part, size = [], len(each.news)
        part.append(each)
    if part:
        yield part


def _take(
    destination: Destination, connector: Connector, confirm: Confirm, part: Sequence[Heard]
) -> None:
    """All in one transaction; one by one if that fails, so that none holds up the others."""
    try:
        for each in part:
            if each.confirmation is not None:
                confirm(destination, each.confirmation)
        _take_together(destination, connector, part)
    except (InvalidInput, DeliveryError) as error:
        if len(part) > 1:
            for each in part:
                _take(destination, connector, confirm, [each])
        elif isinstance(error, DeliveryError):
            _put_off(destination, part[0].body, error)
        else:
            _unreadable(destination, part[0].body, error)


def _take_together(destination: Destination, connector: Connector, part: Sequence[Heard]) -> None:
    now = services().now()
    types = sum((each.unknown for each in part), Counter[str]())

    def mark(connection: Connection) -> None:
        unknown_event_types.count(connection, destination.id, types, now)
        questions = {each.body.id: (each.body.received_at, each.questions) for each in part}
        undecided_events.note(connection, destination.id, questions)
        webhook_inbox.done(connection, [each.body.id for each in part], "taken in")

    said = _with_addresses(connector, [news for each in part for news in each.news])
    take_in(destination, connector, said, beside=mark)


def _unreadable(destination: Destination, body: Posted, error: InvalidInput) -> None:
    log.warning("news_unreadable", destination=destination.id, reason=str(error))
    question = {body.id: (body.received_at, {undecided_events.UNREADABLE})}

    def mark(connection: Connection) -> None:
        undecided_events.note(connection, destination.id, question)
        webhook_inbox.done(connection, [body.id], webhook_inbox.UNREADABLE)

    run(mark)


def _put_off(destination: Destination, body: Posted, error: DeliveryError) -> None:
    context = services()
    log.warning("news_put_off", destination=destination.id, error=type(error).__name__)
    at = destination_retry(
        body.attempts, context.now(), wish=error.retry_after, jitter=context.random.random()
    )
    run(lambda c: webhook_inbox.later(c, body.id, at, str(error)))


def _with_addresses(connector: Connector, said: Sequence[News]) -> Sequence[News]:
    """The same with the addresses of contacts that are named by an id; gone ones left out."""
    unnamed = {(news.channel, news.contact) for news in said if not news.address and news.contact}
    found: dict[tuple[Channel, str], str] = {}
    for channel in sorted({channel for channel, _ in unnamed}):
        contacts = sorted(contact for on, contact in unnamed if on is channel)
        addresses = _find(part_of(connector, channel), contacts)
        found |= {(channel, contact): address for contact, address in addresses.items()}
    named = [
        news if news.address else replace(news, address=found.get((news.channel, news.contact), ""))
        for news in said
    ]
    return [news for news in named if news.address]


def _find(connector: Connector, contacts: Sequence[str]) -> dict[str, str]:
    if not hasattr(connector, "find"):
        raise InvalidInput("the connector can't find contacts by id")
    found: dict[str, str] = {}
    for start in range(0, len(contacts), FOUND_AT_ONCE):
        found |= cast("Findable", connector).find(contacts[start : start + FOUND_AT_ONCE])
    return found
