"""Request and response models of the suppression endpoints."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BeforeValidator, Field

from preference_center.contacts.bodies import EvidenceBody
from preference_center.core.addresses import Channel
from preference_center.core.events import EventKind
from preference_center.decisions.rules import DecisionRule
from preference_center.web.api.bodies import RawAddress, ResponseBody, ScopeName
from preference_center.web.api.endpoint import PageQuery
from preference_center.web.api.parsing import RequestBody

SuppressionReason = Literal[
    "opted_out",
    "complained",
    "bounced",
    "deactivated",
    "erased",
    "restricted",
    "moved",
    "paused",
]

_TIME_PATTERN = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\S+")


def _require_time_text(text: object) -> object:
    """Reject a number, which pydantic would parse as seconds since 1970."""
    if isinstance(text, str) and not _TIME_PATTERN.fullmatch(text):
        raise ValueError("not a valid time; use e.g. 2026-11-24T09:30:00+01:00, with + as %2B")
    return text


class SuppressionListQuery(PageQuery):
    """Filters of the list of suppressions."""

    scope: ScopeName | None = None
    reason: SuppressionReason | None = None
    channel: Channel | None = None
    since: Annotated[
        AwareDatetime | None,
        BeforeValidator(_require_time_text),
        Field(description="Only those that became active at or after this time"),
    ] = None


class AddressQuery(RequestBody):
    """Query one address."""

    address: RawAddress
    channel: Channel = Channel.EMAIL


class LiftRequest(RequestBody):
    """A person opted in again, by an act of their own."""

    address: RawAddress
    channel: Channel = Channel.EMAIL
    scope: ScopeName
    evidence: EvidenceBody


class ActiveSuppressionResponse(ResponseBody):
    """One active suppression. `until` is the end of a pause."""

    scope: str
    reason: SuppressionReason
    since: datetime
    until: datetime | None = None
    event: UUID


class SuppressionResponse(ActiveSuppressionResponse):
    """The same with its address, which is omitted where only a digest of it is stored."""

    channel: Channel
    address: str | None = None
    source: str


class SuppressionListResponse(ResponseBody):
    """A page of suppressions, and the cursor of the next page if there may be more."""

    suppressions: list[SuppressionResponse]
    next: str | None = None


class AddressSuppression(ActiveSuppressionResponse):
    """The same for one address, except for topics that the person has turned on again since."""

    exempt_topics: list[str] | None = None


class EventResponse(ResponseBody):
    """One event of the ledger. If `retracted`, no decision considers it."""

    event: UUID
    kind: EventKind
    scope: str
    occurred_at: datetime
    received_at: datetime
    recorded_at: datetime
    until: datetime | None = None
    source: str
    actor: str
    evidence: dict[str, str]
    retracted: bool
    retracts: list[UUID] | None = None


class AddressHistory(ResponseBody):
    """The active suppressions of exactly this address, and all its events.

    `other_form_suppressed`: a suppression of another form of the same mailbox also applies.
    """

    active_suppressions: list[AddressSuppression]
    other_form_suppressed: bool
    history: list[EventResponse]


class LiftResult(ResponseBody):
    """Whether an event was recorded, and which; whether the scope is on now.

    If it is not, `rule` keeps it off.
    """

    recorded: bool
    event: UUID | None = None
    lifted: bool
    rule: DecisionRule | None = None
