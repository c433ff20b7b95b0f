"""`Provider` is the company's OpenID Connect provider: what it publishes, and our requests to it.

No message and no log line has a token: requests go by `integrations.base.http`, which names
them by method and route.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast
from urllib.parse import quote_plus, urlencode, urlsplit

from authlib.oidc.discovery import get_well_known_url
from flask import current_app
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import BaseModel, ConfigDict

from preference_center.core.errors import PreferenceCenterError
from preference_center.infra.context import services
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.base.http import HttpContext, HttpTimeouts, Response

TIMEOUTS = HttpTimeouts(connect=2.0, read=4.0, total=5.0)
"""Somebody waits for the page meanwhile."""
METADATA_LIFETIME = timedelta(hours=1)
KEYS_INTERVAL = timedelta(minutes=1)
"""How often an unknown key may make us read the keys again: anybody can name one."""
FAILURE_BACKOFF = timedelta(seconds=10)
"""How long nothing is sent after a request without an answer."""
MAX_RESPONSE_BYTES = 1_000_000
EXTENSION_KEY = "preference_center.staff_provider"

_REFUSED = frozenset({400, 401, 403})
_Shape = TypeVar("_Shape")


class ProviderUnavailable(PreferenceCenterError):
    """The provider can't be reached, or answers what no provider does."""


class GrantRefused(PreferenceCenterError):
    """The provider refuses a code or a token: it was used, has expired or was revoked."""


class ProviderMetadata(BaseModel):
    """Its discovery document, as far as we use it (OpenID Connect Discovery 1.0, 3)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    id_token_signing_alg_values_supported: tuple[str, ...] = ("RS256",)
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False
    """Whether its redirects name it (RFC 9207)."""


class _TokenResponse(BaseModel):
    access_token: str
    id_token: str | None = None
    refresh_token: str | None = None
    expires_in: float | None = None


@dataclass(frozen=True, slots=True)
class ProviderTokens:
    """What the token endpoint returned. `expires_at` is of the access token, if it is known."""

    access_token: str = field(repr=False)
    id_token: str | None = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: datetime | None


class Provider:
    """One per process: it keeps what the provider publishes for an hour.

    Every request raises ProviderUnavailable where it has no usable answer in time.
    """

    def __init__(self, issuer: str, client_id: str, client_secret: str) -> None:
        self.issuer, self.client_id = issuer, client_id
        self._client_secret = client_secret
        # It is the process's own configuration, so it may be inside of the company's network.
        self._http = HttpContext(allow_private=True, timeouts=TIMEOUTS)
        self._metadata: tuple[datetime, ProviderMetadata] | None = None
        self._keys: tuple[datetime, KeySet] | None = None
        self._backoff_until: datetime | None = None

    def metadata(self, now: datetime) -> ProviderMetadata:
        """What it publishes about itself."""
        if self._metadata is None or now - self._metadata[0] >= METADATA_LIFETIME:
            url = get_well_known_url(self.issuer, external=True)
            found = _parse(self._send("GET", url, now), ProviderMetadata)
            # Discovery 4.3: a document of another issuer could name its keys for this one's.
            if found.issuer != self.issuer:
                raise ProviderUnavailable(
                    f"the discovery document is of {found.issuer}: CONSOLE_OIDC_ISSUER must be"
                    " exactly that"
                )
            self._check_encryption(found)
            self._metadata = (now, found)
        return self._metadata[1]

    def keys(self, now: datetime, *, renew: bool = False) -> KeySet:
        """The keys that it signs with; `renew` reads them again if that was not just done."""
        lifetime = KEYS_INTERVAL if renew else METADATA_LIFETIME
        if self._keys is None or now - self._keys[0] >= lifetime:
            answer = _parse(self._send("GET", self.metadata(now).jwks_uri, now), dict[str, Any])
            try:
                self._keys = (now, KeySet.import_key_set(cast("Any", answer)))
            except (JoseError, ValueError, KeyError, TypeError) as error:
                raise ProviderUnavailable("its keys can't be read") from error
        return self._keys[1]

    def redeem_code(
        self, code: str, verifier: str, redirect_uri: str, now: datetime
    ) -> ProviderTokens:
        """Exchange a code for tokens. Raises GrantRefused."""
        given = {"code": code, "code_verifier": verifier, "redirect_uri": redirect_uri}
        return self._fetch_tokens({"grant_type": "authorization_code", **given}, now)

    def refresh(self, refresh_token: str, now: datetime) -> ProviderTokens:
        """Exchange a refresh token for new tokens. Raises GrantRefused."""
        given = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return self._fetch_tokens(given, now)

    def fetch_userinfo(self, access_token: str, now: datetime) -> Mapping[str, Any]:
        """What it says of somebody now; empty if it has no such endpoint. Raises GrantRefused."""
        url = self.metadata(now).userinfo_endpoint
        if url is None:
            return {}
        headers = {"Authorization": f"Bearer {access_token}"}
        return _parse(self._send("GET", url, now, headers=headers), dict[str, Any])

    def _fetch_tokens(self, form: Mapping[str, str], now: datetime) -> ProviderTokens:
        metadata = self.metadata(now)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if not self._client_secret:
            form = {**form, "client_id": self.client_id}
        elif "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            # RFC 6749 2.3.1: both are encoded as in a form first.
            pair = f"{quote_plus(self.client_id)}:{quote_plus(self._client_secret)}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            form = {**form, "client_id": self.client_id, "client_secret": self._client_secret}
        body = urlencode(form).encode()
        answer = self._send("POST", metadata.token_endpoint, now, headers=headers, body=body)
        found = _parse(answer, _TokenResponse)
        lifetime = timedelta(seconds=found.expires_in) if found.expires_in else None
        return ProviderTokens(
            found.access_token,
            found.id_token,
            found.refresh_token,
            now + lifetime if lifetime else None,
        )

    def _send(
        self,
        method: str,
        url: str,
        now: datetime,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Response:
        if self._backoff_until is not None and now < self._backoff_until:
            raise ProviderUnavailable("it did not answer just now")
        parts = urlsplit(url)
        route = parts.path or "/"
        try:
            with self._http.session("oidc", f"{parts.scheme}://{parts.netloc}") as session:
                answer = session.send(
                    method,
                    route,
                    raw_path=f"{route}?{parts.query}" if parts.query else route,
                    body=body,
                    headers={"Accept": "application/json", **(headers or {})},
                    allowed_statuses=_REFUSED,
                    max_bytes=MAX_RESPONSE_BYTES,
                )
        except DeliveryError as error:
            self._backoff_until = now + FAILURE_BACKOFF
            raise ProviderUnavailable(str(error)) from error
        self._backoff_until = None
        if answer.status in _REFUSED:
            raise GrantRefused(f"{method} {route}: HTTP {answer.status}")
        return answer

    def _check_encryption(self, found: ProviderMetadata) -> None:
        endpoints = (
            found.authorization_endpoint,
            found.token_endpoint,
            found.jwks_uri,
            found.userinfo_endpoint or found.issuer,
            found.end_session_endpoint or found.issuer,
        )
        scheme = urlsplit(self.issuer).scheme
        if any(urlsplit(url).scheme not in {scheme, "https"} for url in endpoints):
            raise ProviderUnavailable("the discovery document has an endpoint without https")


def find_provider() -> Provider | None:
    """The provider of the settings, if they name one."""
    settings = services().settings
    issuer = settings.console_oidc_issuer
    if issuer is None:
        return None
    found: Provider | None = current_app.extensions.get(EXTENSION_KEY)
    if found is None or (found.issuer, found.client_id) != (
        issuer,
        settings.console_oidc_client_id,
    ):
        secret = settings.console_oidc_client_secret
        found = Provider(issuer, settings.console_oidc_client_id, secret)
        current_app.extensions[EXTENSION_KEY] = found
    return found


def _parse(answer: Response, shape: type[_Shape]) -> _Shape:
    try:
        return answer.parse(shape)
    except DeliveryError as error:
        raise ProviderUnavailable(str(error)) from error
