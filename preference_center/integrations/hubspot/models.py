"""The fields of HubSpot's responses that are read; others are ignored.

HubSpot's published description promises more than its own pages show: whatever isn't
needed to know whom and what a row is about may be missing or null here.
"""

from __future__ import annotations

from typing import Any

from preference_center.integrations.base import runtime


class SubscriptionStatus(runtime.CamelModel):
    """One address's status for one subscription type."""

    subscriber_id_string: str
    subscription_id: int
    status: str = ""
    set_status_success_reason: str = ""
    timestamp: runtime.IsoDatetime = None
    """When it was last changed (UTC)."""


class UnsubscribeAllStatus(runtime.CamelModel):
    """One address's status for all of an account, or of a brand."""

    subscriber_id_string: str
    status: str = ""
    timestamp: runtime.IsoDatetime = None


class InputError(runtime.CamelModel):
    """Why some input was rejected."""

    category: str = ""
    context: Any = None
    """Documented as a map of lists; in one example it is a string."""


class StatusesResponse(runtime.CamelModel):
    """Response to a change of statuses, and to a query for those of one address."""

    results: tuple[SubscriptionStatus, ...] = ()
    errors: tuple[InputError, ...] = ()


class SubscriberStatuses(runtime.CamelModel):
    """One address's statuses, for single types or for all."""

    subscriber_id_string: str
    statuses: tuple[SubscriptionStatus, ...] = ()
    wide_statuses: tuple[UnsubscribeAllStatus, ...] = ()


class SubscribersResponse(runtime.CamelModel):
    """Response to the batch calls about whole addresses."""

    results: tuple[SubscriberStatuses, ...] = ()
    errors: tuple[InputError, ...] = ()


class SubscriptionDefinition(runtime.CamelModel):
    """One subscription type."""

    id: str
    name: str = ""
    is_active: bool = True


class ErrorResponse(runtime.CamelModel):
    """Why a request was rejected; the message is not read (I12)."""

    category: str = ""
