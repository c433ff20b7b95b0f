"""Loading what the holder of an unsubscribe link has already turned off."""

from __future__ import annotations

from preference_center.contacts.choices import UNSUBSCRIBE_PAGE, click_evidence
from preference_center.core.events import LINK_EVIDENCE, Event
from preference_center.core.links.tokens import Link
from preference_center.destinations.store.deliveries import find_address_id
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.store.events import list_events_of
from preference_center.ledger.store.lookup import load_exact_facts
from preference_center.recipients.rules.link_opt_outs import LinkOptOut, find_opt_out


def load_opt_out(link: Link) -> LinkOptOut | None:
    """The active opt-out that covers the link's scope. Raises Unavailable."""
    now = services().now()
    (facts,) = load_exact_facts([link.address])
    if not any(fact.state.is_suppressed for fact in facts):
        return None
    ours = click_evidence(link, UNSUBSCRIBE_PAGE)

    def is_press(event: Event) -> bool:
        return event.source == UNSUBSCRIBE_PAGE and all(
            event.evidence.get(name) == ours.get(name) for name in LINK_EVIDENCE
        )

    def load(connection: Connection) -> LinkOptOut | None:
        digest = services().keys.exact_digest(link.address)
        address_id = find_address_id(connection, digest, link.address.channel)
        events, retracted = list_events_of(connection, [] if address_id is None else [address_id])
        return find_opt_out(link.scope, facts, events, retracted, is_press, now)

    return run_in_transaction(load)
