"""Request and response models of the contact endpoints."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from preference_center.api.parsing import PRINTABLE, RequestBody, validate_printable
from preference_center.api.requests import EvidenceBody, LanguageTag, RawAddress
from preference_center.api.responses import ResponseBody
from preference_center.domain.addresses import Channel
from preference_center.domain.contacts import MAX_ADDRESSES, ContactState

ExternalId = Annotated[
    str,
    Field(min_length=1, max_length=200, json_schema_extra={"format": "external-id"}),
    AfterValidator(validate_printable),
    PRINTABLE,
]

_SELECTORS = ("contact", "external_id", "address")
_EXACTLY_ONE_SELECTOR: JsonDict = {
    "oneOf": [
        {
            "required": [name],
            "properties": {
                name: {"type": "string"},
                **{other: {"type": "null"} for other in _SELECTORS if other != name},
            },
        }
        for name in _SELECTORS
    ]
}
_ID_OR_ADDRESS_REQUIRED: JsonDict = {
    "anyOf": [
        {"required": ["external_id"], "properties": {"external_id": {"type": "string"}}},
        {"required": ["addresses"], "properties": {"addresses": {"minItems": 1}}},
    ]
}


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

    model_config = ConfigDict(json_schema_extra=_EXACTLY_ONE_SELECTOR)

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


class MergeContactsRequest(RequestBody):
    """Two contacts that are one person: `merge` is merged into `into`."""

    merge: ContactSelector
    into: ContactSelector


class ContactWriteResult(ResponseBody):
    """The contact, its state now, and whether the request changed anything."""

    contact: UUID
    state: ContactState
    recorded: bool


class ContactAddressResponse(ResponseBody):
    """One address of a contact."""

    channel: Channel
    address: str


class ContactResponse(ResponseBody):
    """All stored data of a contact."""

    contact: UUID
    state: ContactState
    locale: str | None = None
    external_ids: list[str]
    addresses: list[ContactAddressResponse]
