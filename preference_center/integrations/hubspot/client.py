"""HubSpot's communication preferences, by batch calls or one address at a time.

https://developers.hubspot.com/docs/api-reference/2026-03/communication-preferences/guide
https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
A key can be granted the scopes of the batch calls in a Marketing Hub Enterprise account
only. Where HubSpot says that a scope is missing, the call for one address is made instead,
and no batch call any more. Both kinds are of the dated version 2026-03; v4 ends on
30 March 2027, v1 to v3 in September 2027.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from preference_center.integrations.base.contract import DeliveryError, Setup
from preference_center.integrations.hubspot.models import (
    DEFINITIONS,
    KEY,
    REFUSAL,
    SUBSCRIBERS,
    WIDE,
    WRITTEN,
    Definition,
    Status,
    Subscriber,
    Subscribers,
    WideStatus,
    Written,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from preference_center.integrations.base.http import Answer, Http, Session

VERSION = "2026-03"
ROOT = f"/communication-preferences/{VERSION}"
INPUTS_PER_CALL = 100
OFF, ON = "UNSUBSCRIBED", "SUBSCRIBED"
_WINDOW = timedelta(seconds=10)
_USED_UP = timedelta(hours=1)
"""The day's requests are used up; they come back at midnight, by the account's clock."""
_UNASKABLE = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
    }
)


class MissingScope(DeliveryError):
    """HubSpot says that the key lacks the scope of a call."""


def heard(status: int, headers: Mapping[str, str], _: datetime) -> timedelta | None:
    """How long HubSpot wants no more requests; see `pace.Heard`.

    Its 429 names no time, and answers of a search have none of these headers.
    """
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        used_up = headers.get("x-hubspot-ratelimit-daily-remaining") == "0"
        return _USED_UP if used_up else _window(headers)
    if headers.get("x-hubspot-ratelimit-remaining") == "0":
        return _window(headers)
    return None


def _window(headers: Mapping[str, str]) -> timedelta:
    text = headers.get("x-hubspot-ratelimit-interval-milliseconds", "")
    return timedelta(milliseconds=int(text[:7])) if text.isdecimal() else _WINDOW


@contextmanager
def open_portal(setup: Setup, http: Http) -> Iterator[Session]:
    """Requests to a destination's account, for a `with` block."""
    with http.session(
        setup.name,
        setup.settings.get("base_url", "https://api.hubapi.com"),
        headers={"Authorization": f"Bearer {setup.settings['token']}"},
        heard=heard,
    ) as session:
        yield session


def scopes(session: Session, token: str) -> frozenset[str] | None:
    """The scopes of the key; None where HubSpot won't say for keys of its kind."""
    answer = session.send(
        "POST",
        "/oauth/v2/private-apps/get/access-token-info",
        body={"tokenKey": token},
        allow=_UNASKABLE,
    )
    return None if answer.status in _UNASKABLE else frozenset(answer.parse(KEY).scopes)


class Preferences:
    """Statuses of addresses in one account, for one push or page."""

    def __init__(self, session: Session, brand: str | None = None) -> None:
        self._session = session
        self._wide = {"channel": "EMAIL"} | ({"businessUnitId": brand} if brand else {})

    def definitions(self) -> tuple[Sequence[Definition], Mapping[str, str]]:
        """The subscription types, and the headers of the answer."""
        answer = self._send("GET", f"{ROOT}/definitions")
        return answer.parse(DEFINITIONS).results, answer.headers

    def read(self, addresses: Sequence[str]) -> Sequence[Subscriber]:
        """The statuses of at most 100 addresses; who isn't known is left out."""
        body = {"inputs": list(addresses)}
        answer = self._send(
            "POST", f"{ROOT}/statuses/batch/read", query={"channel": "EMAIL"}, body=body
        )
        return answer.parse(SUBSCRIBERS).results

    def read_one(self, address: str) -> Sequence[Status] | None:
        """The statuses of one address; None if it isn't known."""
        answer = self._send(
            "GET",
            f"{ROOT}/statuses/{{address}}",
            holes={"address": address},
            query={"channel": "EMAIL"},
            allow={HTTPStatus.NOT_FOUND},
        )
        return None if answer.status == HTTPStatus.NOT_FOUND else answer.parse(WRITTEN).results

    def read_wide(self, addresses: Sequence[str]) -> list[WideStatus]:
        """Who of at most 100 addresses has left everything."""
        answer = self._send(
            "POST",
            f"{ROOT}/statuses/batch/unsubscribe-all/read",
            query=self._wide,
            body={"inputs": list(addresses)},
        )
        found = answer.parse(SUBSCRIBERS).results
        return [status for each in found for status in each.wide_statuses]

    def read_wide_one(self, address: str) -> Sequence[WideStatus]:
        """Whether one address has left everything."""
        answer = self._send(
            "GET",
            f"{ROOT}/statuses/{{address}}/unsubscribe-all",
            holes={"address": address},
            query=self._wide | {"verbose": "true"},
            allow={HTTPStatus.NOT_FOUND},
        )
        return () if answer.status == HTTPStatus.NOT_FOUND else answer.parse(WIDE).results

    def write(self, changes: Sequence[Mapping[str, Any]]) -> Written:
        """Change at most 100 statuses."""
        body = {"inputs": list(changes)}
        return self._send("POST", f"{ROOT}/statuses/batch/write", body=body).parse(WRITTEN)

    def write_one(self, change: Mapping[str, Any]) -> Written | None:
        """Change one status; None if the address isn't known."""
        body = {k: v for k, v in change.items() if k != "subscriberIdString"}
        answer = self._send(
            "POST",
            f"{ROOT}/statuses/{{address}}",
            holes={"address": change["subscriberIdString"]},
            body=body,
            allow={HTTPStatus.NOT_FOUND},
        )
        return None if answer.status == HTTPStatus.NOT_FOUND else answer.parse(WRITTEN)

    def leave_all(self, addresses: Sequence[str]) -> Subscribers:
        """Set HubSpot's own unsubscribe-all for at most 100 addresses."""
        return self._send(
            "POST",
            f"{ROOT}/statuses/batch/unsubscribe-all",
            query=self._wide | {"verbose": "true"},
            body={"inputs": list(addresses)},
        ).parse(SUBSCRIBERS)

    def leave_all_one(self, address: str) -> Written | None:
        """Set it for one address; None if the address isn't known."""
        answer = self._send(
            "POST",
            f"{ROOT}/statuses/{{address}}/unsubscribe-all",
            holes={"address": address},
            query=self._wide | {"verbose": "true"},
            allow={HTTPStatus.NOT_FOUND},
        )
        return None if answer.status == HTTPStatus.NOT_FOUND else answer.parse(WRITTEN)

    def _send(self, method: str, route: str, **request: Any) -> Answer:
        """Raises MissingScope where HubSpot says so, and else like `Session.send`."""
        allow = {HTTPStatus.FORBIDDEN, *request.pop("allow", ())}
        answer = self._session.send(method, route, allow=allow, **request)
        if answer.status == HTTPStatus.FORBIDDEN:
            raise _refused(f"{method} {route}", answer)
        return answer


def _refused(what: str, answer: Answer) -> DeliveryError:
    try:
        category = answer.parse(REFUSAL).category
    except DeliveryError:
        category = ""
    message = f"{what}: HTTP {answer.status}"
    if category == "MISSING_SCOPES":
        return MissingScope(f"{message}, the key lacks the scope of this call", permanent=True)
    return DeliveryError(f"{message}, credentials or rights refused", permanent=True)
