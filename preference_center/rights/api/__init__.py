"""`/v1` of requests and erasures."""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticKnownError

from preference_center.catalogue.rules.privacy import Law
from preference_center.contacts.bodies import ContactAddressBody, ExternalId
from preference_center.core.addresses import Channel
from preference_center.rights.requests.store import RightsStep, SealedPart
from preference_center.rights.rules.identity import MAX_PROOF_BYTES, Proof, ProofKind
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.new_request import MAX_NAME, MAX_SUBJECTS, MAX_TEXT
from preference_center.rights.rules.requests import (
    AskedFact,
    ExtensionReason,
    Extent,
    IdentityResult,
    RefusalGround,
    RequestKind,
    RequestOutcome,
    RequestState,
    RequestVia,
)
from preference_center.web.api.bodies import LanguageTag, RawAddress, ResponseBody, ShortName
from preference_center.web.api.endpoint import PageQuery
from preference_center.web.api.parsing import (
    PRINTABLE,
    RequestBody,
    constraints,
    validate_printable,
)

RequestText = Annotated[
    str, Field(max_length=MAX_TEXT), AfterValidator(validate_printable), PRINTABLE
]


_EXTENT_ONLY_TO_ERASE: JsonDict = {
    "if": {"properties": {"kind": {"const": RequestKind.ERASE.value}}},
    "then": {"required": ["extent"], "properties": {"extent": {"type": "string"}}},
    "else": {"properties": {"extent": {"type": "null"}}},
}
_ADDRESS_OR_ID_REQUIRED: JsonDict = {
    "anyOf": [
        {"required": ["addresses"], "properties": {"addresses": {"minItems": 1}}},
        {"required": ["external_ids"], "properties": {"external_ids": {"minItems": 1}}},
    ]
}
_AGENT_ONLY_VIA_AGENT: JsonDict = {
    "if": {"required": ["via"], "properties": {"via": {"const": RequestVia.AGENT.value}}},
    "then": {"required": ["agent"], "properties": {"agent": {"type": "object"}}},
    "else": {"properties": {"agent": {"type": "null"}}},
}
_PROOF_ONLY_IF_CONFIRMED: JsonDict = {
    "if": {"properties": {"result": {"const": "confirmed"}}},
    "then": {"required": ["proof"], "properties": {"proof": {"type": "string"}}},
    "else": {"properties": {"proof": {"type": "null"}}},
}


class AgentBody(RequestBody):
    """Somebody who acts for the person; the person is asked before anything but an objection."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    address: RawAddress = Field(description="Email address of the agent")


class RightsRequestBody(RequestBody):
    """A data-subject request that reached the company."""

    model_config = ConfigDict(
        json_schema_extra=constraints(
            _EXTENT_ONLY_TO_ERASE, _ADDRESS_OR_ID_REQUIRED, _AGENT_ONLY_VIA_AGENT
        )
    )

    kind: RequestKind
    extent: Extent | None = Field(default=None, description="Of a request to erase: how far")
    via: RequestVia = RequestVia.API
    addresses: Annotated[list[ContactAddressBody], Field(max_length=MAX_SUBJECTS)] = []  # noqa: RUF012 - frozen
    external_ids: Annotated[list[ExternalId], Field(max_length=MAX_SUBJECTS)] = []  # noqa: RUF012 - frozen
    proof: Proof = Field(
        default=Proof.NOTHING, description="What showed you that it is the person, for all of them"
    )
    identity_asked: bool = Field(
        default=False, description="You asked the person for proof at the same time"
    )
    agent: AgentBody | None = Field(
        default=None, description="With `via` agent: who acts for the person"
    )
    law: Law | None = Field(default=None, description="Where the person said where they live")
    language: LanguageTag | None = None
    brand: ShortName | None = None
    received_at: AwareDatetime | None = None
    text: RequestText = ""


class RightsRequestQuery(PageQuery):
    """Filters of the list of requests."""

    state: RequestState | None = None
    kind: RequestKind | None = None
    due_within_days: Annotated[int, Field(ge=0, le=366)] | None = Field(
        default=None, description="Only requests whose clock runs and that are due by then; 0: late"
    )


class IdentifyRequest(RequestBody):
    """The result of a check of identity. Never send the answers."""

    model_config = ConfigDict(json_schema_extra=constraints(_PROOF_ONLY_IF_CONFIRMED))

    result: IdentityResult
    proof: Proof | None = Field(default=None, description="With `confirmed`: what showed it")
    facts: list[AskedFact] = Field(default=[], description="What was asked about recent dealings")

    @model_validator(mode="after")
    def _require_proof_if_confirmed(self) -> IdentifyRequest:
        if (self.proof is not None) != (self.result is IdentityResult.CONFIRMED):
            raise ValueError("give proof with the result confirmed, and with no other result")
        return self


def _decode_base64(text: object) -> bytes:
    if not isinstance(text, str):
        raise PydanticKnownError("string_type")
    try:
        return a2b_base64(text, strict_mode=True)
    except ValueError:
        raise ValueError("write the file in base64 (RFC 4648, 4) without line breaks") from None


_BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
Base64File = Annotated[
    bytes,
    BeforeValidator(_decode_base64),
    WithJsonSchema({"type": "string", "contentEncoding": "base64", "pattern": _BASE64}),
]


class ProofUpload(RequestBody):
    """A file that proves an agent's authority: PDF, PNG or JPEG, by its first bytes."""

    kind: ProofKind
    content: Base64File = Field(
        description=f"The file, in base64 (RFC 4648, 4); up to {MAX_PROOF_BYTES} bytes"
    )


class ExtendRequest(RequestBody):
    """Why the answer takes longer."""

    reason: ExtensionReason


class RefuseRequest(RequestBody):
    """Why the request is not fulfilled."""

    ground: RefusalGround


class CompleteRequest(RequestBody):
    """How the request was fulfilled."""

    outcome: RequestOutcome = RequestOutcome.FULFILLED


class RightsRequestResponse(ResponseBody):
    """A data-subject request. `due_at` moves on while `stopped_at` is set."""

    request: UUID
    reference: str
    kind: RequestKind
    extent: Extent | None = None
    law: Law | None = None
    via: RequestVia
    language: str
    received_at: datetime
    confirm_by: datetime | None = None
    confirmed_at: datetime | None = None
    due_at: datetime
    stopped_at: datetime | None = None
    extended_to: datetime | None = None
    extension_reason: ExtensionReason | None = None
    level: int
    required_level: int
    state: RequestState
    outcome: RequestOutcome | None = None
    refusal: RefusalGround | None = None
    contact: UUID | None = None
    closed_at: datetime | None = None


class RightsRequestList(ResponseBody):
    """Requests in the order in which they were recorded."""

    requests: list[RightsRequestResponse]
    next: str | None = None


class RightsAddress(ResponseBody):
    """An address that a request names."""

    channel: Channel
    address: str


class RightsStepResponse(ResponseBody):
    """One step of a request."""

    at: datetime
    actor: str
    action: str
    detail: dict[str, Any]
    email_outcome: str
    """What became of the email about it; empty without an email, and before it was tried."""


class RightsRequestDetail(RightsRequestResponse):
    """A request with what it says, whom it names, and its steps."""

    text: str
    addresses: list[RightsAddress]
    external_ids: list[str]
    steps: list[RightsStepResponse]


def request_response(request: RightsRequest) -> RightsRequestResponse:
    """The request as a response, without what it says or whom it names."""
    return RightsRequestResponse.model_validate(_fields(request))


def request_detail(
    request: RightsRequest, part: SealedPart, steps: Sequence[RightsStep]
) -> RightsRequestDetail:
    """The whole request as a response."""
    return RightsRequestDetail(
        **_fields(request),
        text=part.text,
        addresses=[
            RightsAddress(channel=Channel(channel), address=address)
            for channel, address in part.addresses
        ],
        external_ids=list(part.external_ids),
        steps=[RightsStepResponse(**asdict(step)) for step in steps],
    )


def _fields(request: RightsRequest) -> dict[str, Any]:
    names = set(RightsRequestResponse.model_fields) - {"request", "contact"}
    found = {name: getattr(request, name) for name in names}
    return found | {"request": request.id, "contact": request.contact_id}
