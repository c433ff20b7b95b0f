"""Vendors' webhooks share these functions, which parse bodies and verify signatures.

The signatures are those that several vendors use: hexadecimal HMAC, timestamps, Standard Webhooks.
`SharedSecretWebhook` verifies vendors that sign nothing, by a shared secret and the client's
address. The address is as reliable as the proxies in front (`TRUSTED_PROXIES`); it is compared, and
neither stored nor logged.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import parsedate_to_datetime
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from standardwebhooks.webhooks import Webhook as Signer

from preference_center.core.errors import InvalidInput
from preference_center.integrations.base.vendor_events import (
    NotConfigured,
    SignatureError,
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
    WebhookSource,
)

_JSON_ESCAPE = b"\\u"


_INVALID_BODY = "the body is not what the vendor promises"


_STATUS_CODE = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")


_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


_EVENT_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.:/ -]{0,59}")


def parse_json_objects(body: bytes) -> list[JsonObject]:
    """A JSON array of objects, or a single one. Raises InvalidInput, quoting nothing."""
    try:
        found = json.loads(body)
        if _JSON_ESCAPE in body:
            found = _replace_unstorable(found)
    except (ValueError, RecursionError):
        raise InvalidInput(_INVALID_BODY) from None
    rows = found if isinstance(found, list) else [found]
    if not all(isinstance(row, dict) for row in rows):
        raise InvalidInput(_INVALID_BODY)
    return [JsonObject(row) for row in rows]


def parse_form_fields(body: bytes) -> list[tuple[str, str]]:
    """The fields of a URL-encoded form in their order, empty ones too.

    Escaped bytes that are not UTF-8 are replaced. Raises InvalidInput, quoting nothing.
    """
    try:
        return parse_qsl(body.decode(), keep_blank_values=True)
    except ValueError:
        raise InvalidInput(_INVALID_BODY) from None


def _replace_unstorable(value: Any) -> Any:
    """The same with SUBSTITUTE for what PostgreSQL can't store: NUL, and lone surrogates.

    SUBSTITUTE is part of no address, so an address that held them does not become another's.
    """
    match value:
        case str():
            return _UNSTORABLE.sub("\x1a", value)
        case list():
            return [_replace_unstorable(each) for each in value]
        case dict():
            return {
                _replace_unstorable(name): _replace_unstorable(each) for name, each in value.items()
            }
    return value


class JsonObject(dict[str, Any]):
    """An object of a vendor's JSON. What is missing, or of another type, reads as if empty."""

    def text(self, *path: str) -> str:
        """A field, of the object that the names before lead to, as text; "" for null."""
        *names, name = path
        value = self.nested(*names).get(name)
        return "" if value is None else str(value)

    def nested(self, *path: str) -> JsonObject:
        """The object within objects that the names lead to."""
        found: Any = self
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return JsonObject(found) if isinstance(found, dict) else JsonObject()

    def array(self, *path: str) -> list[Any]:
        """A field that is a list."""
        *names, name = path
        value = self.nested(*names).get(name)
        return value if isinstance(value, list) else []

    def rows(self, *path: str) -> list[JsonObject]:
        """The objects in a field that is a list."""
        return [JsonObject(each) for each in self.array(*path) if isinstance(each, dict)]

    def require_rows(self, name: str) -> list[JsonObject]:
        """The same of a field that is always there. Raises InvalidInput, quoting nothing."""
        if name not in self or not all(isinstance(each, dict) for each in self.array(name)):
            raise InvalidInput(_INVALID_BODY)
        return self.rows(name)

    def epoch(self, name: str, *, per_second: int = 1) -> datetime | None:
        """A field that is a time, by `parse_epoch`."""
        return parse_epoch(self.get(name), per_second=per_second)

    def iso_time(self, name: str, *, zone: tzinfo | None = None) -> datetime | None:
        """A field that is a time, by `parse_iso_time`."""
        return parse_iso_time(self.get(name), zone=zone)


def parse_epoch(value: object, *, per_second: int = 1) -> datetime | None:
    """A number of seconds (or `per_second` parts of them) since 1970; None for nonsense."""
    try:
        return datetime.fromtimestamp(float(str(value)) / per_second, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def parse_iso_time(value: object, *, zone: tzinfo | None = None) -> datetime | None:
    """A time of ISO 8601; None for nonsense, and for one that names no zone.

    `zone`: the one that the vendor documents for times without. A time whose zone is only
    assumed may be half a day off (I5).
    """
    try:
        found = datetime.fromisoformat(str(value))
        if found.tzinfo is None:
            return None if zone is None else found.replace(tzinfo=zone).astimezone(UTC)
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def parse_mail_date(value: object) -> datetime | None:
    """A time as mail and HTTP write it (RFC 5322 3.3, RFC 9110 5.6.7), in UTC; None for nonsense.

    One without a zone, or of the unknown zone `-0000`, is taken for UTC.
    """
    try:
        found = parsedate_to_datetime(str(value))
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def find_status_code(reply: str) -> str:
    """The enhanced status code (RFC 3463) in a server's reply; "" if there is none."""
    found = _STATUS_CODE.search(reply)
    return found[1] if found else ""


def find_reply_code(reply: str) -> str:
    """The SMTP reply code that a server's reply begins with, also after `smtp;`; "" if none."""
    code = reply.removeprefix("smtp;").strip()[:3]
    return code if code.isdigit() and len(code) == len("550") else ""


def decode_base64(content: bytes) -> bytes:
    """What is encoded so in a body. Raises InvalidInput, quoting nothing."""
    try:
        return base64.b64decode(content)
    except ValueError:
        raise InvalidInput(_INVALID_BODY) from None


def is_complaint(feedback_type: str) -> bool:
    """Whether a feedback report of this type (RFC 5965, 6591) is about mail nobody wanted.

    "" is one without a type.
    """
    return feedback_type.casefold() not in {"not-spam", "auth-failure", "virus"}


def unknown_event(event_type: str) -> VendorEvent:
    """An event of a type that the vendor's module doesn't know.

    Text that doesn't look like the name of a type is not kept: it might be personal (I12).
    """
    return VendorEvent(
        VendorEventKind.UNKNOWN_TYPE,
        "",
        event_type if _EVENT_TYPE.fullmatch(event_type) else "(no name)",
    )


def require_recipient(events: Iterable[VendorEvent]) -> list[VendorEvent]:
    """The events that name a recipient; an opt-out without one becomes an UNKNOWN_TYPE."""
    found = []
    for event in events:
        if event.address or event.contact_id or event.kind is VendorEventKind.UNKNOWN_TYPE:
            found.append(event)
        elif event.kind not in {VendorEventKind.CONTACT_CHANGED, VendorEventKind.RESUBSCRIBED}:
            found.append(unknown_event(f"{event.kind} without address"))
    return found


def read_events(
    rows: Iterable[JsonObject], read: Callable[[JsonObject], VendorEvent | None]
) -> list[VendorEvent]:
    """What `read` makes of each row, by `require_recipient`."""
    return require_recipient(filter(None, map(read, rows)))


def require_setting(settings: Mapping[str, str], name: str) -> str:
    """A setting without which nothing can be verified. Raises NotConfigured."""
    found = settings.get(name)
    if not found:
        raise NotConfigured(f"the setting {name} is missing: without it no webhook can be verified")
    return str(found)


def constant_time_equal(first: str, second: str) -> bool:
    """Whether two texts are equal, in constant time."""
    return hmac.compare_digest(first.encode(), second.encode())


DEFAULT_MAX_AGE = timedelta(minutes=5)
"""How far a request's time may be from ours, where each attempt has a signature of its own."""


_MIN_SECRET_BYTES = 16
"""Bytes of a secret: those that Svix shows, https://docs.svix.com, have but 18."""


def verify_hmac(secret: str, message: bytes, signature: str, algorithm: str = "sha256") -> None:
    """Raise SignatureError unless `signature` is the HMAC of `message`, in hexadecimal."""
    if not constant_time_equal(signature, hmac.digest(secret.encode(), message, algorithm).hex()):
        raise SignatureError("the signature does not match")


def verify_timestamp(
    timestamp: datetime | None, now: datetime, max_age: timedelta = DEFAULT_MAX_AGE
) -> None:
    """Raise SignatureError unless `timestamp` is within `max_age` of `now`, before or after."""
    if timestamp is None or abs(now - timestamp) > max_age:
        raise SignatureError("the request is too old")


def verify_standard_webhook(
    request: WebhookRequest, secrets: str, now: datetime, header_prefix: str = "webhook"
) -> None:
    """Raise SignatureError unless `request` is genuine and fresh by Standard Webhooks 1.0.0.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    `secrets` are one or more, with spaces between; `v1` signatures (HMAC-SHA256) count.
    Raises NotConfigured for an invalid secret. The library's own verifier reads the clock.
    """
    signers = _parse_signers(secrets)
    number, stamp = (
        request.require_header(f"{header_prefix}-id"),
        request.require_header(f"{header_prefix}-timestamp"),
    )
    given = request.require_header(f"{header_prefix}-signature").split(" ")
    at = parse_epoch(stamp) if stamp.isascii() and stamp.isdigit() else None
    verify_timestamp(at, now)
    assert at is not None
    try:
        signatures = [signer.sign(number, at, request.body.decode()) for signer in signers]
    except UnicodeDecodeError:
        raise SignatureError("the signature does not match") from None
    if not any([constant_time_equal(one, other) for one in signatures for other in given]):  # noqa: C419 - all
        raise SignatureError("the signature does not match")


def is_standard_secret(text: str, min_bytes: int = 24) -> bool:
    """Whether it is whsec_ and `min_bytes` to 64 bytes in base64; the standard requires 24."""
    prefix, _, encoded = text.partition("_")
    try:
        length = len(base64.b64decode(encoded, validate=True))
    except ValueError:
        return False
    return prefix == "whsec" and min_bytes <= length <= 64  # noqa: PLR2004 - the standard's


def _parse_signers(secrets: str) -> list[Signer]:
    found = secrets.split()
    if not found or not all(
        is_standard_secret(each, min_bytes=_MIN_SECRET_BYTES) for each in found
    ):
        # The library accepts any text as a secret.
        raise NotConfigured("the secret must be whsec_ and 24 to 64 bytes in base64")
    return [Signer(secret) for secret in found]


SECRET_SETTING = "webhook_secret"


USER_SETTING = "webhook_user"


PASSWORD_SETTING = "webhook_password"


TOKEN_SETTING = "webhook_token"


NETWORKS_SETTING = "networks"


ANY_NETWORK = "any"


SHARED_SECRET_SETTINGS: Mapping[str, str] = {
    f"{SECRET_SETTING}?": "16 or more of A-Z, a-z, 0-9, - and _, at random; the webhook's URL is "
    "/in/NAME/SECRET",
    f"{USER_SETTING}?": "instead of the secret, or besides: a user name, for HTTP basic "
    "authentication",
    f"{PASSWORD_SETTING}?": "its password",
    f"{NETWORKS_SETTING}?": "where the vendor calls from, as in '203.0.113.0/24 198.51.100.7'; "
    "any, if "
    "it doesn't say",
}
"""The settings that `check_shared_secret` reads."""


BEARER_TOKEN_SETTINGS: Mapping[str, str] = {
    f"{TOKEN_SETTING}?": "instead of them: 16 or more characters, at random, which the vendor "
    "sends as a "
    "bearer token",
}
"""Besides SHARED_SECRET_SETTINGS, for a webhook whose vendor can send one (RFC 6750)."""


_SECRET_PATTERN = re.compile(r"[A-Za-z0-9_-]{16,}")


_TOKEN_PATTERN = re.compile(r"[!-~]{16,}")


Network = IPv4Network | IPv6Network


class SharedSecretWebhook(WebhookSource):
    """Base of webhooks whose vendors sign nothing; subclasses implement `parse`."""

    settings: ClassVar[Mapping[str, str]] = SHARED_SECRET_SETTINGS
    secret_settings: ClassVar[frozenset[str]] = frozenset({SECRET_SETTING, PASSWORD_SETTING})
    secret_in_path: ClassVar[bool] = True

    def verify(self, request: WebhookRequest, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See WebhookVerifier."""
        check_shared_secret(request, settings)


def check_shared_secret(request: WebhookRequest, settings: Mapping[str, str]) -> None:
    """Return if `request` has the secret, the password or the token, and an allowed address.

    Everything that is set must match. Raises NotConfigured if too little is set, else
    SignatureError.
    """
    secret, user = settings.get(SECRET_SETTING, ""), settings.get(USER_SETTING, "")
    token = settings.get(TOKEN_SETTING, "")
    password, networks = (
        settings.get(PASSWORD_SETTING, ""),
        _parse_networks(settings.get(NETWORKS_SETTING, "")),
    )
    if bool(user) != bool(password):
        raise NotConfigured(f"set both {USER_SETTING} and {PASSWORD_SETTING}, or neither")
    if user and token:
        raise NotConfigured(
            f"set {USER_SETTING} and {PASSWORD_SETTING}, or {TOKEN_SETTING}: a request has one "
            "or the other"
        )
    if token and not _TOKEN_PATTERN.fullmatch(token):
        raise NotConfigured(
            f"{TOKEN_SETTING}: write 16 or more characters, at random, without spaces"
        )
    if not secret and not user and not token:
        raise NotConfigured(
            f"set {SECRET_SETTING}, or {USER_SETTING} and {PASSWORD_SETTING}: the vendor signs "
            "nothing"
        )
    if secret and not _SECRET_PATTERN.fullmatch(secret):
        raise NotConfigured(
            f"{SECRET_SETTING}: write 16 or more of A-Z, a-z, 0-9, - and _, at random"
        )
    if not constant_time_equal(request.path_secret, secret):
        raise SignatureError("the secret in the path does not match")
    if user and not constant_time_equal(_credentials(request), f"{user}:{password}"):
        raise SignatureError("the user name and password do not match")
    if token and not constant_time_equal(_authorization_value(request, "bearer"), token):
        raise SignatureError("the token does not match")
    if networks is not None and not _is_from(request.remote_address, networks):
        raise SignatureError("it does not come from an allowed network")


def _credentials(request: WebhookRequest) -> str:
    """`user:password` of the request (RFC 7617); "" if there are none."""
    try:
        return base64.b64decode(_authorization_value(request, "basic"), validate=True).decode()
    except ValueError:
        return ""


def _authorization_value(request: WebhookRequest, scheme: str) -> str:
    """What follows the `scheme` in the request's Authorization; "" if it has another."""
    given, _, rest = request.headers.get("authorization", "").partition(" ")
    return rest.strip() if given.casefold() == scheme else ""


@lru_cache
def _parse_networks(text: str) -> tuple[Network, ...] | None:
    """Those of a setting; None for all. Raises NotConfigured."""
    if text == ANY_NETWORK:
        return None
    try:
        found = tuple(ip_network(each) for each in text.replace(",", " ").split())
    except ValueError:
        raise NotConfigured(
            f"{NETWORKS_SETTING}: write each as in 203.0.113.0/24 or 198.51.100.7"
        ) from None
    if not found:
        raise NotConfigured(
            f"set {NETWORKS_SETTING} to where the vendor calls from, or to {ANY_NETWORK}"
        )
    return found


def _is_from(remote: str, networks: tuple[Network, ...]) -> bool:
    try:
        address = ip_address(remote)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in networks)
