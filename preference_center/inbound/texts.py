"""`handle_text` records a text message at once, and computes the reply.

A text is the person's own act on their own number, as a mail to a mailto token is, so it is not
left to a job: the confirmation must not be sent before the opt-out counts (I1, I2). START never
lifts, since a sender number can be forged: the reply contains a link, and anyone who opens that on
the phone has proved to have it (docs/decisions/0026-text-messages.md).

Replies are short, in the person's language, and never marketing. The confirmation of a stop follows
47 CFR 64.1200(a)(12): at most one message, within five minutes (it is the webhook's own response),
which states what was turned off and nothing else. Each stays within one part in every language
(docs/decisions/0026).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID, uuid5

import structlog
from flask_babel import gettext as _

from preference_center.catalogue import Brand, Catalogue
from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.contacts.store import find_locale
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import InvalidAddress
from preference_center.core.events import ALL_MARKETING, Change, EventKind, ScopeFact, fold
from preference_center.core.links.tokens import TokenPurpose
from preference_center.core.sms_parts import fit_in_one_part, to_gsm
from preference_center.decisions.rules import is_opted_out, is_opted_out_of_all_marketing
from preference_center.destinations.rules.states import Destination
from preference_center.destinations.store.deliveries import find_address_id
from preference_center.inbound import store
from preference_center.inbound.rules import ReviewReason
from preference_center.inbound.rules.sms_keywords import (
    classify_sms,
    country_languages,
    is_start_itself,
    phone_country,
)
from preference_center.inbound.store import ReviewItem
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.integrations.base.integration import HELP_TEXT_SETTING, to_mail
from preference_center.integrations.base.vendor_events import SmsIntent, TextMessage
from preference_center.ledger import RecordResult, record
from preference_center.ledger.store.events import list_events_of
from preference_center.ledger.store.lookup import load_exact_facts
from preference_center.web.languages import SOURCE_LANGUAGE, in_language, join_names, match_language
from preference_center.web.pages.mailed_links import insert_short_links

REPLY_RATE_LIMIT = "3 per hour; 10 per day"
"""Replies to HELP and START, so that two machines can't reply to each other without end."""


@dataclass(frozen=True, slots=True)
class TextReplyWriter:
    """Writes to one phone number. `locale` is its owner's, if known."""

    catalogue: Catalogue
    address: Address
    country: str | None
    locale: str | None

    def opt_out_confirmation(self, scopes: Sequence[str]) -> str:
        """The confirmation that these are turned off."""
        topics = [
            self.catalogue.topics[scope] for scope in scopes if scope in self.catalogue.topics
        ]
        with in_language(self._language()) as language:
            brands = {topic.brand for topic in topics}
            name = self._sender_name([self.catalogue.brands[key] for key in sorted(brands)])
            if not topics:
                return fit_in_one_part(
                    lambda fields: _(
                        "%(name)s: you are unsubscribed. You will get no more marketing messages"
                        " at this number.",
                        **fields,
                    ),
                    {"name": name},
                )
            titles = [self.catalogue.localize(topic.title, language) for topic in topics]
            return fit_in_one_part(
                lambda fields: _(
                    "%(name)s: you are unsubscribed. We no longer send this to your number:"
                    " %(what)s.",
                    **fields,
                ),
                {"name": name, "what": join_names(titles)},
            )

    def help_reply(self, destination: Destination) -> str:
        """The destination's reply to HELP, or else who we are and where people choose."""
        if not self._may_reply():
            return ""
        if own := destination.settings.get(HELP_TEXT_SETTING):
            return own
        with in_language(self._language()):
            url = f"{services().links.base_url(self._host())}/form"
            return fit_in_one_part(
                lambda fields: _(
                    "%(name)s: text STOP to get no more marketing at this number. Choose what"
                    " you receive: %(url)s",
                    url=url,
                    **fields,
                ),
                {"name": self._sender_name()},
            )

    def opt_in_link(self) -> str:
        """A link to turn messages on; opening it proves possession of the phone."""
        if not self._may_reply():
            return ""
        context = services()
        token = context.links.create_one_time_token(
            TokenPurpose.EMAILED_LINK, self.address, context.new_id(), context.now()
        )
        (code,) = run_in_transaction(
            lambda connection: insert_short_links(connection, [f"m/{token}"], context.now())
        )
        link = context.links.short_url(code, self._host())
        with in_language(self._language()):
            return fit_in_one_part(
                lambda fields: _(
                    "%(name)s: to get messages at this number again, choose here within 24 hours:"
                    " %(link)s",
                    link=link,
                    **fields,
                ),
                {"name": self._sender_name()},
            )

    def _language(self) -> str:
        spoken = (self.locale, *country_languages(self.country), self.catalogue.default_language)
        return next(filter(None, map(match_language, spoken)), SOURCE_LANGUAGE)

    def _sender_name(self, brands: Sequence[Brand] = ()) -> str:
        """The name of these brands, or of all; our host if the catalogue has none.

        Our host too where the name can't be written in the alphabet of text messages.
        """
        named = brands or [*self.catalogue.brands.values()]
        language = self._language()
        names = [self.catalogue.localize(brand.name, language) for brand in named]
        host = urlsplit(services().settings.public_url).hostname or ""
        name = join_names(names)
        return name if to_gsm(name) else host

    def _host(self) -> str | None:
        """The host of the pages of the only brand."""
        brands = [*self.catalogue.brands.values()]
        return brands[0].host if len(brands) == 1 else None

    def _may_reply(self) -> bool:
        context = services()
        mark = context.keys.exact_digest(self.address).hex()
        return context.limiter.hit(REPLY_RATE_LIMIT, "text-to", mark)


log = structlog.get_logger()


SMS = "sms"


ACTOR = "recipient"


_EVENT_NAMESPACE = UUID("0d8f6b52-6f0a-4d8e-9d55-2f3f5b0f1e64")
"""Namespace of the ids of events that are made from the ids of messages."""


def handle_text(destination: Destination, text: TextMessage) -> str:
    """Act on the text; returns the reply, "" for none.

    Returns once everything is committed (I1). The same message again adds nothing, and a
    repeated stop gets no second reply. Raises Unavailable when the database can't be reached.
    """
    context, catalogue = services(), current_catalogue_or_empty()
    try:
        address = parse_address(text.sender, Channel.SMS, region=context.settings.phone_region)
    except InvalidAddress:
        return _queue_for_review(destination, text)
    country = phone_country(address)
    locale = run_in_transaction(lambda connection: find_locale(connection, context.keys, address))
    known = (*catalogue.languages, *filter(None, [locale]))
    meaning = _effective_meaning(classify_sms(text.body, country, known), text.handled_as)
    if meaning is SmsIntent.UNCLEAR:
        return _queue_for_review(destination, text)
    answered = text.handled_as is not None
    writer = TextReplyWriter(catalogue, address, country, locale)
    if meaning is SmsIntent.HELP:
        return "" if answered else writer.help_reply(destination)
    if meaning is SmsIntent.START:
        return writer.opt_in_link() if is_start_itself(text.body) or _is_opted_out(address) else ""
    scopes = _scopes_of_text(destination, text, meaning)
    is_first = _record_opt_out(destination, text, address, scopes)
    return writer.opt_out_confirmation(scopes) if is_first and not answered else ""


def _effective_meaning(parsed: SmsIntent, handled_by_vendor: SmsIntent | None) -> SmsIntent:
    """A stop if either we or the vendor recognized one, else the vendor's interpretation."""
    if parsed in {SmsIntent.STOP, SmsIntent.STOP_ALL} or handled_by_vendor is None:
        return parsed
    return handled_by_vendor


def _scopes_of_text(destination: Destination, text: TextMessage, meaning: SmsIntent) -> list[str]:
    """All marketing, or the topics that are sent from the number that was texted."""
    topics = sorted(
        topic for topic, target in destination.mapping.items() if target in text.recipients
    )
    return topics if topics and meaning is SmsIntent.STOP else [ALL_MARKETING]


def _record_opt_out(
    destination: Destination, text: TextMessage, address: Address, scopes: Sequence[str]
) -> bool:
    """Record it; returns whether it changed anything."""
    changes = [_opt_out_change(destination, text, address, scope) for scope in scopes]
    is_new: list[bool] = []

    def check_is_new(connection: Connection, recorded: RecordResult) -> None:
        # The address is locked: of two concurrent texts, one sees the other.
        before = _facts_before(connection, address, recorded.events)
        is_new[:] = [bool(recorded.events) and not all(_is_active(s, before) for s in scopes)]

    events = record(changes, check_is_new).events
    log.info("text_opt_outs_recorded", destination=destination.id, recorded=len(events))
    return is_new[0]


def _opt_out_change(
    destination: Destination, text: TextMessage, address: Address, scope: str
) -> Change:
    """The person's own opt-out. The evidence contains the message's id, not its text (I8)."""
    now = services().now()
    act = f"{destination.id} {text.message_id} {scope}"
    return Change(
        id=uuid5(_EVENT_NAMESPACE, act) if text.message_id else services().new_id(),
        kind=EventKind.OPTED_OUT,
        address=address,
        scope=scope,
        occurred_at=now,
        received_at=now,
        source=SMS,
        actor=ACTOR,
        evidence={"method": SMS, "tool": destination.name, "id": text.message_id[:200]},
        own_act=True,
    )


def _facts_before(
    connection: Connection, address: Address, events: Sequence[UUID]
) -> list[ScopeFact]:
    """The facts of this very number before these events."""
    owner = find_address_id(connection, services().keys.exact_digest(address), address.channel)
    history, retracted = list_events_of(connection, [owner] if owner is not None else [])
    states = fold((event for event in history if event.id not in events), retracted)
    return [ScopeFact(scope, True, state) for (_, scope), state in states.items()]


def _is_active(scope: str, facts: Sequence[ScopeFact]) -> bool:
    if scope == ALL_MARKETING:
        return is_opted_out_of_all_marketing(facts)
    return is_opted_out(scope, facts, services().now())


def _is_opted_out(address: Address) -> bool:
    """Whether any opt-out of this very number is active."""
    facts = load_exact_facts([address])[0]
    return any(_is_active(fact.scope, facts) for fact in facts)


def _queue_for_review(destination: Destination, text: TextMessage) -> str:
    """Queue it for review as a mail; it gets no reply."""
    context = services()
    number, now = context.new_id(), context.now()
    head = to_mail(text)
    mark = context.keys.digest(f"text:{destination.id} {text.message_id or number}")
    mail = ReviewItem(number, SMS, ReviewReason.UNCLEAR, len(head), now)
    run_in_transaction(
        lambda connection: store.insert_item(connection, context.keys, mail, mark, head)
    )
    log.warning("text_queued_for_review", destination=destination.id, text=str(number))
    return ""
