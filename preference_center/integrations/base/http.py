"""`HttpSession` sends a connector's requests within the tool's rate limit.

It is a thin wrapper of httpx that raises DeliveryErrors. Messages and logs never hold an address,
a token or a whole URL (I12): a request is named by its method and its route, the path with its
parameters unfilled.
"""

from __future__ import annotations

import logging
import secrets
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar, cast
from urllib.parse import quote

import httpcore
import httpx
from pydantic import Field, TypeAdapter, create_model

from preference_center.core.networks import Network
from preference_center.integrations.base.contract import (
    DeliveryError,
    LeaseExpired,
    NoResponse,
    RateLimit,
    RequestRejected,
    TooManyRequests,
    UnexpectedResponse,
)
from preference_center.integrations.base.network import (
    Deadline,
    DeadlineBackend,
    ForbiddenUrl,
    Resolver,
    describe_connect_error,
    make_transport,
    resolve_allowed_addresses,
    system_resolve,
    validate_url,
)
from preference_center.integrations.base.webhook import parse_mail_date

RateLimitHeaders = Callable[[int, Mapping[str, str], datetime], timedelta | None]
"""Status, headers (names in lower case) and the time of a response to how long the tool accepts
no more requests; None if the headers don't state it."""


@dataclass(frozen=True, slots=True)
class EndpointRateLimit:
    """A tool's limit for one kind of its requests, which count for the account's rate too."""

    name: str
    rate_limit: RateLimit


class RequestRateLimiter(Protocol):
    """When the next request to one destination may be sent; shared by all its workers."""

    def reserve(self, max_wait: float) -> float:
        """Seconds to wait before sending, at most `max_wait`; the request is then counted.

        Raises RateLimited, with nothing counted, where the wait would be longer.
        """
        ...

    def pause(self, seconds: float) -> None:
        """Permit no request for so long."""
        ...

    def with_limit(self, limit: EndpointRateLimit) -> RequestRateLimiter:
        """The limiter of requests that a further limit applies to: each counts for both."""
        ...


class NullRateLimiter:
    """No limit, as in tests and for folders."""

    def reserve(self, max_wait: float) -> float:  # noqa: ARG002 - the protocol's
        """0: at once."""
        return 0.0

    def pause(self, seconds: float) -> None:
        """Nothing: the push itself fails with the tool's `retry_after`."""

    def with_limit(self, limit: EndpointRateLimit) -> RequestRateLimiter:  # noqa: ARG002 - the protocol's
        """Itself: no limit either."""
        return self


def parse_reset_headers(remaining: str, reset: str, *, epoch: bool) -> RateLimitHeaders:
    """The `RateLimitHeaders` of a pair of headers: none remaining, so wait until the reset.

    `reset` gives seconds (or milliseconds) since 1970 if `epoch`, else seconds from now.
    """

    def parse(_: int, headers: Mapping[str, str], now: datetime) -> timedelta | None:
        left, until = _parse_number(headers.get(remaining)), _parse_number(headers.get(reset))
        if left is None or left > 0 or until is None:
            return None
        if epoch and until > _MIN_MILLISECONDS:
            until /= 1000
        return timedelta(seconds=max(0.0, until - now.timestamp() if epoch else until))

    return parse


X_RATELIMIT_HEADERS = parse_reset_headers("x-ratelimit-remaining", "x-ratelimit-reset", epoch=True)
"""The pair of headers, with a time since 1970, that most vendors send."""


_MIN_MILLISECONDS = 1e11
"""Seconds since 1970 reach it in the year 5138."""


def _parse_number(text: str | None) -> float | None:
    text = (text or "").strip()
    return float(text[:15]) if text.isascii() and text.isdigit() else None


log = logging.getLogger(__name__)


# httpx logs whole URLs at INFO, and some vendors want the address in the path (I12).
logging.getLogger("httpx").addFilter(lambda _: False)


# httpcore logs headers, credentials included, at DEBUG.
for _name in ("connection", "http11", "http2", "proxy"):
    logging.getLogger(f"httpcore.{_name}").addFilter(lambda _: False)


Shape = TypeVar("Shape")


MAX_RESPONSE_BYTES = 10_000_000


MAX_RETRY_AFTER = timedelta(days=1)


MAX_PAUSE = timedelta(hours=1)
"""Beyond that we ask ourselves, since the deadline is ours and not the tool's (I3)."""


@dataclass(frozen=True, slots=True)
class HttpTimeouts:
    """Seconds. `total` bounds one whole exchange, connecting and dripping included."""

    connect: float = 5.0
    read: float = 20.0
    total: float = 30.0


def utc_now() -> datetime:
    """The present (UTC)."""
    return datetime.now(UTC)


@cache
def system_tls() -> ssl.SSLContext:
    """Trust the system's authorities. Made once: reading them takes a third of a small push."""
    return ssl.create_default_context()


@dataclass(frozen=True, slots=True)
class HttpContext:
    """The outside world as a connector may use it; everything here is injected."""

    lease_valid: Callable[[], bool] = lambda: True
    """Whether the lease will still be valid when an exchange begun now has ended
    (`timeouts.total` from now). Asked right before each request."""
    rate_limiter: RequestRateLimiter = field(default_factory=NullRateLimiter)
    """The destination's rate limit. `max_wait` is how long a request may wait, in seconds."""
    max_wait: Callable[[], float] = lambda: 50.0
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = utc_now
    nonce: Callable[[], str] = lambda: secrets.token_hex(8)
    timeouts: HttpTimeouts = field(default_factory=HttpTimeouts)
    allow_private: bool = False
    """http, any port, any address: for development, and for a URL of the process's own
    configuration. Never because of a destination's settings."""
    private_networks: tuple[Network, ...] = ()
    """Networks inside the company that destinations may reach; each names its own of them."""
    file_root: Path | None = None
    """The folder of this machine below which a destination may write files; None: nowhere."""
    resolve: Resolver = system_resolve
    network: Callable[[], httpcore.NetworkBackend] = httpcore.SyncBackend
    tls: Callable[[], ssl.SSLContext] = system_tls

    def session(
        self,
        name: str,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        networks: Sequence[Network] = (),
        allow_http: bool = False,
        rate_limit_headers: RateLimitHeaders | None = None,
    ) -> HttpSession:
        """Requests to one tool, for a `with` block. `name` is the destination's, for logs.

        `networks` are private ones that are permitted, with `allow_http` by plain HTTP too.
        `rate_limit_headers` reads the vendor's own headers about its rate limit; Retry-After
        needs none.
        Raises DeliveryError (permanent) for a URL that may never be called.
        """
        try:
            validate_url(
                base_url,
                allow_private=self.allow_private,
                allow_any_port=bool(networks),
                allow_http=allow_http and bool(networks),
            )
            return HttpSession(
                self,
                name,
                base_url,
                headers or {},
                networks=networks,
                rate_limit_headers=rate_limit_headers,
            )
        except ForbiddenUrl as error:
            raise DeliveryError(f"{name}: {error}", permanent=True) from error
        except httpx.InvalidURL as error:
            raise DeliveryError(f"{name}: the URL can't be read", permanent=True) from error

    def acquire(self, name: str, limit: EndpointRateLimit | None = None) -> None:
        """Wait until the rate limit permits one request, as every request of a session does.

        `limit` is a further one, for requests of its kind only. To be called by connectors
        whose vendor's library does the requests itself.
        Raises RateLimited or LeaseExpired: then nothing may be sent.
        """
        pace = self.rate_limiter.with_limit(limit) if limit else self.rate_limiter
        wait = pace.reserve(self.max_wait())
        if wait > 0:
            self.sleep(wait)
        if not self.lease_valid():
            raise LeaseExpired(f"{name}: the lease is over, nothing sent")


@dataclass(frozen=True, slots=True)
class Response:
    """A response that was read whole."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""

    def parse(self, shape: type[Shape] | TypeAdapter[Shape]) -> Shape:
        """The JSON body as `shape`. Raises UnexpectedResponse when it is something else.

        So is whatever a validator of the shape raises: it met a type that it did not expect.
        """
        adapter = shape if isinstance(shape, TypeAdapter) else make_type_adapter(shape)
        try:
            return adapter.validate_json(self.body)
        except Exception:  # noqa: BLE001 - see above
            # Not chained: the message may quote the body.
            raise UnexpectedResponse("the answer is not what the tool's API promises") from None

    def parse_member(self, shape: type[Shape], name: str, *, or_empty: bool = False) -> Shape:
        """One member of the JSON body, which is an object, as `shape`.

        One that is missing or null is an empty `shape` if `or_empty`. Raises like `parse`.
        """
        adapter = _make_member_adapter(cast("Hashable", shape), name, or_empty=or_empty)
        member: Shape | None = self.parse(adapter).value
        return shape() if member is None else member


def make_type_adapter(shape: type[Shape]) -> TypeAdapter[Shape]:
    """The parser of a type, made once."""
    adapter: TypeAdapter[Shape] = _make_adapter(cast("Hashable", shape))
    return adapter


@cache
def _make_adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


@cache
def _make_member_adapter(shape: Any, name: str, *, or_empty: bool) -> TypeAdapter[Any]:
    field = (shape | None, Field(None, alias=name)) if or_empty else (shape, Field(alias=name))
    model: type[Any] = create_model("Member", value=field)
    return TypeAdapter(model)


class HttpSession:
    """One tool's API, made by `HttpContext.session`."""

    def __init__(
        self,
        http: HttpContext,
        name: str,
        base_url: str,
        headers: Mapping[str, str],
        *,
        networks: Sequence[Network],
        rate_limit_headers: RateLimitHeaders | None,
    ) -> None:
        self._http = http
        self._rate_limit_headers = rate_limit_headers
        self._name = name
        self._deadline = Deadline(http.timeouts.total)
        self._is_encrypted = not base_url.lower().startswith("http:")
        self._backend = DeadlineBackend(
            http.network(),
            self._deadline,
            lambda host, port: resolve_allowed_addresses(
                host,
                port,
                http.resolve,
                allow_private=http.allow_private,
                allow_public=self._is_encrypted,
                networks=networks,
            ),
        )
        self._client = httpx.Client(
            base_url=base_url,
            headers={"User-Agent": "preference-center", "Accept-Encoding": "identity", **headers},
            timeout=httpx.Timeout(http.timeouts.read, connect=http.timeouts.connect),
            transport=make_transport(self._backend, http.tls()),
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def send(
        self,
        method: str,
        route: str,
        *,
        path_params: Mapping[str, str] | None = None,
        raw_path: str | None = None,
        query: Mapping[str, str | Sequence[str]] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        allowed_statuses: Collection[int] = (),
        max_bytes: int = MAX_RESPONSE_BYTES,
        limit: EndpointRateLimit | None = None,
    ) -> Response:
        """Send one request and read the response; no retries, no redirects.

        `route` is a path such as `/groups/{id}`; `path_params` fill it, quoted. `raw_path` is a
        whole path and query to use instead, then `route` is for the log only. `body` is sent as
        it is if bytes, else as JSON. Statuses in `allowed_statuses` are returned like a 2xx; a
        response of more than `max_bytes` is not read. `limit` applies besides the account's
        rate. Raises LeaseExpired before anything is sent, NoResponse, RequestRejected, or
        DeliveryError, permanent for bad credentials.
        """
        path = raw_path or route.format_map(
            {k: quote(v, safe="") for k, v in (path_params or {}).items()}
        )
        request = self._client.build_request(
            method,
            path,
            params=query,
            content=body if isinstance(body, bytes) else None,
            json=None if isinstance(body, bytes) else body,
            headers=headers,
        )
        self._http.acquire(self._name, limit)
        try:
            self._deadline.restart()
            answer = self._exchange(request, max_bytes)
        except ForbiddenUrl as error:
            raise DeliveryError(f"{self._name}: {error}", permanent=True) from error
        except (httpx.ConnectError, httpx.ConnectTimeout, OSError) as error:
            raise self._not_connected(error) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoResponse(f"{self._name}: {type(error).__name__} at {method} {route}") from error
        log.info(
            "request",
            extra={
                "destination": self._name,
                "request": f"{method} {route}",
                "status": answer.status,
            },
        )
        now = self._http.now()
        held = self._apply_rate_limit_headers(answer.status, answer.headers, now)
        if answer.status not in allowed_statuses:
            retry_after = parse_retry_after(answer.headers.get("retry-after"), now)
            if retry_after is None and answer.status == httpx.codes.TOO_MANY_REQUESTS:
                retry_after = held
            raise_for_status(f"{self._name}: {method} {route}", answer.status, retry_after)
        return answer

    def find(self, method: str, route: str, **request: Any) -> Response | None:
        """The same of an object that may not be there: None for a 404."""
        not_found = httpx.codes.NOT_FOUND
        response = self.send(method, route, allowed_statuses={not_found}, **request)
        return None if response.status == not_found else response

    def connect(self) -> None:
        """Connect as `send` does, with TLS where the URL has it, and send nothing.

        Raises DeliveryError, with the text that a failed push would have.
        """
        url, timeout = self._client.base_url, self._http.timeouts.connect
        self._deadline.restart()
        try:
            port = url.port or (443 if self._is_encrypted else 80)
            stream = self._backend.connect_tcp(url.raw_host.decode(), port, timeout)
            try:
                if self._is_encrypted:
                    tls = self._http.tls()
                    stream = stream.start_tls(tls, url.raw_host.decode(), timeout)
            finally:
                stream.close()
        except ForbiddenUrl as error:
            raise DeliveryError(f"{self._name}: {error}", permanent=True) from error
        except (httpcore.NetworkError, httpcore.TimeoutException, OSError) as error:
            raise self._not_connected(error) from error

    def _not_connected(self, error: Exception) -> DeliveryError:
        return DeliveryError(f"{self._name}: can't connect: {describe_connect_error(error)}")

    def _apply_rate_limit_headers(
        self, status: int, headers: Mapping[str, str], now: datetime
    ) -> timedelta | None:
        """Keep every worker from sending while the tool accepts nothing; how long that is."""
        waits = [self._rate_limit_headers(status, headers, now)] if self._rate_limit_headers else []
        if status in {429, 503}:
            waits.append(parse_retry_after(headers.get("retry-after"), now))
        longest = max((wait for wait in waits if wait), default=None)
        if longest:
            self._http.rate_limiter.pause(min(longest, MAX_PAUSE).total_seconds())
        return longest

    def _exchange(self, request: httpx.Request, max_bytes: int) -> Response:
        response = self._client.send(request, stream=True)
        try:
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > max_bytes:
                    raise NoResponse(f"{self._name}: the answer is too long")
        finally:
            response.close()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Response(response.status_code, bytes(body), headers)


def basic_auth_headers(user: str, password: str) -> dict[str, str]:
    """The header of basic authentication (RFC 7617)."""
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


def raise_for_status(request: str, status: int, retry_after: timedelta | None) -> None:
    """Raise the DeliveryError that `status` means, or return for a 2xx.

    `request` names the request. 1xx and 3xx are failures: we follow no redirects.
    """
    if httpx.codes.is_success(status):
        return
    message = f"{request}: HTTP {status}"
    if status in {401, 403}:
        raise DeliveryError(f"{message}, credentials or rights refused", permanent=True)
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise TooManyRequests(message, retry_after=retry_after)
    if status in {408, 425} or httpx.codes.is_server_error(status):
        raise DeliveryError(message, retry_after=retry_after)
    if httpx.codes.is_client_error(status):
        raise RequestRejected(message, status)
    raise DeliveryError(f"{message}, redirects are not followed: fix the base URL")


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """A Retry-After header: seconds or an HTTP date (RFC 9110 10.2.3), at most a day.

    None for anything else: an invalid header must not stop a delivery.
    """
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:9])), MAX_RETRY_AFTER)
    moment = parse_mail_date(text)
    if moment is None:
        return None
    return min(max(moment - now, timedelta()), MAX_RETRY_AFTER)
