"""Mailboxes for replies, bounce reports and requests, and the topic encoded in their address.

They are separate because auto-replies go to the bounce address (RULES A12): only the reply
mailbox may opt people out by what they write, only the report mailbox by reports without proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from preference_center.domain.addresses import Channel
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.events import ALL_MARKETING
from preference_center.errors import InvalidInput


class MailboxKind(StrEnum):
    """What a mailbox receives."""

    REPLIES = "replies"
    REPORTS = "reports"
    RIGHTS = "rights"
    """Data-subject requests."""


@dataclass(frozen=True, slots=True)
class MailboxMatch:
    """The mailbox that a mail was sent to, and the rest of its address: a tag or a token."""

    kind: MailboxKind
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Mailboxes:
    """The configured mailboxes: `stop@example.com`, or a whole domain, `@stop.example.com`."""

    replies: tuple[str, ...] = ()
    reports: tuple[str, ...] = ()
    rights: tuple[str, ...] = ()

    def match(self, recipient: str) -> MailboxMatch | None:
        """The mailbox of an envelope recipient; None if it is not one of ours.

        `stop+acme.offers@example.com` is delivered to `stop@example.com`; in a whole domain the
        local part is free.
        """
        local, _, domain = recipient.strip().strip("<>").lower().rpartition("@")
        base, _, tag = local.partition("+")
        for kind, addresses in (
            (MailboxKind.REPLIES, self.replies),
            (MailboxKind.REPORTS, self.reports),
            (MailboxKind.RIGHTS, self.rights),
        ):
            if f"{local}@{domain}" in addresses:
                return MailboxMatch(kind)
            if f"{base}@{domain}" in addresses:
                return MailboxMatch(kind, tag)
            if local and f"@{domain}" in addresses:
                return MailboxMatch(kind, local)
        return None


def parse_mailboxes(text: str) -> tuple[str, ...]:
    """The addresses and domains in a setting, separated by commas.

    Raises InvalidInput for anything else.
    """
    found = [place.strip().lower() for place in text.split(",") if place.strip()]
    for place in found:
        local, _, domain = place.partition("@")
        if "." not in domain or "@" in domain or "+" in local or set(place) & set(' <>;"'):
            raise InvalidInput(
                "write addresses, as stop@example.com, or domains, as @stop.example.com,"
                " with commas between them and without a plus"
            )
    return tuple(found)


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
