"""What a consent record holds: its JSON Schema is docs/schemas/consent-records-1.json.

Names of fields are those of ISO/IEC TS 27560:2023, as the guide of the W3C's Data Privacy
Vocabularies and Controls Community Group uses them (https://w3id.org/dpv/guides/consent-27560);
`docs/policies.md` has the list of those that are not filled.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from preference_center.contacts.consent_status import ConsentStatus

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
