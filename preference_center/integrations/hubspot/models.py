"""What HubSpot answers, as far as we read it; unknown fields are left alone.

Its published description promises more than it keeps by its own pages: whatever isn't
needed to know whom and what a row is about may be missing or null here.
"""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel

from preference_center.integrations.base.pydantic_types import Lenient, Moment


class _Camel(Lenient):
    model_config = ConfigDict(alias_generator=to_camel)


class Status(_Camel):
    """One address's status for one subscription type."""

    subscriber_id_string: str
    subscription_id: int
    status: str = ""
    set_status_success_reason: str = ""
    timestamp: Moment = None
    """When it was last changed (UTC)."""


class WideStatus(_Camel):
    """One address's status for all of an account, or of a brand."""

    subscriber_id_string: str
    status: str = ""
    timestamp: Moment = None


class Fault(_Camel):
    """Why some input was not taken."""

    category: str = ""
    context: Any = None
    """Documented as a map of lists; once shown as a text."""


class Written(_Camel):
    """Answer to a change of statuses, and to a query for those of one address."""

    results: tuple[Status, ...] = ()
    errors: tuple[Fault, ...] = ()


class WideStatuses(_Camel):
    """Answer to the question whether one address has left everything."""

    results: tuple[WideStatus, ...] = ()


class Subscriber(_Camel):
    """One address's statuses, for single types or for everything."""

    subscriber_id_string: str
    statuses: tuple[Status, ...] = ()
    wide_statuses: tuple[WideStatus, ...] = ()


class Subscribers(_Camel):
    """Answer to the batch calls about whole addresses."""

    results: tuple[Subscriber, ...] = ()
    errors: tuple[Fault, ...] = ()


class Definition(_Camel):
    """One subscription type."""

    id: str
    name: str = ""
    is_active: bool = True


class Definitions(_Camel):
    """Answer to definitions."""

    results: tuple[Definition, ...] = ()


class Key(_Camel):
    """What HubSpot says of an access token or a service key."""

    scopes: tuple[str, ...] = ()


class Refusal(_Camel):
    """Why a request was refused; the message is not read (I12)."""

    category: str = ""


WRITTEN = TypeAdapter(Written)
WIDE = TypeAdapter(WideStatuses)
SUBSCRIBERS = TypeAdapter(Subscribers)
DEFINITIONS = TypeAdapter(Definitions)
KEY = TypeAdapter(Key)
REFUSAL = TypeAdapter(Refusal)
