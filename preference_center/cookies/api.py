"""Answer `GET /v1/consent/{id}`: what a browser chose about cookies, for back ends."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from flask import Response

from preference_center.cookies.rules import ConsentMethod, CookieChoiceState
from preference_center.cookies.store import StoredConsent, find_consent
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_autocommit
from preference_center.web.api.bodies import ResponseBody
from preference_center.web.api.endpoint import ApiCall, endpoint, json_response
from preference_center.web.api.keys import KeyScope
from preference_center.web.api.problems import NOT_FOUND, ApiError


class BrowserConsentResponse(ResponseBody):
    """One recorded choice. `previous` is the one of the same browser that it ended."""

    id: str
    site: str
    state: CookieChoiceState
    choices: dict[str, bool]
    method: ConsentMethod
    version: str
    policy_version: str | None = None
    language: str
    decided_at: datetime
    expires_at: datetime
    previous: str | None = None


@endpoint(
    "GET",
    "/consent/<consent_id>",
    KeyScope.READ,
    response=BrowserConsentResponse,
    errors=(NOT_FOUND,),
)
def get_consent(_: ApiCall, consent_id: str) -> Response:
    """Get a browser's choice about cookies.

    The id is the second part of the cookie `pc_consent`. Only while `state` is `in_force` do the
    choices count; `superseded` says that the browser has chosen again. Nothing in it is about a
    person. It is gone 13 months after it ended.
    """
    try:
        wanted = UUID(hex=consent_id)
    except ValueError:
        wanted = None
    found = wanted and run_autocommit(lambda connection: find_consent(connection, wanted))
    if not found:
        raise ApiError(NOT_FOUND, "There is no such choice: send the id of the cookie pc_consent.")
    return json_response(_response(found, services().now()))


def _response(stored: StoredConsent, now: datetime) -> BrowserConsentResponse:
    consent = stored.consent
    return BrowserConsentResponse(
        id=consent.id.hex,
        site=consent.site,
        state=consent.state(is_superseded=stored.is_superseded, now=now),
        choices={category.value: on for category, on in consent.choices.items()},
        method=consent.method,
        version=consent.version,
        policy_version=consent.policy_version,
        language=consent.language,
        decided_at=consent.decided_at,
        expires_at=consent.expires_at,
        previous=consent.previous.hex if consent.previous else None,
    )


ROUTES = (get_consent,)
