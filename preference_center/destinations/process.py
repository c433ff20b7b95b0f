"""A job processes what tools have posted to `/in/<destination>`, after it was stored.

It also confirms the subscription of a webhook, as some vendors require once.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

import structlog

from preference_center.core.addresses import Channel
from preference_center.core.deadlines import destination_retry
from preference_center.core.errors import InvalidInput, Unavailable
from preference_center.destinations.connect import LEASE_DURATION, ConnectorFactory, Lease
from preference_center.destinations.ingest import ingest
from preference_center.destinations.push import log_failure, safe_message
from preference_center.destinations.rules.classify import topics_by_target
from preference_center.destinations.rules.questions import UNREADABLE_QUESTION, open_questions
from preference_center.destinations.rules.states import Destination
from preference_center.destinations.store import destinations, webhooks
from preference_center.destinations.store.webhooks import StoredWebhook
from preference_center.infra import metrics
from preference_center.infra.company_webhooks import ALLOW_PRIVATE
from preference_center.infra.context import Services, services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.infra.hooks import Hook
from preference_center.infra.job_queue import JobTimedOut
from preference_center.infra.metrics import InboundKind, InboundOutcome
from preference_center.integrations.base.contract import (
    Connector,
    DeliveryError,
    RequestRejected,
    SupportsFind,
)
from preference_center.integrations.base.vendor_events import (
    NeedsConfirmation,
    ReceivedMail,
    SubscriptionConfirmation,
    SupportsInboundMail,
    VendorEvent,
    VendorEventKind,
    WebhookSource,
)
from preference_center.integrations.base.webhook import unknown_event
from preference_center.integrations.registry import get_webhook_source


def confirm_subscription(destination: Destination, confirmation: SubscriptionConfirmation) -> None:
    """Send the confirmation that a vendor asked for; repeating it is harmless.

    Raises DeliveryError if it may be retried, InvalidInput if it was rejected.
    """
    # Imported late: a worker that waits needs no HTTP client, and it has megabytes.
    from preference_center.integrations.base.http import HttpContext  # noqa: PLC0415

    allow = os.environ.get(ALLOW_PRIVATE) == "1"
    http = HttpContext(now=services().now, allow_private=allow)
    with http.session(destination.name, f"https://{confirmation.host}") as session:
        try:
            session.send("GET", "/", query=confirmation.query)
        except RequestRejected as error:
            raise InvalidInput(f"the confirmation was rejected: HTTP {error.status}") from None


log = structlog.get_logger()


MAX_BODIES_PER_CLAIM = 500
"""Bodies claimed at once; fewer if they are long, see `claim_webhooks`."""


MAX_EVENTS_PER_TRANSACTION = 2_000
"""Events in one transaction, unless a single body has more."""


MAX_CONTACTS_PER_LOOKUP = 100
"""See `SupportsFind`."""


ConfirmSubscription = Callable[[Destination, SubscriptionConfirmation], None]


@Hook
def receive_mail(mail: ReceivedMail, received_at: datetime) -> bool:
    """Process a mail that a vendor received for us; returns whether any recipient is ours."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class ParsedWebhook:
    """The events of one body, and the types in it that are not known."""

    body: StoredWebhook
    events: Sequence[VendorEvent]
    unknown_types: Counter[str]
    confirmation: SubscriptionConfirmation | None


def ingest_webhooks(
    destination_id: int,
    connect: ConnectorFactory,
    *,
    until: datetime,
    stop: Callable[[], bool],
    confirm_subscription: ConfirmSubscription = confirm_subscription,
) -> int:
    """Process what the tool has posted, the oldest first. Returns the number of bodies.

    Whatever status the destination has: a person's act counts, also while nothing is pushed
    there (I13).
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
        for batch in _split_batches(_parse_bodies(destination, bodies)):
            _ingest_batch(destination, connector, confirm_subscription, batch)
        total += len(bodies)
    return total


def _claim(context: Services, destination: Destination, ends_at: datetime) -> list[StoredWebhook]:
    now = context.now()
    return run_in_transaction(
        lambda c: webhooks.claim_webhooks(
            c, context.keys, destination.id, now=now, until=ends_at, limit=MAX_BODIES_PER_CLAIM
        )
    )


def _parse_bodies(
    destination: Destination, bodies: Sequence[StoredWebhook]
) -> Iterator[ParsedWebhook]:
    """Parse bodies; those that can't be parsed are recorded as unreadable.

    One on which an integration fails is tried again: a later version may read it.
    """
    source = get_webhook_source(destination.kind)
    for body in bodies:
        try:
            yield _parse_body(source, body)
        except InvalidInput as error:
            _mark_unreadable(destination, body, error)
        except (Unavailable, JobTimedOut):
            raise
        except Exception as error:  # noqa: BLE001 - one body must not hold up the others
            _defer(destination, body, error)


def _parse_body(source: WebhookSource, body: StoredWebhook) -> ParsedWebhook:
    events = source.parse(body.body)
    confirmation = source.confirmation(body.body) if isinstance(source, NeedsConfirmation) else None
    mails = source.parse_mails(body.body) if isinstance(source, SupportsInboundMail) else ()
    events = [*events, *_process_mails(mails, body)]
    types = Counter(
        event.target or "" for event in events if event.kind is VendorEventKind.UNKNOWN_TYPE
    )
    known = [event for event in events if event.kind is not VendorEventKind.UNKNOWN_TYPE]
    known = [replace(event, received_at=body.received_at) for event in known]
    return ParsedWebhook(body, known, types, confirmation)


def _process_mails(mails: Sequence[ReceivedMail], body: StoredWebhook) -> Iterator[VendorEvent]:
    """Process the mails in a body. Yields events, for staff, of those to no mailbox of ours.

    Processing a mail twice changes nothing, so it need not be in the transaction of the rest.
    """
    for mail in mails:
        if not receive_mail(mail, body.received_at):
            yield unknown_event("a mail to an address that REPLY_ADDRESSES lacks")


def _split_batches(webhooks: Iterable[ParsedWebhook]) -> Iterator[list[ParsedWebhook]]:
    """Split into batches of at most MAX_EVENTS_PER_TRANSACTION events, if bodies are no longer."""
    batch: list[ParsedWebhook] = []
    size = 0
    for each in webhooks:
        size += len(each.events)
        if batch and size > MAX_EVENTS_PER_TRANSACTION:
            yield batch
            batch, size = [], len(each.events)
        batch.append(each)
    if batch:
        yield batch


def _ingest_batch(
    destination: Destination,
    connector: Connector,
    confirm_subscription: ConfirmSubscription,
    batch: Sequence[ParsedWebhook],
) -> None:
    """Ingest all in one transaction; one by one if that fails, so that none blocks the others."""
    try:
        for each in batch:
            if each.confirmation is not None:
                confirm_subscription(destination, each.confirmation)
        _ingest_in_transaction(destination, connector, batch)
    except (Unavailable, JobTimedOut):
        raise
    except Exception as error:  # noqa: BLE001 - as above
        if len(batch) > 1:
            for each in batch:
                _ingest_batch(destination, connector, confirm_subscription, [each])
        elif isinstance(error, InvalidInput):
            _mark_unreadable(destination, batch[0].body, error)
        else:
            _defer(destination, batch[0].body, error)


def _ingest_in_transaction(
    destination: Destination, connector: Connector, batch: Sequence[ParsedWebhook]
) -> None:
    now, region = services().now(), services().settings.phone_region
    types = sum((each.unknown_types for each in batch), Counter[str]())
    target_topics = topics_by_target(destination)
    addresses = _resolve_addresses(connector, [event for each in batch for event in each.events])
    questions, known = {}, []
    for each in batch:
        events = [_with_address(event, addresses) for event in each.events]
        asked = open_questions(events, each.unknown_types, target_topics, region)
        questions[each.body.id] = (each.body.received_at, asked)
        known += [event for event in events if event.address]

    def mark_done(connection: Connection) -> None:
        webhooks.count_unknown_types(connection, destination.id, types, now)
        webhooks.replace_open_questions(connection, destination.id, questions)
        ids = [each.body.id for each in batch]
        webhooks.record_processed(connection, ids, webhooks.INGESTED_OUTCOME)

    ingest(destination, connector, known, in_transaction=mark_done)


def _mark_unreadable(destination: Destination, body: StoredWebhook, error: InvalidInput) -> None:
    metrics.count_inbound(InboundKind.WEBHOOK, InboundOutcome.UNREADABLE, destination.name)
    log.warning("webhook_unreadable", **destination.log_fields, reason=str(error))
    question = {body.id: (body.received_at, {UNREADABLE_QUESTION})}

    def mark_done(connection: Connection) -> None:
        webhooks.replace_open_questions(connection, destination.id, question)
        webhooks.record_processed(connection, [body.id], webhooks.UNREADABLE_OUTCOME)

    run_in_transaction(mark_done)


def _defer(destination: Destination, body: StoredWebhook, error: Exception) -> None:
    context = services()
    metrics.count_inbound(InboundKind.WEBHOOK, InboundOutcome.FAILED, destination.name)
    log_failure("webhook_deferred", destination, error)
    retry_after = error.retry_after if isinstance(error, DeliveryError) else None
    at = destination_retry(
        body.attempts, context.now(), retry_after=retry_after, jitter=context.random.random()
    )
    run_in_transaction(lambda c: webhooks.defer_webhook(c, body.id, at, safe_message(error)))


def _resolve_addresses(
    connector: Connector, events: Sequence[VendorEvent]
) -> Mapping[tuple[Channel, str], str]:
    """The addresses of contacts that are named by an id only, but for deleted ones."""
    # Imported late: it needs the HTTP client, which `connector` has imported already.
    from preference_center.integrations.base.multi_channel import (  # noqa: PLC0415
        connector_for_channel,
    )

    unnamed = {
        (event.channel, event.contact_id)
        for event in events
        if not event.address and event.contact_id
    }
    found: dict[tuple[Channel, str], str] = {}
    for channel in sorted({channel for channel, _ in unnamed}):
        contacts = sorted(contact for on, contact in unnamed if on is channel)
        addresses = _find_addresses(connector_for_channel(connector, channel), contacts)
        found |= {(channel, contact): address for contact, address in addresses.items()}
    return found


def _with_address(event: VendorEvent, addresses: Mapping[tuple[Channel, str], str]) -> VendorEvent:
    """The event; one whose contact is deleted has no address."""
    if event.address:
        return event
    return replace(event, address=addresses.get((event.channel, event.contact_id), ""))


def _find_addresses(connector: Connector, contact_ids: Sequence[str]) -> dict[str, str]:
    if not hasattr(connector, "find"):
        raise InvalidInput("the connector can't find contacts by id")
    found: dict[str, str] = {}
    for start in range(0, len(contact_ids), MAX_CONTACTS_PER_LOOKUP):
        found |= cast("SupportsFind", connector).find(
            contact_ids[start : start + MAX_CONTACTS_PER_LOOKUP]
        )
    return found
