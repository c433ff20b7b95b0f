"""A browser's choice is recorded, and answered with its cookie.

The site passes the request on from its own origin, so that the cookie is set there, by HTTP:
browsers delete what scripts set after a week (docs/decisions/0077).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from secrets import token_bytes
from uuid import UUID

from flask import Response, request
from werkzeug import Response as BaseResponse
from werkzeug.exceptions import RequestEntityTooLarge

from preference_center.catalogue import CONSENT_COOKIE, Site
from preference_center.cookies.pages.sites import is_foreign, within_rates
from preference_center.cookies.rules.cookie_consent import (
    CONSENT_DURATION,
    BrowserConsent,
    ConsentMethod,
    check_choices,
    parse_consent_cookie,
)
from preference_center.cookies.signal import has_signal
from preference_center.cookies.store.browser_consents import insert_consent
from preference_center.core.errors import InvalidInput
from preference_center.infra.context import read_body, services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.languages import match_language, page_language
from preference_center.web.pages.rendering import catalogue_or_empty

MAX_BODY_BYTES = 4096
_JSON_METHODS = tuple(method for method in ConsentMethod if method is not ConsentMethod.PAGE)


class StaleVersion(Exception):
    """The choice was made about cookies that the site has changed since; nothing is recorded."""


def record_json(site: Site) -> Response:
    """Record a choice sent as JSON by `consent.js`. Raises Unavailable."""
    request.max_content_length = MAX_BODY_BYTES
    if is_foreign(site):
        return _json({"error": "Send this from a page of the site itself."}, 403)
    if not within_rates(site):
        return _json({"error": "Too many choices at once; try again in a minute."}, 429)
    try:
        consent = _read_json(site)
    except RequestEntityTooLarge:
        return _json({"error": f"The body has more than {MAX_BODY_BYTES} bytes."}, 413)
    except StaleVersion:
        error = "The cookies of the site have changed; load its configuration and ask again."
        return _json({"error": error, "version": site.version}, 409)
    except InvalidInput as error:
        return _json({"error": str(error)}, 400)
    store_consent(consent)
    response = _json(consent_json(consent), 201)
    set_consent_cookie(response, site, consent)
    return response


def make_consent(
    site: Site, choices: Mapping[str, object], method: ConsentMethod, *, version: object
) -> BrowserConsent:
    """The choice that this request makes; not stored yet. Raises InvalidInput, StaleVersion."""
    if version != site.version:
        raise StaleVersion
    earlier = parse_consent_cookie(request.cookies.get(CONSENT_COOKIE))
    now = services().now()
    policy = catalogue_or_empty().policy_in_force(now)
    return BrowserConsent(
        id=UUID(bytes=token_bytes(16)),
        site=site.key,
        choices=check_choices(site, choices, method, gpc=has_signal()),
        method=method,
        version=site.version,
        language=page_language(),
        decided_at=now,
        policy_version=policy.reference if policy else None,
        previous=earlier.id if earlier else None,
    )


def store_consent(consent: BrowserConsent) -> None:
    """Append it. Raises Unavailable; then nothing is recorded, and no cookie is to be set (I1)."""
    run_in_transaction(lambda connection: insert_consent(connection, consent))


def set_consent_cookie(response: BaseResponse, site: Site, consent: BrowserConsent) -> None:
    """Let the browser keep the choice; the script reads the cookie, which holds no secret."""
    origin = request.headers.get("Origin", "null")
    used = [origin] if origin in site.origins else site.origins
    response.set_cookie(
        CONSENT_COOKIE,
        str(consent.cookie),
        max_age=int(CONSENT_DURATION.total_seconds()),
        secure=any(each.startswith("https:") for each in used),
        samesite="Lax",
    )


def consent_json(consent: BrowserConsent) -> dict[str, object]:
    """A recorded choice, as the script reads it."""
    return {
        "id": consent.id.hex,
        "site": consent.site,
        "choices": {category.value: on for category, on in consent.choices.items()},
        "method": consent.method.value,
        "version": consent.version,
        "decided_at": consent.decided_at.isoformat(),
        "expires_at": consent.expires_at.isoformat(),
    }


def _read_json(site: Site) -> BrowserConsent:
    try:
        sent = json.loads(read_body())
    except (ValueError, RecursionError):
        raise InvalidInput("the body is no JSON") from None
    if not isinstance(sent, dict) or not isinstance(sent.get("choices"), dict):
        raise InvalidInput('the body needs "choices", "method" and "version"')
    method = sent.get("method")
    if method not in _JSON_METHODS:
        raise InvalidInput(f"method can be {', '.join(_JSON_METHODS)}")
    consent = make_consent(
        site, sent["choices"], ConsentMethod(method), version=sent.get("version")
    )
    language = sent.get("language")
    shown = match_language(language) if isinstance(language, str) else None
    return consent if shown is None else replace(consent, language=shown)


def _json(content: Mapping[str, object], status: int) -> Response:
    return Response(json.dumps(content), status, mimetype="application/json")
