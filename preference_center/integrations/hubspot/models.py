"""The fields of HubSpot's responses that are read; others are ignored.

HubSpot's published description promises more than its own pages show: whatever isn't
needed to know whom and what a row is about may be missing or null here.
"""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel

from preference_center.integrations.base.pydantic_types import IsoDatetime, LenientModel


class _HubSpotModel(LenientModel):
    model_config = ConfigDict(alias_generator=to_camel)


class SubscriptionStatus(_HubSpotModel):
    """One address's status for one subscription type."""

    subscriber_id_string: str
    subscription_id: int
    status: str = ""
    set_status_success_reason: str = ""
    timestamp: IsoDatetime = None
    """When it was last changed (UTC)."""


class UnsubscribeAllStatus(_HubSpotModel):
    """One address's status for all of an account, or of a brand."""

    subscriber_id_string: str
    status: str = ""
    timestamp: IsoDatetime = None


class InputError(_HubSpotModel):
    """Why some input was rejected."""

    category: str = ""
    context: Any = None
    """Documented as a map of lists; in one example it is a string."""


class StatusesResponse(_HubSpotModel):
    """Response to a change of statuses, and to a query for those of one address."""

    results: tuple[SubscriptionStatus, ...] = ()
    errors: tuple[InputError, ...] = ()


class UnsubscribeAllResponse(_HubSpotModel):
    """Response to the query whether one address has unsubscribed from all."""

    results: tuple[UnsubscribeAllStatus, ...] = ()


class SubscriberStatuses(_HubSpotModel):
    """One address's statuses, for single types or for all."""

    subscriber_id_string: str
    statuses: tuple[SubscriptionStatus, ...] = ()
    wide_statuses: tuple[UnsubscribeAllStatus, ...] = ()


class SubscribersResponse(_HubSpotModel):
    """Response to the batch calls about whole addresses."""

    results: tuple[SubscriberStatuses, ...] = ()
    errors: tuple[InputError, ...] = ()


class SubscriptionDefinition(_HubSpotModel):
    """One subscription type."""

    id: str
    name: str = ""
    is_active: bool = True


class DefinitionsResponse(_HubSpotModel):
    """Response to the query for subscription types."""

    results: tuple[SubscriptionDefinition, ...] = ()


class AccessTokenInfo(_HubSpotModel):
    """An access token or a service key."""

    scopes: tuple[str, ...] = ()


class ErrorResponse(_HubSpotModel):
    """Why a request was rejected; the message is not read (I12)."""

    category: str = ""


STATUSES_RESPONSE = TypeAdapter(StatusesResponse)
UNSUBSCRIBE_ALL_RESPONSE = TypeAdapter(UnsubscribeAllResponse)
SUBSCRIBERS_RESPONSE = TypeAdapter(SubscribersResponse)
DEFINITIONS_RESPONSE = TypeAdapter(DefinitionsResponse)
ACCESS_TOKEN_INFO = TypeAdapter(AccessTokenInfo)
ERROR_RESPONSE = TypeAdapter(ErrorResponse)
