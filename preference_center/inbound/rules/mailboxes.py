"""Mailboxes for replies, bounce reports and requests, and the topic encoded in their address.

They are separate because auto-replies go to the bounce address (RULES A12): only the reply
mailbox may opt people out by what they write, only the report mailbox by reports without proof.
"""

from __future__ import annotations

from preference_center.catalogue import Catalogue
from preference_center.core.addresses import Channel
from preference_center.core.events import ALL_MARKETING


def scopes_of_tag(tag: str, catalogue: Catalogue) -> tuple[str, ...]:
    """What an opt-out sent to an address with this tag covers.

    The key of a topic means that topic, the key of a brand all topics that the brand mails;
    anything else, and a topic of another channel, all marketing: never less than was meant.
    """
    mailed = {
        key: topic for key, topic in catalogue.topics.items() if topic.channel is Channel.EMAIL
    }
    for name in (tag.lower(), tag.lower().partition("+")[0]):
        found = tuple(key for key in mailed if key.lower() == name)
        found = found or tuple(key for key, topic in mailed.items() if topic.brand.lower() == name)
        if found:
            return found
    return (ALL_MARKETING,)
