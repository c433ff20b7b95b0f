"""Record a browser's choice and answer with its cookie; serve the consent script and its settings.

The site passes the request on from its own origin, so that the cookie is set there, by HTTP:
browsers delete what scripts set after a week (docs/decisions/0077).

`/consent/<site>/config.json`: the texts, cookies and looks that `consent.js` shows.

`GET /consent.js`: the script of the consent tool, which the company's sites load from here.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from hmac import compare_digest
from pathlib import Path
from secrets import token_bytes
from typing import Any
from uuid import UUID

from flask import Response, abort, current_app, request
from flask_babel import gettext as _
from werkzeug import Response as BaseResponse
from werkzeug.exceptions import RequestEntityTooLarge

from preference_center.catalogue import CONSENT_COOKIE, DEFAULT_COLOURS, DEFAULT_RADIUS, Brand, Site
from preference_center.cookies.pages import (
    describe_category,
    describe_question,
    gpc_text,
    notice_url,
)
from preference_center.cookies.rules import (
    CONSENT_DURATION,
    CONSENT_MONTHS,
    BrowserConsent,
    ConsentMethod,
    check_choices,
    parse_consent_cookie,
    parse_consent_id,
    parse_ended,
)
from preference_center.cookies.signal import has_signal
from preference_center.cookies.store import StoredConsent, find_consent, insert_consent
from preference_center.core.errors import InvalidInput
from preference_center.infra.context import read_body, services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.web.languages import (
    match_language,
    page_language,
    set_contact_language,
    set_wording,
    text_direction,
)
from preference_center.web.pages.networks import network_of
from preference_center.web.pages.rendering import CatalogueText, catalogue_or_empty

SECRET_HEADER = "X-Consent-Secret"  # noqa: S105 - a name


SENDER_RATE = "3000 per minute"


NETWORK_RATE = "60 per minute"
"""Choices that are recorded: of a site from one sender, and from one visitor's network. How many of
the site at all is in the catalogue.

With a secret the sender is the site's endpoint, which has no limit but that of the site. Without
one anybody can send choices, and the sender is the network that connects. It alone says which
visitors it sends for, so each of them is counted by sender: nobody else can use up their rate.
"""


def find_site(key: str) -> tuple[Site, Brand]:
    """The site and its brand, whose wording the rest of the request has. Responds 404 if unknown.

    Its language is the query's `language`, unless the person has switched.
    """
    catalogue = catalogue_or_empty()
    site = catalogue.sites.get(key) or abort(404)
    brand = catalogue.brands[site.brand]
    set_wording(brand.wording)
    set_contact_language(request.args.get("language"))
    return site, brand


def is_foreign(site: Site) -> bool:
    """Whether a page of somebody else sent this request (RFC 6454, else Fetch Metadata).

    The choice of a browser is not secret, but no other site may make it. Browsers that send
    neither header are old, and are believed.
    """
    origin = request.headers.get("Origin", "null")
    if origin != "null":
        return origin not in site.origins
    return request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}


def is_without_secret(site: Site) -> bool:
    """Whether the site's endpoint has a secret, and this request comes without it."""
    secrets = services().settings.secrets_of_site(site.key)
    sent = request.headers.get(SECRET_HEADER, "").encode()
    return bool(secrets) and not any(compare_digest(sent, each.encode()) for each in secrets)


def within_rates(site: Site) -> bool:
    """Whether one more choice may be recorded; counts it. Its secret has been checked.

    Networks are counted by keyed digests for a minute, and stored nowhere.
    """
    context = services()
    limiter, digest = context.limiter, context.keys.digest
    is_endpoint = bool(context.settings.secrets_of_site(site.key))
    sender = f"the endpoint of {site.key}" if is_endpoint else network_of(request.remote_addr)
    visitor = network_of(request.headers.get("X-Forwarded-For", "").partition(",")[0].strip())
    if visitor is not None:
        key = digest(f"network:{visitor} by {sender}").hex()
        if not limiter.hit(NETWORK_RATE, "consent-from", key):
            return False
    if not is_endpoint:
        key = digest(f"network:{sender}").hex()
        if not limiter.acquire(SENDER_RATE, "consent-by", site.key, key).allowed:
            return False
    rate = f"{site.choices_per_minute} per minute"
    return limiter.acquire(rate, "consent-site", site.key).allowed


MAX_BODY_BYTES = 4096


_JSON_METHODS = tuple(method for method in ConsentMethod if method is not ConsentMethod.PAGE)


class StaleVersion(Exception):
    """The choice was made about cookies that the site has changed since; nothing is recorded."""


def record_json(site: Site) -> Response:
    """Record a choice sent as JSON by `consent.js`. Raises Unavailable."""
    request.max_content_length = MAX_BODY_BYTES
    if is_foreign(site):
        return _json({"error": "Send this from a page of the site itself."}, 403)
    if is_without_secret(site):
        return _json({"error": f"Send {SECRET_HEADER}, the secret of this site's endpoint."}, 403)
    if not within_rates(site):
        return _json({"error": "Too many choices at once; try again in a minute."}, 429)
    try:
        return _answer(site, store_consent(_read_json(site)))
    except RequestEntityTooLarge:
        return _json({"error": f"The body has more than {MAX_BODY_BYTES} bytes."}, 413)
    except StaleVersion:
        error = "The cookies of the site have changed; load its configuration and ask again."
        return _json({"error": error, "version": site.version}, 409)
    except InvalidInput as error:
        return _json({"error": str(error)}, 400)


def _answer(site: Site, stored: StoredConsent) -> Response:
    """Raises InvalidInput."""
    if stored.consent.site != site.key:
        raise InvalidInput("this id is of another site; make a new one")
    if stored.is_superseded:
        return _json({"error": "The same browser has chosen again since."}, 410)
    response = _json(consent_json(stored.consent), 201)
    set_consent_cookie(response, site, stored.consent)
    return response


def make_consent(
    site: Site, choices: Mapping[str, object], method: ConsentMethod, *, version: object
) -> BrowserConsent:
    """The choice that this request makes; not stored yet. Raises InvalidInput, StaleVersion.

    It ends what the cookie has: one choice that was answered, or those that were not.
    """
    if version != site.version:
        raise StaleVersion
    cookie = parse_consent_cookie(request.cookies.get(CONSENT_COOKIE))
    is_answered = cookie is not None and cookie.ended is None
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
        previous=cookie.id if cookie and is_answered else None,
        unanswered=(*(cookie.ended or ()), cookie.id) if cookie and not is_answered else (),
    )


def store_consent(consent: BrowserConsent) -> StoredConsent:
    """Append it, and return what is stored of this id: the same if it was sent before.

    Raises Unavailable; then nothing is recorded, and no cookie is to be set (I1).
    """

    def store(connection: Connection) -> StoredConsent | None:
        insert_consent(connection, consent)
        return find_consent(connection, consent.id)

    stored = run_in_transaction(store)
    assert stored
    return stored


def set_consent_cookie(response: BaseResponse, site: Site, consent: BrowserConsent) -> None:
    """Let the browser keep the choice; the script reads the cookie, which holds no secret.

    What nobody chose is not kept: then the next page asks.
    """
    if consent.method is ConsentMethod.UNSAVED:
        response.delete_cookie(CONSENT_COOKIE)
        return
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
    if "id" in sent:  # made by the script, which sends it again until it is answered
        ended = parse_ended(sent.get("ends", []))
        consent_id = parse_consent_id(sent["id"])
        consent = replace(consent, id=consent_id, previous=None, unanswered=ended)
    language = sent.get("language")
    shown = match_language(language) if isinstance(language, str) else None
    return consent if shown is None else replace(consent, language=shown)


def _json(content: Mapping[str, object], status: int) -> Response:
    return Response(json.dumps(content), status, mimetype="application/json")


CONFIG_MAX_AGE_SECONDS = 300
"""How long pages may show an earlier version of it. Their choice is then refused as stale."""


def site_config(key: str) -> Response:
    """The configuration of a site, the same for everybody, for pages of any origin."""
    site, brand = find_site(key)
    text = CatalogueText(catalogue_or_empty())
    content = {
        "site": site.key,
        "version": site.version,
        "language": page_language(),
        "direction": text_direction(page_language()),
        "months": CONSENT_MONTHS,
        "texts": _texts(site, text),
        "notice_url": notice_url(brand, text),
        "path": site.path,
        "categories": [describe_category(site, category, text) for category in site.categories],
        "brand": _looks(brand),
    }
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    response = Response(body, mimetype="application/json")
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Vary"] = "Accept-Language"
    response.cache_control.public = True
    response.cache_control.max_age = CONFIG_MAX_AGE_SECONDS
    response.set_etag(hashlib.sha256(body).hexdigest()[:32])
    response.make_conditional(request)
    return response


def _texts(site: Site, text: CatalogueText) -> dict[str, str]:
    return {
        "title": _("Cookies on this site"),
        "text": describe_question(site, text),
        "accept": _("Accept all"),
        "refuse": _("Refuse all"),
        "choose": _("Choose"),
        "save": _("Save choice"),
        "close": _("Continue without accepting"),
        "cancel": _("Close"),
        "always_on": _("Always on"),
        "gpc": gpc_text(),
        "more": _("Privacy notice"),
        "details": _("Cookies of this category"),
        "saved": _("Your choice is saved."),
        "not_saved": _(
            "Your choice could not be saved. Nothing optional is used. Please try again later."
        ),
    }


def _looks(brand: Brand) -> dict[str, Any]:
    """The brand's tokens as CSS values; the font is the site's own, which has it already."""
    colours = brand.colours or DEFAULT_COLOURS
    radius = DEFAULT_RADIUS if brand.radius is None else brand.radius
    schemes = {
        name: {"accent": each.accent, "accent_text": each.on_accent}
        for name, each in colours.items()
    }
    return {**schemes["light"], "dark": schemes["dark"], "radius": f"{radius}px"}


SCRIPT_MAX_AGE_SECONDS = 3600
"""How long browsers may use it without asking; then its ETag tells whether it has changed."""


@cache
def _compress(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def consent_script() -> Response:
    """The script, for pages of any origin; also with `crossorigin` and a hash (W3C SRI)."""
    content = (Path(current_app.static_folder or "") / "consent.js").read_bytes()
    response = Response(content, mimetype="text/javascript")
    response.headers["Vary"] = "Accept-Encoding"
    if request.accept_encodings["gzip"]:
        response.set_data(_compress(content))
        response.headers["Content-Encoding"] = "gzip"
    response.set_etag(hashlib.sha256(response.data).hexdigest()[:32])
    response.make_conditional(request)
    response.cache_control.public = True
    response.cache_control.max_age = SCRIPT_MAX_AGE_SECONDS
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
