"""State what has become of each consent, and make the records of one address by an open standard.

A consent counts, was withdrawn, or a newer policy asks again. The records come from the ledger and
the catalogue; their JSON Schema is docs/schemas/consent-records-1.json.

Names of fields are those of ISO/IEC TS 27560:2023, as the guide of the W3C's Data Privacy
Vocabularies and Controls Community Group uses them (https://w3id.org/dpv/guides/consent-27560);
`docs/policies.md` has the list of those that are not filled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from preference_center.catalogue import Catalogue, LegalBasis, Recipient, Topic
from preference_center.catalogue.rules.model import PRIVACY
from preference_center.core.addresses import Address, Channel
from preference_center.core.errors import UnknownPolicyVersion
from preference_center.core.events import Event, ScopeFact, Timestamped, format_receipt_code
from preference_center.decisions.rules import outdated_since, withdrawal_of
from preference_center.destinations.store import destinations
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.ledger.store.events import load_events_by_id


class ConsentStatus(StrEnum):
    """Whether a consent counts."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"
    """An opt-out of its topic, of all marketing or of everything came after it."""
    INVALIDATED = "invalidated"
    """A version of the privacy policy that asks again came into force after it."""


@dataclass(frozen=True, slots=True)
class StatedConsent:
    """A consent, its state, and since when it is that."""

    topic: str
    given: Timestamped
    state: ConsentStatus
    since: datetime


def state_consents(
    catalogue: Catalogue, channel: Channel, facts: Sequence[ScopeFact], now: datetime
) -> list[StatedConsent]:
    """The newest consent to each topic of this channel, retired or not, that was consented to."""
    topics = (topic for topic in catalogue.topics.values() if topic.channel is channel)
    found = [_state_consent(topic, facts, now) for topic in topics]
    return [each for each in found if each]


def _state_consent(topic: Topic, facts: Sequence[ScopeFact], now: datetime) -> StatedConsent | None:
    given = max(
        (
            fact.state.consent
            for fact in facts
            if fact.exact and fact.scope == topic.key and fact.state.consent
        ),
        default=None,
    )
    if given is None:
        return None
    if withdrawn := withdrawal_of(topic.key, given, facts):
        return StatedConsent(topic.key, given, ConsentStatus.WITHDRAWN, withdrawn.at)
    if cutoff := outdated_since(given, topic, now):
        return StatedConsent(topic.key, given, ConsentStatus.INVALIDATED, cutoff)
    return StatedConsent(topic.key, given, ConsentStatus.GIVEN, given.at)


VERSION: Final = 1
"""Fields may be added; it grows when one changes its meaning or goes."""


class RecordPart(BaseModel):
    """A part of a record."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PrivacyNotice(RecordPart):
    """The version of the privacy policy that was shown with the consent."""

    url: str
    version: str
    sha256: str = Field(description="Of its text, in hex.")


class Party(RecordPart):
    """The company, or one that gets data from it."""

    party_id: str
    party_role: str = Field(description="controller, joint_controller or processor")
    party_name: str
    party_address: str | None = Field(None, description="Of a recipient, its country (ISO 3166-1).")
    party_email: str | None = None
    party_url: str | None = None


class Purpose(RecordPart):
    """What the consent is for."""

    purpose: str = Field(description="As people read it.")
    purpose_type: Literal["marketing"] = "marketing"
    services: list[str] = Field(description="The topic's key, and its brand's name.")
    lawful_basis: str
    pii_type: list[str]
    pii_controllers: list[str] = Field(description="By `party_id`.")
    recipient_third_parties: list[str] = Field(description="By `party_id`.")
    withdrawal_method: str = Field(description="A page where it can be withdrawn.")
    privacy_rights: str = Field(description="A page about all rights.")


class ConsentEvent(RecordPart):
    """The consent was given, or ended."""

    event_time: datetime
    event_type: Literal["explicit"] = "explicit"
    event_state: ConsentStatus
    entity_id: str = Field(description="The `pii_principal_id`, or the company.")


class ConsentRecord(RecordPart):
    """One consent."""

    schema_version: str
    record_id: str = Field(description="The code by which support finds it.")
    receipt_id: str = Field(description="The same: each record is its own receipt.")
    pii_principal_id: str = Field(description="A pseudonym: a keyed digest of the address.")
    timestamp: datetime = Field(description="From when on the consent counts.")
    collection_method: str
    language: str | None = None
    wording: str | None = Field(None, description="What was agreed to, or null.")
    text_version: str | None = Field(None, description="The version of the page's texts, or null.")
    privacy_notice: PrivacyNotice | None = Field(None, description="Null if it is not known.")
    purposes: list[Purpose]
    state: ConsentStatus
    events: list[ConsentEvent]


class ConsentRecords(RecordPart):
    """The newest consent to each topic."""

    format: Literal["consent-records"] = "consent-records"
    version: Literal[1] = VERSION
    issued_at: datetime
    language: str
    party_identification: list[Party]
    records: list[ConsentRecord] | None = Field(
        None, description="Null where the link did not prove control of the address."
    )


SCHEMA_VERSION = f"ISO/IEC TS 27560:2023, consent-records-{VERSION}"


_CONTROLLER = "controller"


@dataclass(frozen=True, slots=True)
class _Source:
    """What records are made from."""

    address: Address
    catalogue: Catalogue
    language: str
    recipients: Sequence[tuple[Recipient, frozenset[str]]]
    """Who gets data, as the catalogue describes them, and the topics that each sends."""

    @property
    def principal(self) -> str:
        """The pseudonym of the address: the same in all its records, and nobody else's."""
        text = f"{self.address.channel}\0{self.address.exact}"
        return services().keys.evidence_hmac(text)


def build_consent_records(
    connection: Connection,
    address: Address,
    catalogue: Catalogue,
    facts: Sequence[ScopeFact],
    language: str,
    now: datetime,
    *,
    proves_control: bool = True,
) -> ConsentRecords:
    """The newest consent of exactly this address to each topic (I9), with what became of it.

    Without proof of control of the address, only the company.
    """
    known = destinations.list_destinations(connection, services().keys)
    source = _Source(
        address,
        catalogue,
        language,
        [
            (catalogue.recipients[each.name], each.sends)
            for each in known
            if each.name in catalogue.recipients
        ],
    )
    stated = state_consents(catalogue, address.channel, facts, now)
    events = load_events_by_id(connection, [each.given.event for each in stated])
    return ConsentRecords(
        issued_at=now,
        language=language,
        party_identification=_parties(source),
        records=[
            _record(source, catalogue.topics[each.topic], each, events[each.given.event])
            for each in stated
            if each.given.event in events
        ]
        if proves_control
        else None,
    )


def _record(source: _Source, topic: Topic, consent: StatedConsent, event: Event) -> ConsentRecord:
    evidence, given = event.evidence, ConsentStatus.GIVEN
    principal = source.principal
    events = [ConsentEvent(event_time=consent.given.at, event_state=given, entity_id=principal)]
    if consent.state is not given:
        by_company = consent.state is ConsentStatus.INVALIDATED
        ended = ConsentEvent(
            event_time=consent.since,
            event_state=consent.state,
            entity_id=_CONTROLLER if by_company else principal,
        )
        events.append(ended)
    return ConsentRecord(
        schema_version=SCHEMA_VERSION,
        record_id=format_receipt_code(event.id),
        receipt_id=format_receipt_code(event.id),
        pii_principal_id=principal,
        timestamp=consent.given.at,
        collection_method=evidence.get("source") or evidence.get("method") or event.source,
        language=evidence.get("language"),
        wording=evidence.get("wording"),
        text_version=evidence.get("text_version"),
        privacy_notice=_privacy_notice(source, evidence.get("policy"), evidence.get("language")),
        purposes=[_purpose(source, topic)],
        state=consent.state,
        events=events,
    )


def _privacy_notice(
    source: _Source, reference: str | None, language: str | None
) -> PrivacyNotice | None:
    """The version that the evidence names, in the language of the consent."""
    if reference is None:
        return None
    catalogue = source.catalogue
    try:
        version = catalogue.policy_version(reference.removeprefix(f"{PRIVACY}/"))
    except UnknownPolicyVersion:  # the catalogue has forgotten it
        return None
    shown = language or source.language
    return PrivacyNotice(
        url=catalogue.localize(version.url, shown),
        version=version.version,
        sha256=catalogue.localize(version.sha256, shown),
    )


def _purpose(source: _Source, topic: Topic) -> Purpose:
    catalogue, language = source.catalogue, source.language
    root = services().settings.public_url.rstrip("/")
    brand = catalogue.brands[topic.brand]
    return Purpose(
        purpose=catalogue.localize(topic.purpose or topic.title, language),
        services=[topic.key, catalogue.localize(brand.name, language)],
        lawful_basis=topic.legal_basis or LegalBasis.CONSENT,
        pii_type=[topic.channel.rules.pii_type],
        pii_controllers=[_CONTROLLER],
        recipient_third_parties=[
            _recipient_id(number)
            for number, (_, sends) in enumerate(source.recipients, 1)
            if topic.key in sends
        ],
        withdrawal_method=f"{root}/form",
        privacy_rights=f"{root}/rights",
    )


def _recipient_id(number: int) -> str:
    """Not the name of the destination, which is internal."""
    return f"recipient-{number}"


def _parties(source: _Source) -> list[Party]:
    catalogue, language = source.catalogue, source.language
    parties = []
    if company := catalogue.controller:
        parties.append(
            Party(
                party_id=_CONTROLLER,
                party_role="controller",
                party_name=catalogue.localize(company.name, language),
                party_address=company.address,
                party_email=company.privacy_contact,
                party_url=catalogue.localize(company.privacy_notice, language) or None,
            )
        )
    for number, (recipient, _) in enumerate(source.recipients, 1):
        parties.append(
            Party(
                party_id=_recipient_id(number),
                party_role=recipient.role.value,
                party_name=recipient.company,
                party_address=recipient.country,
                party_email=None,
                party_url=None,
            )
        )
    return parties
