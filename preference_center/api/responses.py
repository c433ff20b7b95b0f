"""Models of responses. A field that does not apply is omitted, never null."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, RootModel

from preference_center.domain.decision_rules import DecisionRule
from preference_center.domain.link_access import OptInMethod
from preference_center.domain.preferences import PreferenceState


class ResponseBody(BaseModel):
    """A JSON object with exactly these fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ErrorDetail(ResponseBody):
    """One error in the request."""

    code: str
    detail: str = Field(
        description="A long text that an earlier error has is given as `as at`, and where that is"
    )
    pointer: str | None = Field(default=None, description="JSON pointer (RFC 6901) into the body")
    parameter: str | None = Field(default=None, description="The parameter of the URL")


class ProblemDocument(ResponseBody):
    """Problem details (RFC 9457)."""

    type: str = Field(json_schema_extra={"format": "uri"})
    title: str
    status: int
    detail: str
    errors: list[ErrorDetail] | None = None
    errors_left_out: int | None = None


class DecisionItem(ResponseBody):
    """Allow or deny, and the rule that decided."""

    allow: bool
    rule: DecisionRule
    scope: str | None = None
    event: UUID | None = None
    since: datetime | None = None
    advisory: str | None = None
    frequency: str | None = None


class SingleDecision(DecisionItem):
    """The decision for `recipient`. It considers everything recorded before `as_of`."""

    as_of: str


class DecisionList(ResponseBody):
    """One decision for each of `recipients`, in their order."""

    as_of: str
    decisions: list[DecisionItem]


class DecisionResponse(RootModel[SingleDecision | DecisionList]):
    """A decision for `recipient`, or decisions for `recipients`."""


class StreamedDecision(DecisionItem):
    """The decision for one row; only an unreadable row has no `recipient`."""

    recipient: str | None = None


class StreamEnd(ResponseBody):
    """The last line if all rows have a decision; all consider what was recorded before `as_of`."""

    end: Literal[True]
    count: int
    as_of: str


class StreamError(ResponseBody):
    """The last line if the remaining rows have no decision."""

    end: Literal[False]
    problem: ProblemDocument


class DecisionStreamLine(RootModel[StreamedDecision | StreamEnd | StreamError]):
    """One line of a streamed response."""

    media_type: ClassVar[str] = "application/x-ndjson"


class RowResult(ResponseBody):
    """Whether the row recorded something new, and the event if so."""

    recorded: bool
    event: UUID | None = None


class ListUnsubscribeHeaders(ResponseBody):
    """The headers of RFC 8058, to be copied into the message unchanged."""

    list_unsubscribe: str = Field(alias="List-Unsubscribe")
    list_unsubscribe_post: Literal["List-Unsubscribe=One-Click"] = Field(
        alias="List-Unsubscribe-Post"
    )


class MessageLinks(ResponseBody):
    """The unsubscribe links and headers of one message."""

    token: str
    unsubscribe_url: str
    preferences_url: str
    headers: ListUnsubscribeHeaders
    short_url: str | None = None


class PortalLink(ResponseBody):
    """A link to the preference page of one person."""

    url: str
    expires_at: datetime


class ScopeSetting(ResponseBody):
    """On, off or paused; with the end of a pause, or with the rule that keeps it off.

    `since`: from when on it has been off, where an event decides it. `advisory`: `policy_changed`
    where there is a consent that no longer counts. `frequency`: how often a topic is sent, where
    the catalogue offers a choice.
    """

    state: PreferenceState
    since: datetime | None = None
    until: datetime | None = None
    rule: DecisionRule | None = None
    advisory: str | None = None
    frequency: str | None = None


class PreferencesResponse(ResponseBody):
    """The preferences of one address."""

    read_at: datetime
    closed: bool
    restricted: bool
    opt_in: Literal[OptInMethod.IMMEDIATE, OptInMethod.UNAVAILABLE] = Field(
        description="Whether this key can turn something on for this person"
    )
    all_marketing: ScopeSetting
    sharing: ScopeSetting = Field(
        description="Sale and sharing of the person's data: on as long as nothing forbids it"
    )
    topics: dict[str, ScopeSetting]
    always_on: list[str] = Field(
        description="The service message types that nobody can turn off; of a closed account"
        " those that remain"
    )
    one_way_systems: list[str] = Field(
        description="The titles of systems that can't turn on again and have no pauses"
    )


class PreferencesUpdateResponse(PreferencesResponse):
    """The preferences after the update, and the events it recorded."""

    events: list[UUID]
