"""A section of the preference page shows what one address receives; the page's form is read here.

Where a link can't turn anything on, the page tells people the number to text START to.

Several addresses of one person may be on one page: each is proven by a token of its own. A portal
link or a page visit may have further tokens in the query, next to the one in the path. Nothing ties
them together but that somebody holds them all: a contact's other addresses are never added to a
page, since a phone number may belong to somebody else by now (I9).

All sections are one form, since a browser sends no choices of another form: what is not saved yet
would be lost with every press. So their fields have prefixes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from flask import request, url_for
from flask_wtf import FlaskForm
from wtforms import HiddenField, SelectMultipleField

from preference_center.catalogue import Brand, Catalogue, ConsentCutoff, Topic
from preference_center.contacts.rules.preferences import (
    Preferences,
    compute_preferences,
    shown_facts,
)
from preference_center.core.addresses import Channel, mask_address
from preference_center.core.errors import InvalidLink, Unavailable
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links import (
    FURTHER_ADDRESS_PARAMETER,
    FormPurpose,
    OptInMethod,
    opt_in_method,
)
from preference_center.core.links.tokens import Link
from preference_center.destinations.set_up import find_text_number, list_one_way_titles
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.store.lookup import load_facts
from preference_center.recipients.rules import SubmittedPreferences
from preference_center.web.pages.rendering import (
    can_mail,
    catalogue_or_empty,
    link_fingerprint,
    seal_for_link,
)

PAUSE_FIELD_PREFIX = "pause:"
"""A pause field's name begins with it; a scope follows."""


FREQUENCY_FIELD_PREFIX = "frequency:"
"""The same of how often; a topic follows."""


class PreferenceForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """The submitted form. `state` is what was rendered, sealed by us."""

    class Meta:
        """A page may stay open for days: `state` contains the relevant time."""

        csrf_time_limit = int(timedelta(days=60).total_seconds())

    state = HiddenField()
    topics = SelectMultipleField(validate_choice=False)
    """Keys of the ticked topics; only those that `state` lists are used."""

    @property
    def prefix(self) -> str:
        """What the names and ids of all fields of the section begin with."""
        return str(self.topics.name).removesuffix("topics")

    @property
    def choices(self) -> SubmittedPreferences:
        """What is filled in, of the request that submits it."""
        return SubmittedPreferences(
            self.topics.data or (),
            _parse_choices(request.form, self.prefix + PAUSE_FIELD_PREFIX),
            _parse_choices(request.form, self.prefix + FREQUENCY_FIELD_PREFIX),
            request.form.get("keep", ""),
        )


def _field_prefix(token: str) -> str:
    """That of the fields of one of several sections; it stays when another section goes."""
    return f"{link_fingerprint(token)}-"


def submitted_form(token: str, *, csrf: bool = False) -> PreferenceForm:
    """The form of one section, which a page of that section only sends without a prefix.

    `csrf` asks for the cookie that `validate` needs.
    """
    prefix = _field_prefix(token)
    is_one_of_several = f"{prefix}state" in request.form
    return PreferenceForm(prefix=prefix if is_one_of_several else "", meta={"csrf": csrf})


def _parse_choices(form: Mapping[str, str], prefix: str) -> dict[str, str]:
    """The choice of each field with this prefix, by scope; the caller uses only scopes of `state`.

    A part of multipart/form-data may have no name.
    """
    return {
        name.removeprefix(prefix): choice
        for name, choice in form.items()
        if name and name.startswith(prefix)
    }


def text_number(link: Link) -> str | None:
    """The number for the topic of a link to a phone number, or for any topic of text messages.

    None for every other link, where no number is known, and without the database.
    """
    channel = link.address.channel
    if link.proves_control or not channel.rules.can_be_texted:
        return None
    keys = services().keys
    topics = {topic.key for topic in catalogue_or_empty().topics_for_channel(channel)}
    wanted = topics if link.scope == ALL_MARKETING else topics & {link.scope}
    try:
        return run_in_transaction(lambda connection: find_text_number(connection, keys, wanted))
    except Unavailable:
        return None


ProvenLink = tuple[str, Link]
"""A token, and the link that it is for."""


@dataclass(frozen=True, slots=True)
class BrandTopics:
    """The topics of one brand, by group, in the catalogue's order."""

    brand: Brand
    groups: Mapping[str, Sequence[Topic]]


@dataclass(frozen=True, slots=True)
class PreferenceSection:
    """The choices of one address; a page has one, or several that are proven."""

    path: str = field(repr=False)
    """Where its Save posts to: the page of its token, with the other addresses."""
    stop_path: str = field(repr=False)
    """The same of its button that stops all marketing, which works without the database, too."""
    token: str = field(repr=False)
    link: Link = field(repr=False)
    preferences: Preferences
    brands: Sequence[BrandTopics]
    form: PreferenceForm = field(repr=False)
    state: str = field(repr=False)
    """The sealed state that is shown; the form must return it."""
    opt_in_method: OptInMethod
    one_way_tools: Sequence[str]
    """The titles of tools that can neither pause nor turn on again (I10)."""
    text_number: str | None = None
    """What to text START to, where only that can turn something on."""
    draft: SubmittedPreferences | None = None
    """Choices that are not saved yet, to show in place of what is recorded."""

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
    def has_form(self) -> bool:
        """Whether anything can be chosen."""
        return not (self.preferences.closed or self.preferences.restricted)

    @property
    def on_topics(self) -> Sequence[Topic]:
        """What the person has not turned off, in the order of the page."""
        topics = [
            topic for each in self.brands for members in each.groups.values() for topic in members
        ]
        return [topic for topic in topics if self.preferences.is_on(topic.key)]

    @property
    def ending(self) -> Sequence[tuple[ConsentCutoff, Sequence[Topic]]]:
        """What ends unless agreed to again, by the coming version of the privacy policy."""
        found: dict[ConsentCutoff, list[Topic]] = {}
        for topic in self.on_topics:
            if cutoff := self.preferences.topics[topic.key].ends_by:
                found.setdefault(cutoff, []).append(topic)
        return sorted(found.items(), key=lambda each: each[0].at)

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

    def is_ticked(self, topic: Topic, unsaved: Collection[str]) -> bool:
        """Whether the box of this topic is; `unsaved` are those that a Save could not turn on."""
        if self.draft is not None:
            return topic.key in self.draft.topics
        return topic in self.on_topics or topic.key in unsaved

    def chosen_pause(self, scope: str) -> str:
        """The pause that is chosen and not saved; empty for none."""
        return self.draft.pauses.get(scope, "") if self.draft else ""

    def chosen_frequency(self, topic: Topic) -> str | None:
        """How often the topic is wanted: as chosen and not saved, or as recorded."""
        current = self.preferences.topics[topic.key].frequency
        return self.draft.frequencies.get(topic.key, current) if self.draft else current

    @property
    def has_chosen_pause(self) -> bool:
        """Whether a pause of a single topic is chosen and not saved."""
        return any(self.chosen_pause(topic.key) for topic in self.on_topics)

    @property
    def all_is_on(self) -> bool:
        """Whether the person has not turned off all marketing."""
        return self.preferences.is_on(ALL_MARKETING)


def load_section(
    visits: Sequence[ProvenLink],
    visit: ProvenLink,
    catalogue: Catalogue,
    current: Preferences,
    now: datetime,
) -> PreferenceSection:
    """The section of one of the page's `visits`, with the state that is recorded now."""
    token, link = visit
    prefix = _field_prefix(token) if len(visits) > 1 else ""
    return PreferenceSection(
        path=page_url(token, visits),
        stop_path=page_url(token, visits, "pages.unsubscribe"),
        token=token,
        link=link,
        preferences=current,
        brands=_topics_by_brand(catalogue, current),
        # CSRF matters where a change is recorded immediately: only there is a cookie needed.
        form=PreferenceForm(prefix=prefix, meta={"csrf": link.proves_control}),
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
        "keep": [key for key, status in current.topics.items() if status.can_keep],
    }


def _topics_by_brand(catalogue: Catalogue, current: Preferences) -> Sequence[BrandTopics]:
    brands: dict[str, dict[str, list[Topic]]] = {}
    for key in current.topics:
        topic = catalogue.topics[key]
        brands.setdefault(topic.brand, {}).setdefault(topic.group, []).append(topic)
    return [BrandTopics(catalogue.brands[key], groups) for key, groups in brands.items()]


def _one_way_tools(catalogue: Catalogue, topics: Sequence[str]) -> list[str]:
    return run_in_transaction(lambda connection: list_one_way_titles(connection, catalogue, topics))


MAX_ADDITIONAL = 3
"""Further addresses of one page."""


def additional_tokens() -> Sequence[str]:
    """The further tokens in the query of this request."""
    return request.args.getlist(FURTHER_ADDRESS_PARAMETER)[:MAX_ADDITIONAL]


def proven_links(token: str, link: Link) -> Sequence[ProvenLink]:
    """The visit of this page and its further ones, by channel and address, one per address.

    The order is the same whichever of them is the one in the path. What does not prove control of
    an address, or not any more, is left out; so is everything else if `link` proves nothing.
    """
    found = [(token, link)]
    if link.proves_control:
        found += filter(None, map(_read_visit, additional_tokens()))
    by_address = {(each.address.channel, each.address.exact): (key, each) for key, each in found}
    by_address[link.address.channel, link.address.exact] = (token, link)
    channels = list(Channel)
    keys = sorted(by_address, key=lambda key: (channels.index(key[0]), key[1]))
    return [by_address[key] for key in keys]


def page_url(token: str, visits: Sequence[ProvenLink], endpoint: str = "pages.preferences") -> str:
    """The preference page of `token`, with the others of `visits`; or another page of it."""
    others = [key for key, _ in visits if key != token]
    additional: dict[str, Any] = {FURTHER_ADDRESS_PARAMETER: others} if others else {}
    return url_for(endpoint, token=token, **additional)


def _read_visit(token: str) -> ProvenLink | None:
    try:
        link = services().links.read_token(token, services().now())
    except InvalidLink:
        return None
    return (token, link) if link.proves_control else None
