"""This module limits whom a connector's requests connect to, and how long each may take.

httpx has no time limit for a whole exchange: a server that sends one byte now and then
keeps a worker for ever, past its lease. Here every read and write gets at most what is
left of the exchange's time.

A webhook's URL comes from the person who sets up the destination. Without a guard it could
point at the metadata service of a cloud, at the database, or at a neighbour (server-side
request forgery). The host is resolved once, every address is checked, and the connection
goes to a checked address: a name that answers differently the second time (DNS rebinding)
gains nothing. An operator may list networks inside the company that destinations may reach
(`private_networks`). Sources: OWASP SSRF Prevention Cheat Sheet; Standard Webhooks 1.0.
"""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpcore
import httpx

from preference_center.core.networks import Network, embedded_ipv4, is_inside

ResolveAddresses = Callable[[str, int], Sequence[str]]
"""Host and port to the addresses that may be tried, in order."""


class Deadline:
    """The time left for one exchange, in seconds of a monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.restart()

    def restart(self) -> None:
        """Begin a new exchange."""
        self._end = time.monotonic() + self._seconds

    def cap_timeout(self, timeout: float | None) -> float:
        """`timeout`, or what is left if that is less. Raises httpcore.ReadTimeout."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the exchange took too long")
        return left if timeout is None else min(timeout, left)


class DeadlineStream(httpcore.NetworkStream):
    """A stream whose every operation ends inside the countdown."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """See httpcore."""
        return self._inner.read(max_bytes, self._deadline.cap_timeout(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """See httpcore."""
        self._inner.write(buffer, self._deadline.cap_timeout(timeout))

    def close(self) -> None:
        """See httpcore."""
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """See httpcore; `server_hostname` stays the name, whatever address we use."""
        capped = self._deadline.cap_timeout(timeout)
        return DeadlineStream(
            self._inner.start_tls(ssl_context, server_hostname, capped), self._deadline
        )

    def get_extra_info(self, info: str) -> Any:
        """See httpcore."""
        return self._inner.get_extra_info(info)


class DeadlineBackend(httpcore.NetworkBackend):
    """Connects to an address that `addresses` allows, never to a name."""

    def __init__(
        self, inner: httpcore.NetworkBackend, deadline: Deadline, resolve: ResolveAddresses
    ) -> None:
        self._inner = inner
        self._deadline = deadline
        self._resolve = resolve

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Try the allowed addresses in turn. Raises httpcore.ConnectError."""
        failure: Exception = httpcore.ConnectError("the host has no address")
        for address in self._resolve(host, port):
            try:
                stream = self._inner.connect_tcp(
                    address,
                    port,
                    self._deadline.cap_timeout(timeout),
                    local_address,
                    socket_options,
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return DeadlineStream(stream, self._deadline)
        raise failure


_CERTIFICATE_PROBLEMS = {
    9: "its certificate is not valid yet",
    10: "its certificate has expired",
    18: "its certificate is self-signed, or of an unknown authority",
    19: "its certificate is of an unknown authority",
    20: "its certificate is of an unknown authority, or an intermediate one is missing",
    21: "its certificate is of an unknown authority, or an intermediate one is missing",
    23: "its certificate was revoked",
    62: "its certificate is for another name",
    64: "its certificate is for another address",
}
"""By `verify_code` of OpenSSL (X509_V_ERR_... in openssl/x509_vfy.h)."""


def describe_connect_error(error: BaseException) -> str:
    """Why no connection was made, from the error or what it came from; names no address."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) and cause not in chain:
        chain.append(cause)
    return next(filter(None, map(_describe, reversed(chain))), "the cause is unknown")


def _describe(error: BaseException) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return _CERTIFICATE_PROBLEMS.get(error.verify_code, "its certificate can't be verified")
        case ssl.SSLError():
            return f"TLS failed ({error.reason or type(error).__name__})"
        case socket.gaierror() | NoAddress():
            return "its name has no address (DNS)"
        case ConnectionRefusedError():
            return "connection refused: nothing listens on that port"
        case TimeoutError() | httpcore.TimeoutException() | httpx.TimeoutException():
            return "no answer in time"
        case ConnectionError():
            return "the connection was cut off"
        case OSError(errno=errno.ENETUNREACH | errno.EHOSTUNREACH):
            return "no route to it"
    return ""


def make_transport(backend: httpcore.NetworkBackend, tls: ssl.SSLContext) -> httpx.HTTPTransport:
    """An httpx transport on our backend: one connection, no proxy, no retries."""
    transport = httpx.HTTPTransport(verify=tls, trust_env=False)
    # httpx takes no network backend; httpcore's own, public, pool does.
    transport._pool = httpcore.ConnectionPool(  # noqa: SLF001
        ssl_context=tls, max_connections=1, network_backend=backend
    )
    return transport


Resolver = Callable[[str, int], Sequence[str]]
"""Host and port to the IP addresses, as text, that a connection might use."""


ALLOWED_PORTS = frozenset({443, 8443})


_IETF_PROTOCOL_NETWORK = ipaddress.ip_network(
    "192.0.0.0/24"
)  # older Pythons call parts of it global


_FORBIDDEN_PORT = "the port must be 443 or 8443"


_IPV4 = re.compile(r"\d{1,3}(\.\d{1,3}){3}")


_NUMERIC_LABEL = re.compile(r"\d+|0[xX][0-9a-fA-F]*")


class NoAddress(OSError):
    """A name has no address."""


class ForbiddenUrl(ValueError):
    """The URL or its address may not be called; the message states why."""


def system_resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: str) -> bool:
    """Whether `address` (text) is an ordinary host of the public internet.

    Shared (100.64/10), private, loopback, link-local, reserved and multicast addresses
    are not, nor are IPv6 forms that hide such an IPv4 address.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    ip = embedded_ipv4(ip)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.sixtofour is not None or ip.teredo is not None or ip.is_site_local:
            return False
    elif ip in _IETF_PROTOCOL_NETWORK:
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def validate_url(
    url: str,
    *,
    allow_private: bool = False,
    allow_any_port: bool = False,
    allow_http: bool = False,
) -> SplitResult:
    """Check what can be checked without resolving; returns the URL's parts.

    Raises ForbiddenUrl. `allow_any_port` leaves the port to `resolve_allowed_addresses`, and
    `allow_http` the decision about plain HTTP. `allow_private` permits http, any port and any
    address, but still no credentials in the URL, which would end in logs (I12).
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ForbiddenUrl("the URL can't be read; write https://host/path") from error
    if parts.scheme not in ({"https", "http"} if allow_private or allow_http else {"https"}):
        raise ForbiddenUrl("the URL must begin with https://")
    if "@" in parts.netloc:
        raise ForbiddenUrl("the URL must not hold a user name or password")
    if not parts.hostname or "\\" in url or not url.isprintable() or " " in url:
        raise ForbiddenUrl("the URL has no usable host; write https://host/path")
    if allow_private:
        return parts
    if port is not None and port not in ALLOWED_PORTS and not allow_any_port:
        raise ForbiddenUrl(_FORBIDDEN_PORT)
    last = parts.hostname.rstrip(".").rpartition(".")[2]
    if _NUMERIC_LABEL.fullmatch(last) and not _IPV4.fullmatch(parts.hostname):
        raise ForbiddenUrl("write the host as a name or as four decimal numbers")
    return parts


def resolve_allowed_addresses(
    host: str,
    port: int,
    resolve: Resolver,
    *,
    allow_private: bool = False,
    allow_public: bool = True,
    any_port: bool = False,
    networks: Sequence[Network] = (),
) -> tuple[str, ...]:
    """The addresses of `host` a connection may use, in the resolver's order.

    Public ones on the usual ports, with `any_port` on all, and on any port those inside
    `networks`; without `allow_public`, as over plain HTTP, only the latter. One bad address spoils
    the name: a host that is half ours is not the receiver's. Raises ForbiddenUrl, and OSError when
    the name has no address.
    """
    found = tuple(resolve(host, port))
    if not found:
        raise NoAddress
    if allow_private:
        return found
    outside = [address for address in found if not is_inside(address, networks)]
    if not all(map(is_public, outside)):
        permitted = " and not in the networks that it may reach" if networks else ""
        raise ForbiddenUrl(f"the host resolves to an address that is not public{permitted}")
    if outside and not allow_public:
        raise ForbiddenUrl("the URL must begin with https:// for a public host")
    if outside and port not in ALLOWED_PORTS and not any_port:
        raise ForbiddenUrl(_FORBIDDEN_PORT)
    return found
