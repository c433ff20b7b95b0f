"""What one address receives, as a section of the preference page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from preference_center.catalogue import Brand, Catalogue, Topic
from preference_center.contacts.rules.preferences import (
    Preferences,
    compute_preferences,
    shown_facts,
)
from preference_center.core.addresses import Channel, mask_address
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links import FormPurpose, OptInMethod, opt_in_method
from preference_center.core.links.tokens import Link
from preference_center.destinations.set_up import list_one_way_titles
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.store.lookup import load_facts
from preference_center.recipients.pages.pages_text_number import text_number
from preference_center.web.pages.rendering import can_mail, seal_for_link


@dataclass(frozen=True, slots=True)
class BrandTopics:
    """The topics of one brand, by group, in the catalogue's order."""

    brand: Brand
    groups: Mapping[str, Sequence[Topic]]


@dataclass(frozen=True, slots=True)
class PreferenceSection:
    """The choices of one address; a page has one, or several that are proven."""

    path: str = field(repr=False)
    """Where its form posts to: the page of its token, with the other addresses."""
    token: str = field(repr=False)
    link: Link = field(repr=False)
    preferences: Preferences
    brands: Sequence[BrandTopics]
    state: str = field(repr=False)
    """The sealed state that is shown; the form must return it."""
    opt_in_method: OptInMethod
    one_way_tools: Sequence[str]
    """The titles of tools that can neither pause nor turn on again (I10)."""
    text_number: str | None = None
    """What to text START to, where only that can turn something on."""

    @property
    def channel(self) -> Channel:
        """The channel of the address."""
        return self.link.address.channel

    @property
    def address(self) -> str:
        """The address, masked (RULES C6)."""
        return mask_address(self.link.address)

    @property
    def can_turn_on(self) -> bool:
        """Whether this page can turn anything on, immediately or by an email."""
        return self.opt_in_method is not OptInMethod.UNAVAILABLE

    @property
    def on_topics(self) -> Sequence[Topic]:
        """What the person has not turned off, in the order of the page."""
        topics = [
            topic for each in self.brands for members in each.groups.values() for topic in members
        ]
        return [topic for topic in topics if self.preferences.is_on(topic.key)]

    @property
    def exempt_topics(self) -> Sequence[Topic]:
        """What is sent although all marketing is paused: it was turned on since."""
        if not self.preferences.all_marketing.paused_until:
            return []
        return [topic for topic in self.on_topics if not self.preferences.topics[topic.key].until]

    @property
    def has_paused_topic(self) -> bool:
        """Whether a single topic is paused."""
        statuses = [self.preferences.topics[topic.key] for topic in self.on_topics]
        return any(status.own_pause_until for status in statuses)

    @property
    def all_is_on(self) -> bool:
        """Whether the person has not turned off all marketing."""
        return self.preferences.is_on(ALL_MARKETING)


def load_section(
    path: str,
    token: str,
    link: Link,
    catalogue: Catalogue,
    current: Preferences,
    now: datetime,
) -> PreferenceSection:
    """The section of one address, with the state that is recorded now."""
    return PreferenceSection(
        path=path,
        token=token,
        link=link,
        preferences=current,
        brands=_topics_by_brand(catalogue, current),
        state=seal_for_link(FormPurpose.PREFERENCES, token, _form_state(current), now),
        opt_in_method=find_opt_in_method(link),
        one_way_tools=_one_way_tools(catalogue, [*current.topics]),
        text_number=text_number(link),
    )


def load_preferences(catalogue: Catalogue, link: Link, now: datetime) -> Preferences:
    """What the address of `link` receives, as its holder may see it (I9)."""
    facts = shown_facts(load_facts([link.address])[0])
    return compute_preferences(catalogue, link.address, facts, now)


def find_opt_in_method(link: Link) -> OptInMethod:
    """How `link` can turn something on."""
    return opt_in_method(
        link.address.channel, proves_control=link.proves_control, can_mail=can_mail()
    )


def _form_state(current: Preferences) -> dict[str, Any]:
    """The state that the person saw; the form must return it."""
    return {
        "all": current.is_on(ALL_MARKETING),
        "topics": {key: current.is_on(key) for key in current.topics},
        "often": {
            key: status.frequency
            for key, status in current.topics.items()
            if status.frequency and current.is_on(key)
        },
    }


def _topics_by_brand(catalogue: Catalogue, current: Preferences) -> Sequence[BrandTopics]:
    brands: dict[str, dict[str, list[Topic]]] = {}
    for key in current.topics:
        topic = catalogue.topics[key]
        brands.setdefault(topic.brand, {}).setdefault(topic.group, []).append(topic)
    return [BrandTopics(catalogue.brands[key], groups) for key, groups in brands.items()]


def _one_way_tools(catalogue: Catalogue, topics: Sequence[str]) -> list[str]:
    return run_in_transaction(lambda connection: list_one_way_titles(connection, catalogue, topics))
