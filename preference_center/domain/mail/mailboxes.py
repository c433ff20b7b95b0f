"""Addresses set aside for replies and for reports, and what they say of the topic.

Two kinds of door, since a vacation notice goes where a bounce goes (RULES A12): words count
at the one, reports at the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from preference_center.domain.addresses import Channel
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.events import ALL_MARKETING
from preference_center.errors import InvalidInput


class MailboxKind(StrEnum):
    """What mails to an address are for."""

    REPLIES = "replies"
    REPORTS = "reports"


@dataclass(frozen=True, slots=True)
class MailboxMatch:
    """A door that a mail came to, and what its address says besides: a tag, or a token."""

    kind: MailboxKind
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Mailboxes:
    """The addresses set aside: `stop@example.com`, or all of a domain, `@stop.example.com`."""

    replies: tuple[str, ...] = ()
    reports: tuple[str, ...] = ()

    def match(self, recipient: str) -> MailboxMatch | None:
        """The door that a recipient of an envelope leads to; None if that is none of ours.

        `stop+acme.offers@example.com` leads where `stop@example.com` does; at a domain set
        aside the whole local part is free.
        """
        local, _, domain = recipient.strip().strip("<>").lower().rpartition("@")
        base, _, tag = local.partition("+")
        for door, places in (
            (MailboxKind.REPLIES, self.replies),
            (MailboxKind.REPORTS, self.reports),
        ):
            if f"{local}@{domain}" in places:
                return MailboxMatch(door)
            if f"{base}@{domain}" in places:
                return MailboxMatch(door, tag)
            if local and f"@{domain}" in places:
                return MailboxMatch(door, local)
        return None


def parse_mailboxes(text: str) -> tuple[str, ...]:
    """Addresses and domains out of a setting, which parts them by commas.

    Raises InvalidInput for what is neither.
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


def scopes_of_tag(tag: str, catalogue: Catalogue | None) -> tuple[str, ...]:
    """What a "no" to an address with this word is about.

    A topic's key names that topic, a brand's key all topics that the brand mails; anything
    else all marketing, as does a topic of another channel: never less than was meant.
    """
    topics = catalogue.topics if catalogue else {}
    mailed = {key: topic for key, topic in topics.items() if topic.channel is Channel.EMAIL}
    for name in (tag.lower(), tag.lower().partition("+")[0]):
        found = tuple(key for key in mailed if key.lower() == name)
        found = found or tuple(key for key, topic in mailed.items() if topic.brand.lower() == name)
        if found:
            return found
    return (ALL_MARKETING,)
