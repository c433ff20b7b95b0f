"""What HubSpot answers, as far as we read it; unknown fields are left alone.

Its published description promises more than it keeps by its own pages: whatever isn't
needed to know whom and what a row is about may be missing or null here.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel

from workers.connectors.fields import Moment


class _Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class Status(_Camel):
    """One address's status for one subscription type."""

    subscriber_id_string: str
    subscription_id: int
    status: str | None = None
    set_status_success_reason: str | None = None
    timestamp: Moment = None
    """When it was last changed (UTC)."""


class WideStatus(_Camel):
    """One address's status for all of an account, or of a brand."""

    subscriber_id_string: str
    status: str | None = None
    timestamp: Moment = None


class Fault(_Camel):
    """Why some input was not taken."""

    category: str | None = None
    context: Any = None
    """Documented as a map of lists; once shown as a text."""


class _Rows(_Camel):
    faults: list[Fault] | None = Field(default=None, alias="errors")

    @property
    def errors(self) -> list[Fault]:
        """Why some inputs were not taken."""
        return self.faults or []


class Written(_Rows):
    """Answer to a change of statuses, and to a look at those of one address."""

    rows: list[Status] | None = Field(default=None, alias="results")

    @property
    def results(self) -> list[Status]:
        """The statuses as they are now."""
        return self.rows or []


class WideStatuses(_Rows):
    """Answer to a look at whether one address has left everything."""

    rows: list[WideStatus] | None = Field(default=None, alias="results")

    @property
    def results(self) -> list[WideStatus]:
        """Its statuses; none if it has left nothing."""
        return self.rows or []


class Subscriber(_Camel):
    """One address's statuses, for single types or for everything."""

    subscriber_id_string: str
    rows: list[Status] | None = Field(default=None, alias="statuses")
    wide_statuses: list[WideStatus] | None = None

    @property
    def statuses(self) -> list[Status]:
        """Those for single types."""
        return self.rows or []


class Subscribers(_Rows):
    """Answer to the batch calls about whole addresses."""

    rows: list[Subscriber] | None = Field(default=None, alias="results")

    @property
    def results(self) -> list[Subscriber]:
        """The addresses that were taken."""
        return self.rows or []


class Definition(_Camel):
    """One subscription type."""

    id: str
    name: str | None = None
    is_active: bool | None = True


class Definitions(_Camel):
    """Answer to definitions."""

    results: list[Definition]


class Key(_Camel):
    """What HubSpot says of an access token or a service key."""

    scopes: list[str]


class Refusal(_Camel):
    """Why a request was refused; the message is not read (I12)."""

    category: str | None = None


WRITTEN = TypeAdapter(Written)
WIDE = TypeAdapter(WideStatuses)
SUBSCRIBERS = TypeAdapter(Subscribers)
DEFINITIONS = TypeAdapter(Definitions)
KEY = TypeAdapter(Key)
REFUSAL = TypeAdapter(Refusal)
