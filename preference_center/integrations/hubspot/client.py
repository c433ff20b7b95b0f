"""HubSpot's communication preferences, by batch calls or one address at a time.

https://developers.hubspot.com/docs/api-reference/2026-03/communication-preferences/guide
https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
A key can be granted the scopes of the batch calls in a Marketing Hub Enterprise account
only. Where HubSpot reports that a scope is missing, calls for one address are made instead,
and no more batch calls. Both kinds belong to the dated version 2026-03; v4 ends on
30 March 2027, v1 to v3 in September 2027.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from typing import Any

from preference_center.integrations.base import runtime
from preference_center.integrations.hubspot.models import (
    ErrorResponse,
    StatusesResponse,
    SubscribersResponse,
    SubscriberStatuses,
    SubscriptionDefinition,
    SubscriptionStatus,
    UnsubscribeAllStatus,
)

API_VERSION = "2026-03"
PREFERENCES_PATH = f"/communication-preferences/{API_VERSION}"
INPUTS_PER_CALL = 100
UNSUBSCRIBED, SUBSCRIBED = "UNSUBSCRIBED", "SUBSCRIBED"
_DEFAULT_RATE_WINDOW = timedelta(seconds=10)
_DAILY_LIMIT_WAIT = timedelta(hours=1)
"""The day's quota is used up; it is renewed at midnight in the account's time zone."""
_SCOPES_UNAVAILABLE = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
    }
)


class MissingScopeError(runtime.DeliveryError):
    """HubSpot reports that the key lacks the scope of a call."""


def parse_rate_limit_headers(
    status: int, headers: Mapping[str, str], _: datetime
) -> timedelta | None:
    """How long to send HubSpot no more requests; see `RateLimitHeaders`.

    A 429 names no time, and responses to searches have none of these headers.
    """
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        used_up = headers.get("x-hubspot-ratelimit-daily-remaining") == "0"
        return _DAILY_LIMIT_WAIT if used_up else _rate_window(headers)
    if headers.get("x-hubspot-ratelimit-remaining") == "0":
        return _rate_window(headers)
    return None


def _rate_window(headers: Mapping[str, str]) -> timedelta:
    text = headers.get("x-hubspot-ratelimit-interval-milliseconds", "")
    return timedelta(milliseconds=int(text[:7])) if text.isdecimal() else _DEFAULT_RATE_WINDOW


class HubSpotClient:
    """One account, for one check, push or page."""

    def __init__(self, session: runtime.Session, settings: Mapping[str, str]) -> None:
        self.session = session
        self._token = settings["token"]
        self._channel_query = {"channel": "EMAIL"}
        if business_unit := settings.get("business_unit"):
            self._channel_query["businessUnitId"] = business_unit

    @cached_property
    def scopes(self) -> frozenset[str] | None:
        """The scopes of the key; None if HubSpot does not report them for this kind of key."""
        response = self.session.send(
            "POST",
            "/oauth/v2/private-apps/get/access-token-info",
            body={"tokenKey": self._token},
            allowed_statuses=_SCOPES_UNAVAILABLE,
        )
        if response.status in _SCOPES_UNAVAILABLE:
            return None
        return frozenset(response.parse_member(list[str], "scopes", or_empty=True))

    @property
    def definitions(self) -> Sequence[SubscriptionDefinition]:
        """The subscription types."""
        rows = self._definitions.parse_member(
            list[SubscriptionDefinition], "results", or_empty=True
        )
        return [row for row in rows if row.id.isdigit()]

    @property
    def rate_limit_headers(self) -> Mapping[str, str]:
        """HubSpot's headers about the account's rate limit."""
        return self._definitions.headers

    @cached_property
    def _definitions(self) -> runtime.Response:
        return self._send("GET", f"{PREFERENCES_PATH}/definitions")

    def read_statuses_batch(self, addresses: Sequence[str]) -> Sequence[SubscriberStatuses]:
        """The statuses of at most 100 addresses; unknown addresses are left out."""
        body = {"inputs": list(addresses)}
        response = self._send(
            "POST", f"{PREFERENCES_PATH}/statuses/batch/read", query={"channel": "EMAIL"}, body=body
        )
        return response.parse(SubscribersResponse).results

    def read_statuses(self, address: str) -> Sequence[SubscriptionStatus] | None:
        """The statuses of one address; None if it is unknown."""
        response = self._send(
            "GET",
            f"{PREFERENCES_PATH}/statuses/{{address}}",
            path_params={"address": address},
            query={"channel": "EMAIL"},
            allowed_statuses={HTTPStatus.NOT_FOUND},
        )
        if response.status == HTTPStatus.NOT_FOUND:
            return None
        return response.parse(StatusesResponse).results

    def read_unsubscribe_all_batch(self, addresses: Sequence[str]) -> list[UnsubscribeAllStatus]:
        """Which of at most 100 addresses have unsubscribed from all."""
        response = self._send(
            "POST",
            f"{PREFERENCES_PATH}/statuses/batch/unsubscribe-all/read",
            query=self._channel_query,
            body={"inputs": list(addresses)},
        )
        found = response.parse(SubscribersResponse).results
        return [status for each in found for status in each.wide_statuses]

    def read_unsubscribe_all(self, address: str) -> Sequence[UnsubscribeAllStatus]:
        """Whether one address has unsubscribed from all."""
        response = self._send(
            "GET",
            f"{PREFERENCES_PATH}/statuses/{{address}}/unsubscribe-all",
            path_params={"address": address},
            query=self._channel_query | {"verbose": "true"},
            allowed_statuses={HTTPStatus.NOT_FOUND},
        )
        if response.status == HTTPStatus.NOT_FOUND:
            return ()
        return response.parse_member(list[UnsubscribeAllStatus], "results", or_empty=True)

    def update_statuses_batch(self, changes: Sequence[Mapping[str, Any]]) -> StatusesResponse:
        """Change at most 100 statuses."""
        body = {"inputs": list(changes)}
        return self._send("POST", f"{PREFERENCES_PATH}/statuses/batch/write", body=body).parse(
            StatusesResponse
        )

    def update_status(self, change: Mapping[str, Any]) -> StatusesResponse | None:
        """Change one status; None if the address is unknown."""
        body = {k: v for k, v in change.items() if k != "subscriberIdString"}
        response = self._send(
            "POST",
            f"{PREFERENCES_PATH}/statuses/{{address}}",
            path_params={"address": change["subscriberIdString"]},
            body=body,
            allowed_statuses={HTTPStatus.NOT_FOUND},
        )
        return None if response.status == HTTPStatus.NOT_FOUND else response.parse(StatusesResponse)

    def unsubscribe_all_batch(self, addresses: Sequence[str]) -> SubscribersResponse:
        """Set HubSpot's own unsubscribe-all for at most 100 addresses."""
        return self._send(
            "POST",
            f"{PREFERENCES_PATH}/statuses/batch/unsubscribe-all",
            query=self._channel_query | {"verbose": "true"},
            body={"inputs": list(addresses)},
        ).parse(SubscribersResponse)

    def unsubscribe_all(self, address: str) -> StatusesResponse | None:
        """Set it for one address; None if the address is unknown."""
        response = self._send(
            "POST",
            f"{PREFERENCES_PATH}/statuses/{{address}}/unsubscribe-all",
            path_params={"address": address},
            query=self._channel_query | {"verbose": "true"},
            allowed_statuses={HTTPStatus.NOT_FOUND},
        )
        return None if response.status == HTTPStatus.NOT_FOUND else response.parse(StatusesResponse)

    def _send(self, method: str, route: str, **request: Any) -> runtime.Response:
        """Like `HttpSession.send`, but raises MissingScopeError where a scope is missing."""
        allowed = {HTTPStatus.FORBIDDEN, *request.pop("allowed_statuses", ())}
        response = self.session.send(method, route, allowed_statuses=allowed, **request)
        if response.status == HTTPStatus.FORBIDDEN:
            raise _forbidden_error(f"{method} {route}", response)
        return response


def _forbidden_error(request: str, response: runtime.Response) -> runtime.DeliveryError:
    try:
        category = response.parse(ErrorResponse).category
    except runtime.DeliveryError:
        category = ""
    message = f"{request}: HTTP {response.status}"
    if category == "MISSING_SCOPES":
        return MissingScopeError(f"{message}, the key lacks the scope of this call", permanent=True)
    return runtime.DeliveryError(f"{message}, credentials or rights refused", permanent=True)
