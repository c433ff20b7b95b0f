"""Define the bodies of the contact endpoints, select contacts by them, and write their rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from flask import Response
from pydantic import (
    AfterValidator,
    AwareDatetime,
    ConfigDict,
    Field,
    JsonValue,
    model_validator,
)
from pydantic.config import JsonDict

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.contacts import InTransaction, WrittenContact
from preference_center.contacts.rules.contact import (
    MAX_ADDRESSES,
    AccountState,
    Contact,
    ContactRef,
)
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import InvalidInput, InvalidRows
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.ledger.rules import ConsentEvidence, check_policy_shown, clamp_to_now
from preference_center.web.api.bodies import (
    LanguageTag,
    PolicyReference,
    RawAddress,
    ResponseBody,
    ShortText,
    WordingText,
)
from preference_center.web.api.endpoint import ApiCall, json_response
from preference_center.web.api.parsing import (
    PRINTABLE,
    RequestBody,
    RequestRows,
    constraints,
    validate_printable,
)
from preference_center.web.api.problems import FieldErrors


class EvidenceBody(RequestBody):
    """Evidence of a consent."""

    source: ShortText
    wording: WordingText
    language: LanguageTag
    occurred_at: AwareDatetime
    policy: PolicyReference | None = None


class PreferencesQuery(RequestBody):
    """Query the preferences of an address."""

    address: RawAddress
    channel: Channel = Channel.EMAIL
    language: LanguageTag | None = None


class ConsentsQuery(PreferencesQuery):
    """Query the consents of an address."""


def parse_consent_evidence(
    errors: FieldErrors,
    pointer: str,
    body: EvidenceBody,
    now: datetime,
    address: Address | None = None,
) -> ConsentEvidence | None:
    """The evidence of a row; None if it is invalid, with its errors recorded below `pointer`.

    If `address` is given, the evidence must not contain it (I8).
    """
    acted_at = errors.collect(f"{pointer}/occurred_at", clamp_to_now, body.occurred_at, now)
    if acted_at is None:
        return None
    policy = errors.collect(
        f"{pointer}/policy", check_policy_shown, body.policy, current_catalogue_or_empty(), acted_at
    )
    if policy is None:
        return None
    evidence = ConsentEvidence(body.source, body.wording, body.language, acted_at, policy)
    if address and errors.collect(pointer, evidence.to_evidence, address) is None:
        return None
    return evidence


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


def parse_received(call: ApiCall, rows: RequestRows[Any]) -> list[tuple[ContactRef, datetime]]:
    """The contacts, and when the company received each row. Raises InvalidBody."""
    errors = FieldErrors()
    requests = []
    for pointer, row in rows.with_pointers():
        ref = errors.collect(f"{pointer}/address", contact_ref, row)
        received_at = errors.collect(
            f"{pointer}/received_at",
            clamp_to_now,
            row.received_at or call.origin.now,
            call.origin.now,
        )
        if ref and received_at:
            requests.append((ref, received_at))
    errors.raise_if_any()
    return requests


def _restriction_json(contact: Contact) -> dict[str, str]:
    at = contact.restricted_at
    return {} if at is None else {"restricted_at": at.isoformat()}


def write_contacts(
    call: ApiCall,
    rows: RequestRows[Any],
    write: Callable[[InTransaction | None], list[WrittenContact]],
) -> Response:
    """Call `write` and respond; with an Idempotency-Key, store the response in its transaction."""
    idempotent = call.idempotent_request
    stored: list[Response] = []

    def make_response(written: Sequence[WrittenContact]) -> Response:
        results = [
            {
                "contact": str(each.contact.id),
                "account": each.contact.account,
                **_restriction_json(each.contact),
                "recorded": each.is_changed,
            }
            for each in written
        ]
        return json_response(rows.to_json(results))

    def in_transaction(connection: Connection, written: Sequence[WrittenContact]) -> None:
        if idempotent:
            stored[:] = [make_response(written)]
            idempotent.store_response(connection, stored[0])

    written: Sequence[WrittenContact] = ()
    try:
        written = write(in_transaction if idempotent else None)
    except InvalidRows as error:
        _raise_row_errors(rows, error)
    return stored[0] if stored else make_response(written)


def _raise_row_errors(rows: RequestRows[Any], error: InvalidRows) -> None:
    """Raises InvalidBody, with a pointer for every error."""
    pointers = [pointer for pointer, _ in rows.with_pointers()]
    errors = FieldErrors()
    for each in error.errors:
        pointer = pointers[each.row] + (f"/{each.field}" if each.field else "")
        errors.collect(pointer, _raise, each.error)
    errors.raise_if_any()


def _raise(error: InvalidInput) -> None:
    raise error


def contact_ref(selector: ContactSelector) -> ContactRef:
    """The contact that a body selects. Raises InvalidAddress."""
    if selector.address is None:
        return ContactRef(selector.contact, selector.external_id)
    return ContactRef(
        address=parse_address(selector.address, selector.channel, region=phone_region())
    )


def phone_region() -> str:
    """The region of phone numbers that are written without one."""
    return services().settings.phone_region
