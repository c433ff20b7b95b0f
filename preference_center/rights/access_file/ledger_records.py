"""Read whom an access file is about, and make the records of it that come from the ledger.

All is read in one snapshot, and is of exactly the addresses that the request is about (I9).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from flask_babel import format_date
from flask_babel import gettext as _

from preference_center.catalogue import Catalogue
from preference_center.contacts.rules.preferences import ScopeStatus, compute_preferences
from preference_center.contacts.store import SubjectAddress, list_addresses
from preference_center.core.addresses import Address, Channel
from preference_center.core.events import ALL_MARKETING, Event, format_receipt_code
from preference_center.core.links.tokens import restore_address
from preference_center.destinations.rules.delivery import ActiveSuppression, active_suppressions
from preference_center.destinations.set_up import SystemTitles, load_system_titles
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.ledger.store.events import iter_events_of, load_events_by_id
from preference_center.ledger.store.lookup import (
    NO_SCOPE_FACTS,
    ScopeFacts,
    load_exact_facts,
    load_facts_by_id,
)
from preference_center.rights import person_words as words
from preference_center.rights.access_file.records import (
    AddressRecord,
    ChoiceRecord,
    ConsentRecord,
    EventRecord,
    SuppressionRecord,
)
from preference_center.rights.requests import store
from preference_center.rights.rules.lifecycle import RightsRequest


@dataclass(frozen=True, slots=True)
class AccessSubject:
    """The people of one request: their addresses in the order of the file, with their facts.

    Everything is read from `connection`, as of one point in time.
    """

    connection: Connection = field(repr=False)
    request: RightsRequest
    addresses: Sequence[SubjectAddress]
    facts: Sequence[ScopeFacts]
    """Those of exactly each address (I9)."""
    catalogue: Catalogue
    titles: SystemTitles
    language: str
    now: datetime

    @property
    def ids(self) -> list[int]:
        """The ids of the addresses that are stored."""
        return [each.id for each in self.addresses if each.id is not None]

    @property
    def numbers(self) -> Mapping[int, int]:
        """The number in the file of each stored address, by its id."""
        return {each.id: n for n, each in enumerate(self.addresses, 1) if each.id is not None}


def load_subject(
    connection: Connection, request: RightsRequest, catalogue: Catalogue, language: str
) -> AccessSubject:
    """The people of this request, also where nothing is stored about them."""
    addresses = _load_addresses(connection, request)
    return AccessSubject(
        connection,
        request,
        addresses,
        _load_facts(connection, addresses),
        catalogue,
        load_system_titles(connection, catalogue),
        language,
        services().now(),
    )


def readable_address(each: SubjectAddress) -> Address | None:
    """The address, if it can be read."""
    return restore_address(each.text, Channel(each.channel)) if each.text else None


def _load_addresses(connection: Connection, request: RightsRequest) -> list[SubjectAddress]:
    keys = services().keys
    stored = list_addresses(connection, keys, request.subject_digests, request.address_ids)
    known = {(each.channel, each.digest) for each in stored}
    typed = [
        SubjectAddress(channel, keys.digest(text), text=text)
        for channel, text in store.open_part(keys, request).addresses
    ]
    return [*stored, *(each for each in typed if (each.channel, each.digest) not in known)]


def _load_facts(connection: Connection, addresses: Sequence[SubjectAddress]) -> list[ScopeFacts]:
    """By the address where it can be read, since an opt-out by mail may wait for it; else by id."""
    readable = {n: found for n, each in enumerate(addresses) if (found := readable_address(each))}
    by_address = load_exact_facts(list(readable.values()), connection) if readable else []
    facts = dict(zip(readable, by_address, strict=True))
    by_id = load_facts_by_id(connection, [each.id for each in addresses if each.id is not None])
    return [
        facts[n]
        if n in facts
        else tuple(f for f in by_id.get(each.id or 0, NO_SCOPE_FACTS) if f.exact)
        for n, each in enumerate(addresses)
    ]


_INTERNAL_EVIDENCE = frozenset(
    {"destination", "import", "key_id", "move", "moved_event", "moved_source", "request"}
)
"""Ids of our own, which say nothing about the person."""


def address_records(subject: AccessSubject) -> list[AddressRecord]:
    """The addresses, each with what is held of it."""
    return [
        _address_record(number, each, active_suppressions(facts, subject.now))
        for number, (each, facts) in enumerate(
            zip(subject.addresses, subject.facts, strict=True), 1
        )
    ]


def _address_record(
    number: int, each: SubjectAddress, active: list[ActiveSuppression]
) -> AddressRecord:
    off_since = min((found.since for found in active), default=None)
    if each.id is not None and each.text:
        what = _("We hold this address.")
    elif off_since:
        what = _(
            "We hold nothing readable of this address, but a mark that keeps marketing off since"
            " %(date)s.",
            date=format_date(off_since, "long"),
        )
    elif each.id is None:
        what = _("We hold nothing about this address.")
    else:
        what = _("We hold nothing readable of this address, but a mark by which we recognize it.")
    return AddressRecord(
        number=number,
        channel=each.channel,
        address=each.text,
        known_since=each.created_at,
        erased_at=each.erased_at,
        off_since=off_since,
        what=what,
    )


def choice_records(subject: AccessSubject) -> Iterator[ChoiceRecord]:
    """What is on and off now for each address that can be read."""
    for number, (each, facts) in enumerate(zip(subject.addresses, subject.facts, strict=True), 1):
        address = readable_address(each)
        if address is None or each.id is None:
            continue
        preferences = compute_preferences(subject.catalogue, address, facts, subject.now)
        statuses = {ALL_MARKETING: preferences.all_marketing, **preferences.topics}
        for scope, status in statuses.items():
            yield _choice_record(subject, number, scope, status)


def _choice_record(
    subject: AccessSubject, number: int, scope: str, status: ScopeStatus
) -> ChoiceRecord:
    return ChoiceRecord(
        address=number,
        scope=scope,
        title=_title(subject, scope),
        state=status.state.value,
        until=status.until,
        what=words.in_words(status.state),
        frequency=status.frequency,
        frequency_in_words=_frequency_in_words(subject, scope, status.frequency),
    )


def suppression_records(subject: AccessSubject) -> Iterator[SuppressionRecord]:
    """Every "do not send" in force, the newest of each address first."""
    for number, facts in enumerate(subject.facts, 1):
        for found in active_suppressions(facts, subject.now):
            yield SuppressionRecord(
                address=number,
                scope=found.scope,
                title=_title(subject, found.scope),
                kind=found.kind.value,
                what=words.in_words(found.kind),
                since=found.since,
                until=found.until,
                reference=format_receipt_code(found.event_id),
            )


def consent_records(subject: AccessSubject) -> Iterator[ConsentRecord]:
    """The newest consent of each topic, with the words that were agreed to."""
    given = [
        (number, fact.scope, fact.state.consent)
        for number, facts in enumerate(subject.facts, 1)
        for fact in facts
        if fact.exact and fact.state.consent
    ]
    events = load_events_by_id(subject.connection, [consent.event for _, _, consent in given])
    for number, topic, consent in given:
        event = events[consent.event]
        yield ConsentRecord(
            address=number,
            topic=topic,
            title=_title(subject, topic),
            given_at=consent.at,
            source=event.evidence.get("source") or words.event_source(event, subject.titles),
            wording=event.evidence.get("wording"),
            language=event.evidence.get("language"),
            text_version=event.evidence.get("text_version"),
            policy=event.evidence.get("policy"),
            reference=format_receipt_code(event.id),
        )


def event_records(subject: AccessSubject) -> Iterator[EventRecord]:
    """Every event about these addresses, the oldest first."""
    numbers = subject.numbers
    for event, is_retracted in iter_events_of(subject.connection, subject.ids):
        frequency = event.frequency.key if event.frequency else None
        yield EventRecord(
            address=numbers[event.address_id],
            reference=format_receipt_code(event.id),
            kind=event.kind.value,
            what=words.in_words(event.kind),
            scope=event.scope,
            title=_title(subject, event.scope),
            occurred_at=event.occurred_at,
            received_at=event.received_at,
            recorded_at=event.recorded_at,
            counts_from=event.counts_at,
            until=event.until,
            frequency=frequency,
            frequency_in_words=_frequency_in_words(subject, event.scope, frequency),
            source=event.source,
            source_in_words=words.event_source(event, subject.titles),
            evidence=_shown_evidence(event),
            evidence_erased=event.evidence_erased,
            retracted=is_retracted,
        )


def _shown_evidence(event: Event) -> dict[str, str]:
    return {name: value for name, value in event.evidence.items() if name not in _INTERNAL_EVIDENCE}


def _title(subject: AccessSubject, scope: str) -> str:
    return words.scope_title(scope, subject.catalogue, subject.language)


def _frequency_in_words(subject: AccessSubject, topic: str, key: str | None) -> str | None:
    return key and words.frequency_title(topic, key, subject.catalogue, subject.language)
