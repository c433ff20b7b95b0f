"""The permanent link of a contact, for a tool's custom field."""

from __future__ import annotations

from collections.abc import Callable

from preference_center.catalogue import Catalogue
from preference_center.core.addresses import Address
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links.tokens import Link
from preference_center.destinations.rules.destination import Destination
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.keys import link_keys as stored
from preference_center.integrations.base.contract import LINK_FIELD
from preference_center.integrations.base.integration import LINK_TOPIC


def permanent_link_builder(
    destination: Destination, catalogue: Catalogue
) -> Callable[[Address], str] | None:
    """A function that makes an address's link, the same each time; None if no field is set.

    Links lead to the page with all choices, and opt out of `link_topic`, else of the one topic
    that is sent, else of all marketing. They are revoked and reissued like a column of
    `flask links export`.
    """
    if not destination.settings.get(LINK_FIELD):
        return None
    context = services()
    since = run_in_transaction(
        lambda c: stored.enable_permanent_links(c, destination.id, context.now())
    )
    scope = _link_scope(destination)
    host = catalogue.host_for_scope(scope)

    def build_link(address: Address) -> str:
        link = Link(address, scope, "", since, destination_id=destination.id)
        return context.links.preferences_url(context.links.create_permanent_token(link), host)

    return build_link


def _link_scope(destination: Destination) -> str:
    stated = destination.settings.get(LINK_TOPIC)
    if stated:
        return stated
    return next(iter(destination.topics)) if len(destination.topics) == 1 else ALL_MARKETING
