"""Taking in what tools have posted to `/in/<destination>`: the second half of its way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

import structlog

from preference_center.context import Services, services
from preference_center.destinations.connect import ConnectorFactory
from preference_center.destinations.leases import LEASE_DURATION, Lease
from preference_center.domain.addresses import Channel, parse_address
from preference_center.domain.deadlines import destination_retry
from preference_center.domain.sync.classify import topics_by_target, unmapped_target
from preference_center.domain.sync.destination import Destination
from preference_center.domain.vendor_events import (
    NeedsConfirmation,
    ReceivedMail,
    SubscriptionConfirmation,
    SupportsInboundMail,
    VendorEvent,
    VendorEventKind,
)
from preference_center.errors import InvalidAddress, InvalidInput
from preference_center.ingest.confirm_subscription import confirm_subscription
from preference_center.ingest.record import ingest
from preference_center.integrations.base.contract import Connector, DeliveryError, SupportsFind
from preference_center.integrations.base.multi_channel import connector_for_channel
from preference_center.integrations.base.payload import unknown_event
from preference_center.integrations.registry import get_webhook_source
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.sync import (
    destinations,
    undecided_events,
    unknown_event_types,
    webhook_inbox,
)
from preference_center.storage.sync.webhook_inbox import StoredWebhook

log = structlog.get_logger()

MAX_BODIES_PER_CLAIM = 500
"""Bodies that are held at once; fewer if they are long, see `posted.claim`."""
MAX_EVENTS_PER_TRANSACTION = 2_000
"""Pieces of news in one transaction, unless a single body has more."""
MAX_CONTACTS_PER_LOOKUP = 100
"""See Findable."""

OPT_OUT_KINDS = frozenset({VendorEventKind.OPTED_OUT, VendorEventKind.COMPLAINED})

ConfirmSubscription = Callable[[Destination, SubscriptionConfirmation], None]


@dataclass(frozen=True, slots=True)
class ParsedWebhook:
    """What one body says, and types of news in it that are not known.

    `questions`: what is left for a person to decide, see `storage.undecided`.
    """

    body: StoredWebhook
    events: Sequence[VendorEvent]
    unknown_types: Counter[str]
    confirmation: SubscriptionConfirmation | None
    open_questions: frozenset[str]


def ingest_webhooks(
    destination_id: int,
    connect: ConnectorFactory,
    *,
    until: datetime,
    stop: Callable[[], bool],
    confirm_subscription: ConfirmSubscription = confirm_subscription,
) -> int:
    """Take in what the tool has posted, the oldest first; how many bodies.

    Whatever state the destination is in: what a person said counts, also while nothing is
    written there (I13).
    """
    context, total = services(), 0
    destination = run_in_transaction(
        lambda c: destinations.find_by_id(c, context.keys, destination_id)
    )
    while destination is not None and not stop() and context.now() < until:
        ends_at = context.now() + LEASE_DURATION
        bodies = _claim(context, destination, ends_at)
        if not bodies:
            break
        connector = connect(destination, Lease(ends_at, context.now))
        for part in _split_batches(_parse_bodies(destination, bodies)):
            _ingest_batch(destination, connector, confirm_subscription, part)
        total += len(bodies)
    return total


def _claim(context: Services, destination: Destination, ends_at: datetime) -> list[StoredWebhook]:
    now = context.now()
    return run_in_transaction(
        lambda c: webhook_inbox.claim_webhooks(
            c, context.keys, destination.id, now=now, until=ends_at, limit=MAX_BODIES_PER_CLAIM
        )
    )


def _parse_bodies(
    destination: Destination, bodies: Sequence[StoredWebhook]
) -> Iterator[ParsedWebhook]:
    """What they say; those that can't be read are told to be so."""
    source, things = get_webhook_source(destination.kind), topics_by_target(destination)
    for body in bodies:
        try:
            said = source.parse(body.body)
            wish = source.confirmation(body.body) if isinstance(source, NeedsConfirmation) else None
            mails = source.parse_mails(body.body) if isinstance(source, SupportsInboundMail) else ()
        except InvalidInput as error:
            _mark_unreadable(destination, body, error)
            continue
        said = [*said, *_process_mails(mails, body)]
        types = Counter(
            news.target or "" for news in said if news.kind is VendorEventKind.UNKNOWN_TYPE
        )
        known = [news for news in said if news.kind is not VendorEventKind.UNKNOWN_TYPE]
        known = [replace(news, received_at=body.received_at) for news in known]
        yield ParsedWebhook(body, known, types, wish, _open_questions(known, types, things))


def _process_mails(mails: Sequence[ReceivedMail], body: StoredWebhook) -> Iterator[VendorEvent]:
    """Do what the mails in it say; news of those to no mailbox of ours, for a person.

    Taking a mail twice changes nothing, so it need not be in the transaction of the rest.
    """
    for mail in mails:
        if not services().receive_mail(mail, body.received_at):
            yield unknown_event("a mail to an address that REPLY_ADDRESSES lacks")


def _open_questions(
    events: Sequence[VendorEvent], types: Iterable[str], target_topics: Mapping[str, str]
) -> frozenset[str]:
    """What was acknowledged and is not understood (I3)."""
    found = {undecided_events.unknown_type_question(name) for name in types}
    for news in events:
        target = unmapped_target(news, target_topics)
        if target is not None:
            found.add(undecided_events.unmapped_target_question(target))
        if news.kind in OPT_OUT_KINDS and news.address and not _is_address_valid(news):
            found.add(undecided_events.INVALID_ADDRESS_QUESTION)
    return frozenset(found)


def _is_address_valid(event: VendorEvent) -> bool:
    try:
        parse_address(event.address, event.channel, region=services().settings.phone_region)
    except InvalidAddress:
        return False
    return True


def _split_batches(webhooks: Iterable[ParsedWebhook]) -> Iterator[list[ParsedWebhook]]:
    """As many at a time as one transaction does well with."""
    part: list[ParsedWebhook] = []
    size = 0
    for each in webhooks:
        size += len(each.events)
        if part and size > MAX_EVENTS_PER_TRANSACTION:
            yield part
            part, size = [], len(each.events)
        part.append(each)
    if part:
        yield part


def _ingest_batch(
    destination: Destination,
    connector: Connector,
    confirm_subscription: ConfirmSubscription,
    batch: Sequence[ParsedWebhook],
) -> None:
    """All in one transaction; one by one if that fails, so that none holds up the others."""
    try:
        for each in batch:
            if each.confirmation is not None:
                confirm_subscription(destination, each.confirmation)
        _ingest_in_transaction(destination, connector, batch)
    except (InvalidInput, DeliveryError) as error:
        if len(batch) > 1:
            for each in batch:
                _ingest_batch(destination, connector, confirm_subscription, [each])
        elif isinstance(error, DeliveryError):
            _defer(destination, batch[0].body, error)
        else:
            _mark_unreadable(destination, batch[0].body, error)


def _ingest_in_transaction(
    destination: Destination, connector: Connector, batch: Sequence[ParsedWebhook]
) -> None:
    now = services().now()
    types = sum((each.unknown_types for each in batch), Counter[str]())

    def mark_done(connection: Connection) -> None:
        unknown_event_types.count_unknown_types(connection, destination.id, types, now)
        questions = {each.body.id: (each.body.received_at, each.open_questions) for each in batch}
        undecided_events.replace_open_questions(connection, destination.id, questions)
        ids = [each.body.id for each in batch]
        webhook_inbox.record_processed(connection, ids, webhook_inbox.INGESTED_OUTCOME)

    said = _resolve_addresses(connector, [news for each in batch for news in each.events])
    ingest(destination, connector, said, in_transaction=mark_done)


def _mark_unreadable(destination: Destination, body: StoredWebhook, error: InvalidInput) -> None:
    log.warning("webhook_unreadable", destination=destination.id, reason=str(error))
    question = {body.id: (body.received_at, {undecided_events.UNREADABLE_QUESTION})}

    def mark_done(connection: Connection) -> None:
        undecided_events.replace_open_questions(connection, destination.id, question)
        webhook_inbox.record_processed(connection, [body.id], webhook_inbox.UNREADABLE_OUTCOME)

    run_in_transaction(mark_done)


def _defer(destination: Destination, body: StoredWebhook, error: DeliveryError) -> None:
    context = services()
    log.warning("webhook_deferred", destination=destination.id, error=type(error).__name__)
    at = destination_retry(
        body.attempts, context.now(), retry_after=error.retry_after, jitter=context.random.random()
    )
    run_in_transaction(lambda c: webhook_inbox.defer_webhook(c, body.id, at, str(error)))


def _resolve_addresses(
    connector: Connector, events: Sequence[VendorEvent]
) -> Sequence[VendorEvent]:
    """The same with the addresses of contacts that are named by an id; gone ones left out."""
    unnamed = {
        (news.channel, news.contact_id) for news in events if not news.address and news.contact_id
    }
    found: dict[tuple[Channel, str], str] = {}
    for channel in sorted({channel for channel, _ in unnamed}):
        contacts = sorted(contact for on, contact in unnamed if on is channel)
        addresses = _find_addresses(connector_for_channel(connector, channel), contacts)
        found |= {(channel, contact): address for contact, address in addresses.items()}
    named = [
        news
        if news.address
        else replace(news, address=found.get((news.channel, news.contact_id), ""))
        for news in events
    ]
    return [news for news in named if news.address]


def _find_addresses(connector: Connector, contact_ids: Sequence[str]) -> dict[str, str]:
    if not hasattr(connector, "find"):
        raise InvalidInput("the connector can't find contacts by id")
    found: dict[str, str] = {}
    for start in range(0, len(contact_ids), MAX_CONTACTS_PER_LOOKUP):
        found |= cast("SupportsFind", connector).find(
            contact_ids[start : start + MAX_CONTACTS_PER_LOOKUP]
        )
    return found
