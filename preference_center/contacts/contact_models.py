"""Request and response models of the contact endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    ConfigDict,
    Field,
    JsonValue,
    model_validator,
)
from pydantic.config import JsonDict

from preference_center.contacts.consent_evidence import EvidenceBody
from preference_center.contacts.rules.contacts import MAX_ADDRESSES, AccountState
from preference_center.core.addresses import Channel
from preference_center.web.api.bodies import LanguageTag, RawAddress, ResponseBody
from preference_center.web.api.parsing import (
    PRINTABLE,
    RequestBody,
    constraints,
    validate_printable,
)

ExternalId = Annotated[
    str,
    Field(min_length=1, max_length=200, json_schema_extra={"format": "external-id"}),
    AfterValidator(validate_printable),
    PRINTABLE,
]

_SELECTORS = ("contact", "external_id", "address")


def _exactly_one(types: Mapping[str, str]) -> JsonDict:
    """A JSON Schema: one of these fields is given, and is of its type."""
    alternatives: list[JsonValue] = [
        {
            "required": [name],
            "properties": {
                name: {"type": of_type},
                **{other: {"type": "null"} for other in types if other != name},
            },
        }
        for name, of_type in types.items()
    ]
    return {"oneOf": alternatives}


_ONE_SELECTOR = _exactly_one(dict.fromkeys(_SELECTORS, "string"))
_ONE_PROOF = _exactly_one({"evidence": "object", "notice_sent_at": "string"})
_ID_OR_ADDRESS_REQUIRED = constraints(
    {
        "anyOf": [
            {"required": ["external_id"], "properties": {"external_id": {"type": "string"}}},
            {"required": ["addresses"], "properties": {"addresses": {"minItems": 1}}},
        ]
    }
)


class ContactAddressBody(RequestBody):
    """An address and its channel."""

    address: RawAddress
    channel: Channel = Channel.EMAIL


class ContactRequest(RequestBody):
    """The data of one person; omitted fields stay unchanged."""

    model_config = ConfigDict(json_schema_extra=_ID_OR_ADDRESS_REQUIRED)

    external_id: ExternalId | None = None
    locale: LanguageTag | None = None
    addresses: Annotated[list[ContactAddressBody], Field(max_length=MAX_ADDRESSES)] = []  # noqa: RUF012 - frozen

    @model_validator(mode="after")
    def _require_id_or_address(self) -> ContactRequest:
        if self.external_id is None and not self.addresses:
            raise ValueError("give external_id, or at least one address")
        return self


class ContactSelector(RequestBody):
    """A contact, selected by exactly one of contact, external_id and address."""

    model_config = ConfigDict(json_schema_extra=constraints(_ONE_SELECTOR))

    contact: UUID | None = None
    external_id: ExternalId | None = None
    address: RawAddress | None = None
    channel: Channel = Channel.EMAIL

    @model_validator(mode="after")
    def _require_one_selector(self) -> ContactSelector:
        if sum(name is not None for name in (self.contact, self.external_id, self.address)) != 1:
            raise ValueError("give exactly one of contact, external_id and address")
        return self


class DeactivateContactRequest(ContactSelector):
    """A contact whose account was closed, and when the company received that."""

    received_at: AwareDatetime | None = None


class ReopenContactRequest(ContactSelector):
    """A contact whose account is reopened, with evidence of the person's own act."""

    evidence: EvidenceBody


class RestrictContactRequest(ContactSelector):
    """A contact who limits the use of their data, and when the company received that."""

    received_at: AwareDatetime | None = None


class UnrestrictContactRequest(ContactSelector):
    """A contact whose restriction ends: by the person's own act, or 7 days after a notice."""

    model_config = ConfigDict(json_schema_extra=constraints(_ONE_SELECTOR, _ONE_PROOF))

    evidence: EvidenceBody | None = None
    notice_sent_at: AwareDatetime | None = None

    @model_validator(mode="after")
    def _require_one_proof(self) -> UnrestrictContactRequest:
        if (self.evidence is None) == (self.notice_sent_at is None):
            raise ValueError("give exactly one of evidence and notice_sent_at")
        return self


class MergeContactsRequest(RequestBody):
    """Two contacts that are one person: `merge` is merged into `into`."""

    merge: ContactSelector
    into: ContactSelector


class ContactWriteResult(ResponseBody):
    """The contact as it is now, and whether the request changed anything."""

    contact: UUID
    account: AccountState
    restricted_at: datetime | None = None
    recorded: bool


class ContactAddressResponse(ResponseBody):
    """One address of a contact."""

    channel: Channel
    address: str


class ContactResponse(ResponseBody):
    """All stored data of a contact."""

    contact: UUID
    account: AccountState
    restricted_at: datetime | None = None
    locale: str | None = None
    external_ids: list[str]
    addresses: list[ContactAddressResponse]
