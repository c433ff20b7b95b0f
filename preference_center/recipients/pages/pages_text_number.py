"""The number that a page tells people to text START to, where its link can't turn anything on."""

from __future__ import annotations

from preference_center.core.addresses import Channel
from preference_center.core.errors import Unavailable
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links.tokens import Link
from preference_center.destinations.set_up import find_text_number
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.pages.rendering import catalogue_or_empty


def text_number(link: Link) -> str | None:
    """The number for the topic of a link to a phone number, or for any topic of text messages.

    None for every other link, where no number is known, and without the database.
    """
    if link.proves_control or link.address.channel is not Channel.SMS:
        return None
    keys = services().keys
    topics = {topic.key for topic in catalogue_or_empty().topics_for_channel(Channel.SMS)}
    wanted = topics if link.scope == ALL_MARKETING else topics & {link.scope}
    try:
        return run_in_transaction(lambda connection: find_text_number(connection, keys, wanted))
    except Unavailable:
        return None
