"""The answers to senders. A field that does not apply is left out, never null."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, RootModel

from preference_center.domain.decisions import DecisionRule
from preference_center.domain.preferences import PreferenceState


class ResponseBody(BaseModel):
    """A JSON object with these fields and no others."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ErrorDetail(ResponseBody):
    """One fault of what was sent."""

    code: str
    detail: str
    pointer: str | None = Field(default=None, description="JSON pointer (RFC 6901) into the body")
    parameter: str | None = Field(default=None, description="The parameter of the URL")


class ProblemDocument(ResponseBody):
    """What went wrong (RFC 9457)."""

    type: str = Field(json_schema_extra={"format": "uri"})
    title: str
    status: int
    detail: str
    errors: list[ErrorDetail] | None = None
    errors_left_out: int | None = None


class DecisionItem(ResponseBody):
    """Allow or deny, and why."""

    allow: bool
    rule: DecisionRule
    scope: str | None = None
    event: UUID | None = None
    since: datetime | None = None
    advisory: str | None = None


class SingleDecision(DecisionItem):
    """The decision for `recipient`, which counts all that was recorded before `as_of`."""

    as_of: str


class DecisionList(ResponseBody):
    """One decision for each of `recipients`, in their order."""

    as_of: str
    decisions: list[DecisionItem]


class DecisionResponse(RootModel[SingleDecision | DecisionList]):
    """A decision for `recipient`, or decisions for `recipients`."""


class StreamedDecision(DecisionItem):
    """The decision for one row; only a row that can't be read has no `recipient`."""

    recipient: str | None = None


class StreamEnd(ResponseBody):
    """The last line, once all rows are answered: they count what was recorded before `as_of`."""

    end: Literal[True]
    count: int
    as_of: str


class StreamError(ResponseBody):
    """The last line, if the rows after it are not answered."""

    end: Literal[False]
    problem: ProblemDocument


class DecisionStreamLine(RootModel[StreamedDecision | StreamEnd | StreamError]):
    """One line of a streamed answer."""

    media_type: ClassVar[str] = "application/x-ndjson"


class RowResult(ResponseBody):
    """Whether it was news, and the event if so."""

    recorded: bool
    event: UUID | None = None


class ListUnsubscribeHeaders(ResponseBody):
    """The headers of RFC 8058, to be set as they are."""

    list_unsubscribe: str = Field(alias="List-Unsubscribe")
    list_unsubscribe_post: Literal["List-Unsubscribe=One-Click"] = Field(
        alias="List-Unsubscribe-Post"
    )


class MessageLinks(ResponseBody):
    """What a message needs for people to leave."""

    token: str
    unsubscribe_url: str
    preferences_url: str
    headers: ListUnsubscribeHeaders


class PortalLink(ResponseBody):
    """A way to the page of one person."""

    url: str
    expires_at: datetime


class ScopeSetting(ResponseBody):
    """On, off or paused; a pause has its end, what is off the rule that holds it off."""

    state: PreferenceState
    until: datetime | None = None
    rule: DecisionRule | None = None


class PreferencesResponse(ResponseBody):
    """What one address receives."""

    read_at: datetime
    closed: bool
    all_marketing: ScopeSetting
    topics: dict[str, ScopeSetting]


class PreferencesUpdateResponse(PreferencesResponse):
    """What it receives now, and the events that the change made."""

    events: list[UUID]
