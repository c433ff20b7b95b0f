"""Make the records of one address from the ledger and the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from preference_center.catalogue import Catalogue, LegalBasis, Recipient, Topic
from preference_center.catalogue.rules.model import PRIVACY
from preference_center.contacts.consent_records_models import (
    VERSION,
    ConsentEvent,
    ConsentRecord,
    ConsentRecords,
    Party,
    PrivacyNotice,
    Purpose,
)
from preference_center.contacts.consent_status import ConsentStatus, StatedConsent, state_consents
from preference_center.core.addresses import Address, Channel
from preference_center.core.errors import UnknownPolicyVersion
from preference_center.core.events import Event, ScopeFact, format_receipt_code
from preference_center.destinations.store import destinations
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.ledger.store.events import load_events_by_id

SCHEMA_VERSION = f"ISO/IEC TS 27560:2023, consent-records-{VERSION}"
_CONTROLLER = "controller"
_PII_TYPES = {
    Channel.EMAIL: "email address",
    Channel.SMS: "mobile number",
    Channel.PHONE: "phone number",
}


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
        pii_type=[_PII_TYPES[topic.channel]],
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
