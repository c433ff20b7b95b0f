"""What is asked and answered of suppressions."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BeforeValidator, Field

from preference_center.api.pagination import PageQuery
from preference_center.api.parsing import RequestBody
from preference_center.api.requests import EvidenceBody, RawAddress, ScopeName
from preference_center.api.responses import ResponseBody
from preference_center.domain.addresses import Channel
from preference_center.domain.decisions import DecisionRule
from preference_center.domain.events import EventKind

SuppressionReason = Literal["opted_out", "complained", "bounced", "deactivated", "erased", "paused"]

_TIME_PATTERN = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\S+")


def _require_time_text(text: object) -> object:
    """No number: pydantic would read one as seconds since 1970."""
    if isinstance(text, str) and not _TIME_PATTERN.fullmatch(text):
        raise ValueError("write a time like 2026-11-24T09:30:00+01:00, with + as %2B")
    return text


class SuppressionListQuery(PageQuery):
    """Which suppressions."""

    scope: ScopeName | None = None
    reason: SuppressionReason | None = None
    channel: Channel | None = None
    since: Annotated[
        AwareDatetime | None,
        BeforeValidator(_require_time_text),
        Field(description="Only what began to stand then or later"),
    ] = None


class AddressQuery(RequestBody):
    """Which address."""

    address: RawAddress
    channel: Channel = Channel.EMAIL


class LiftRequest(RequestBody):
    """A person turned something on again, by an act of their own."""

    address: RawAddress
    channel: Channel = Channel.EMAIL
    scope: ScopeName
    evidence: EvidenceBody


class ActiveSuppressionResponse(ResponseBody):
    """One "no" that stands. A pause has its end."""

    scope: str
    reason: SuppressionReason
    since: datetime
    until: datetime | None = None
    event: UUID


class SuppressionResponse(ActiveSuppressionResponse):
    """The same, with the address; left out where only a digest of it is kept."""

    channel: Channel
    address: str | None = None
    source: str


class SuppressionListResponse(ResponseBody):
    """A page, and the cursor of the next if there may be more."""

    suppressions: list[SuppressionResponse]
    next: str | None = None


class AddressSuppression(ActiveSuppressionResponse):
    """The same of one address, less the topics that the person has turned on again since."""

    except_for: list[str] | None = None


class EventResponse(ResponseBody):
    """One event of the ledger. `retracted`: it was taken back, and counts for nothing."""

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
    """What stands against exactly this address, and everything that it ever said.

    `another_form`: a "no" of another form of the same mailbox stands against it, too.
    """

    active_suppressions: list[AddressSuppression]
    other_form_suppressed: bool
    history: list[EventResponse]


class LiftResult(ResponseBody):
    """Whether it was news, and the event if so; whether the scope is on now.

    If not, `rule` holds it off.
    """

    recorded: bool
    event: UUID | None = None
    lifted: bool
    rule: DecisionRule | None = None
