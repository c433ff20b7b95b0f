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
from contextlib import contextmanager
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from preference_center.integrations.base.contract import DeliveryError, DestinationConfig
from preference_center.integrations.hubspot.models import (
    ACCESS_TOKEN_INFO,
    DEFINITIONS_RESPONSE,
    ERROR_RESPONSE,
    STATUSES_RESPONSE,
    SUBSCRIBERS_RESPONSE,
    UNSUBSCRIBE_ALL_RESPONSE,
    StatusesResponse,
    SubscribersResponse,
    SubscriberStatuses,
    SubscriptionDefinition,
    SubscriptionStatus,
    UnsubscribeAllStatus,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from preference_center.integrations.base.http import HttpContext, HttpSession, Response

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


class MissingScopeError(DeliveryError):
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


@contextmanager
def open_session(config: DestinationConfig, http: HttpContext) -> Iterator[HttpSession]:
    """A session with a destination's account, for a `with` block."""
    with http.session(
        config.name,
        config.settings.get("base_url", "https://api.hubapi.com"),
        headers={"Authorization": f"Bearer {config.settings['token']}"},
        rate_limit_headers=parse_rate_limit_headers,
    ) as session:
        yield session


def find_scopes(session: HttpSession, token: str) -> frozenset[str] | None:
    """The scopes of the key; None if HubSpot does not report them for this kind of key."""
    response = session.send(
        "POST",
        "/oauth/v2/private-apps/get/access-token-info",
        body={"tokenKey": token},
        allowed_statuses=_SCOPES_UNAVAILABLE,
    )
    return (
        None
        if response.status in _SCOPES_UNAVAILABLE
        else frozenset(response.parse(ACCESS_TOKEN_INFO).scopes)
    )


class HubSpotPreferencesClient:
    """The statuses of addresses in one account, for one push or page."""

    def __init__(self, session: HttpSession, business_unit: str | None = None) -> None:
        self._session = session
        self._channel_query = {"channel": "EMAIL"} | (
            {"businessUnitId": business_unit} if business_unit else {}
        )

    def list_definitions(self) -> tuple[Sequence[SubscriptionDefinition], Mapping[str, str]]:
        """The subscription types, and the headers of the response."""
        response = self._send("GET", f"{PREFERENCES_PATH}/definitions")
        return response.parse(DEFINITIONS_RESPONSE).results, response.headers

    def read_statuses_batch(self, addresses: Sequence[str]) -> Sequence[SubscriberStatuses]:
        """The statuses of at most 100 addresses; unknown addresses are left out."""
        body = {"inputs": list(addresses)}
        response = self._send(
            "POST", f"{PREFERENCES_PATH}/statuses/batch/read", query={"channel": "EMAIL"}, body=body
        )
        return response.parse(SUBSCRIBERS_RESPONSE).results

    def read_statuses(self, address: str) -> Sequence[SubscriptionStatus] | None:
        """The statuses of one address; None if it is unknown."""
        response = self._send(
            "GET",
            f"{PREFERENCES_PATH}/statuses/{{address}}",
            path_params={"address": address},
            query={"channel": "EMAIL"},
            allowed_statuses={HTTPStatus.NOT_FOUND},
        )
        return (
            None
            if response.status == HTTPStatus.NOT_FOUND
            else response.parse(STATUSES_RESPONSE).results
        )

    def read_unsubscribe_all_batch(self, addresses: Sequence[str]) -> list[UnsubscribeAllStatus]:
        """Which of at most 100 addresses have unsubscribed from all."""
        response = self._send(
            "POST",
            f"{PREFERENCES_PATH}/statuses/batch/unsubscribe-all/read",
            query=self._channel_query,
            body={"inputs": list(addresses)},
        )
        found = response.parse(SUBSCRIBERS_RESPONSE).results
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
        return (
            ()
            if response.status == HTTPStatus.NOT_FOUND
            else response.parse(UNSUBSCRIBE_ALL_RESPONSE).results
        )

    def update_statuses_batch(self, changes: Sequence[Mapping[str, Any]]) -> StatusesResponse:
        """Change at most 100 statuses."""
        body = {"inputs": list(changes)}
        return self._send("POST", f"{PREFERENCES_PATH}/statuses/batch/write", body=body).parse(
            STATUSES_RESPONSE
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
        return (
            None if response.status == HTTPStatus.NOT_FOUND else response.parse(STATUSES_RESPONSE)
        )

    def unsubscribe_all_batch(self, addresses: Sequence[str]) -> SubscribersResponse:
        """Set HubSpot's own unsubscribe-all for at most 100 addresses."""
        return self._send(
            "POST",
            f"{PREFERENCES_PATH}/statuses/batch/unsubscribe-all",
            query=self._channel_query | {"verbose": "true"},
            body={"inputs": list(addresses)},
        ).parse(SUBSCRIBERS_RESPONSE)

    def unsubscribe_all(self, address: str) -> StatusesResponse | None:
        """Set it for one address; None if the address is unknown."""
        response = self._send(
            "POST",
            f"{PREFERENCES_PATH}/statuses/{{address}}/unsubscribe-all",
            path_params={"address": address},
            query=self._channel_query | {"verbose": "true"},
            allowed_statuses={HTTPStatus.NOT_FOUND},
        )
        return (
            None if response.status == HTTPStatus.NOT_FOUND else response.parse(STATUSES_RESPONSE)
        )

    def _send(self, method: str, route: str, **request: Any) -> Response:
        """Like `HttpSession.send`, but raises MissingScopeError where a scope is missing."""
        allowed = {HTTPStatus.FORBIDDEN, *request.pop("allowed_statuses", ())}
        response = self._session.send(method, route, allowed_statuses=allowed, **request)
        if response.status == HTTPStatus.FORBIDDEN:
            raise _forbidden_error(f"{method} {route}", response)
        return response


def _forbidden_error(request: str, response: Response) -> DeliveryError:
    try:
        category = response.parse(ERROR_RESPONSE).category
    except DeliveryError:
        category = ""
    message = f"{request}: HTTP {response.status}"
    if category == "MISSING_SCOPES":
        return MissingScopeError(f"{message}, the key lacks the scope of this call", permanent=True)
    return DeliveryError(f"{message}, credentials or rights refused", permanent=True)
