"""The TCP end of a connector's requests: whom we connect to, and until when.

httpx has no time limit for a whole exchange: a server that sends one byte now and then
keeps a worker for ever, past its lease. Here every read and write gets at most what is
left of the exchange's time.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpcore
import httpx

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


def make_transport(backend: httpcore.NetworkBackend, tls: ssl.SSLContext) -> httpx.HTTPTransport:
    """An httpx transport on our backend: one connection, no proxy, no retries."""
    transport = httpx.HTTPTransport(verify=tls, trust_env=False)
    # httpx takes no network backend; httpcore's own, public, pool does.
    transport._pool = httpcore.ConnectionPool(  # noqa: SLF001
        ssl_context=tls, max_connections=1, network_backend=backend
    )
    return transport
