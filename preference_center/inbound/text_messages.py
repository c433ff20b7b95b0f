"""What a text message does: into the ledger at once, and what it is answered with.

A text is the person's own act on their own number, as a mail to a mailto opt-out is, so it is
not left to a job: the confirmation must not go out before the "no" counts (I1, I2). START
never lifts, since anybody's gateway may write any sender's number: it is answered with a link,
and whoever opens that on the phone has proved to hold it (docs/decisions/0026-sms.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid5

import structlog

from preference_center.domain.addresses import Address, Channel, parse
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.decisions import (
    Fact,
    Rule,
    marketing_suppressed,
    standing_no,
)
from preference_center.domain.events import ALL_MARKETING, Change, Kind, fold
from preference_center.domain.mail import Why
from preference_center.domain.sms_keywords import Meaning, country_of, read
from preference_center.domain.sync.destination import Destination
from preference_center.errors import CatalogueError, InvalidAddress
from preference_center.extensions import services
from preference_center.inbound import text_replies
from preference_center.integrations.twilio.webhook import Text, as_mail
from preference_center.ledger import Recorded, record
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.contacts import locale_of
from preference_center.storage.db.database import Connection, run
from preference_center.storage.ledger.events import events_of
from preference_center.storage.ledger.suppression_lookup import exact_facts_for
from preference_center.storage.mail import review_queue
from preference_center.storage.mail.review_queue import KeptMail
from preference_center.storage.sync.delivery_status import address_id

log = structlog.get_logger()

SMS = "sms"
ACTOR = "recipient"

_EVENTS = UUID("0d8f6b52-6f0a-4d8e-9d55-2f3f5b0f1e64")
"""Namespace of the ids of events that are made from the ids of messages."""


def take(destination: Destination, text: Text) -> str:
    """Do what the text says; what to answer to it, "" for nothing.

    Returns once all of it is committed (I1). The same message again adds nothing and gets
    no second answer to a stop. Raises Unavailable when the database can't be reached.
    """
    context, catalogue = services(), _catalogue()
    try:
        address = parse(text.sender, Channel.SMS, region=context.settings.phone_region)
    except InvalidAddress:
        return _for_a_person(destination, text)
    country = country_of(address)
    locale = run(lambda connection: locale_of(connection, context.keys, address))
    known = (*catalogue.languages, *filter(None, [locale]))
    meaning = _surest(read(text.words, country, known), text.handled)
    if meaning is Meaning.UNCLEAR:
        return _for_a_person(destination, text)
    answered = text.handled is not None
    writer = text_replies.Writer(catalogue, address, country, locale)
    if meaning is Meaning.HELP:
        return "" if answered else writer.help(destination)
    if meaning is Meaning.START:
        return writer.start() if _says_no(address) else ""
    scopes = _scopes(destination, text, meaning)
    is_first = _stop(destination, text, address, scopes)
    return writer.stopped(scopes) if is_first and not answered else ""


def _surest(read: Meaning, handled: Meaning | None) -> Meaning:
    """A stop by whoever says so, else what the vendor has taken it for."""
    if read in {Meaning.STOP, Meaning.STOP_ALL} or handled is None:
        return read
    return handled


def _scopes(destination: Destination, text: Text, meaning: Meaning) -> list[str]:
    """All marketing, or the topics that are sent from the number that was texted."""
    topics = sorted(topic for topic, thing in destination.mapping.items() if thing in text.to)
    return topics if topics and meaning is Meaning.STOP else [ALL_MARKETING]


def _stop(destination: Destination, text: Text, address: Address, scopes: Sequence[str]) -> bool:
    """Record it; whether it says anything that did not stand already."""
    changes = [_opt_out(destination, text, address, scope) for scope in scopes]
    news: list[bool] = []

    def look(connection: Connection, recorded: Recorded) -> None:
        # The address is locked: of two at once, one sees the other.
        before = _facts_without(connection, address, recorded.events)
        news[:] = [bool(recorded.events) and not all(_stands(s, before) for s in scopes)]

    events = record(changes, look).events
    log.info("opted_out_by_text", destination=destination.id, recorded=len(events))
    return news[0]


def _opt_out(destination: Destination, text: Text, address: Address, scope: str) -> Change:
    """The person's own "no". The evidence names the message, and nothing in it (I8)."""
    now = services().now()
    act = f"{destination.id} {text.id} {scope}"
    return Change(
        id=uuid5(_EVENTS, act) if text.id else services().new_id(),
        kind=Kind.OPTED_OUT,
        address=address,
        scope=scope,
        occurred_at=now,
        received_at=now,
        source=SMS,
        actor=ACTOR,
        evidence={"method": SMS, "tool": destination.name, "id": text.id[:200]},
        once=True,
    )


def _facts_without(connection: Connection, address: Address, events: Sequence[UUID]) -> list[Fact]:
    """How this very number stood before these events."""
    owner = address_id(connection, services().keys.exact(address), address.channel)
    history, retracted = events_of(connection, [owner] if owner is not None else [])
    states = fold((event for event in history if event.id not in events), retracted)
    return [Fact(scope, True, state) for (_, scope), state in states.items()]


def _stands(scope: str, facts: Sequence[Fact]) -> bool:
    if scope == ALL_MARKETING:
        return marketing_suppressed(facts)
    no = standing_no(scope, facts, services().now())
    return no is not None and no.rule not in {Rule.PAUSED, Rule.BOUNCED}


def _says_no(address: Address) -> bool:
    """Whether any "no" of this very number stands."""
    facts = exact_facts_for([address])[0]
    return any(_stands(fact.scope, facts) for fact in facts)


def _for_a_person(destination: Destination, text: Text) -> str:
    """Queue it, as the mail that it would have been; it is answered by nobody else."""
    context = services()
    number, now = context.new_id(), context.now()
    head = as_mail(text)
    mark = context.keys.digest(f"text:{destination.id} {text.id or number}")
    mail = KeptMail(number, SMS, Why.NOT_CLEAR, len(head), now)
    run(lambda connection: review_queue.keep(connection, context.keys, mail, mark, head))
    log.warning("text_for_a_person", destination=destination.id, text=str(number))
    return ""


def _catalogue() -> Catalogue:
    try:
        return current_catalogue()
    except CatalogueError:
        return Catalogue(languages=(), default_language="")
