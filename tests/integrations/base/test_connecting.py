"""The cause is named when no connection is made, by a check as by a push, in the same words."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from cryptography import x509

from preference_center.integrations.base.contract import DeliveryError, DestinationConfig
from preference_center.integrations.base.http import HttpContext, HttpTimeouts
from preference_center.integrations.registry import make_connector
from tests.integrations.base.tls_servers import serve_tls
from tests.integrations.contract import ANNA, off
from tests.integrations.tools.receiver import SECRET

HOST = "hooks.example.com"


@contextmanager
def tls_server(folder: Path, name: str = HOST, days: int = 1) -> Iterator[tuple[int, str]]:
    """The port and the certificate of a server."""
    serving = serve_tls(folder, [x509.DNSName(name)], days)
    port, pem, _ = next(serving)
    try:
        yield port, pem
    finally:
        next(serving, None)


@contextmanager
def expired(folder: Path) -> Iterator[tuple[int, str]]:
    with tls_server(folder, days=-1) as server:
        yield server


@contextmanager
def misnamed(folder: Path) -> Iterator[tuple[int, str]]:
    with tls_server(folder, name="other.example.com") as server:
        yield server


@contextmanager
def unknown(folder: Path) -> Iterator[tuple[int, str]]:
    with tls_server(folder) as (port, _):
        yield port, ""


@contextmanager
def closed(_: Path) -> Iterator[tuple[int, str]]:
    with socket.socket() as bound:  # bound and not listening: nobody else gets the port
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1], ""


@contextmanager
def silent(_: Path) -> Iterator[tuple[int, str]]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1], ""


@contextmanager
def plain(_: Path) -> Iterator[tuple[int, str]]:
    """A server without TLS, for two connections."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            for _number in range(2):
                connection, _address = listening.accept()
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        yield listening.getsockname()[1], ""
        thread.join()


def nowhere(_host: str, _port: int) -> Sequence[str]:
    raise socket.gaierror(socket.EAI_NONAME, "unknown")


def here(_host: str, _port: int) -> Sequence[str]:
    return ("127.0.0.1",)


@pytest.mark.parametrize(
    "server, resolve, cause",
    [
        (expired, here, "its certificate has expired"),
        (misnamed, here, "its certificate is for another name"),
        (unknown, here, "its certificate is self-signed, or of an unknown authority"),
        (closed, here, "connection refused: nothing listens on that port"),
        (silent, here, "no answer in time"),
        (plain, here, "TLS failed (WRONG_VERSION_NUMBER)"),
        (closed, nowhere, "its name has no address (DNS)"),
    ],
)
def test_a_check_and_a_push_name_the_same_cause(
    tmp_path: Path,
    server: Callable[[Path], AbstractContextManager[tuple[int, str]]],
    resolve: Callable[[str, int], Sequence[str]],
    cause: str,
) -> None:
    with server(tmp_path) as (port, pem):
        http = HttpContext(
            allow_private=True,
            resolve=resolve,
            timeouts=HttpTimeouts(connect=2 if server is silent else 30, read=30, total=60),
            tls=lambda: ssl.create_default_context(cadata=pem or None),
        )
        settings = {"url": f"https://{HOST}:{port}/hook", "secret": SECRET}
        connector = make_connector("webhook", DestinationConfig("shop", settings), http)
        assert connector.check().problems == (f"url: can't connect: {cause}",)
        with pytest.raises(DeliveryError) as caught:
            connector.push([off(1, ANNA, "news")])
    assert str(caught.value) == f"shop: can't connect: {cause}"
    assert not caught.value.permanent


def test_a_check_of_a_receiver_that_is_there_sends_nothing(tmp_path: Path) -> None:
    with tls_server(tmp_path) as (port, pem):
        http = HttpContext(
            allow_private=True,
            resolve=here,
            tls=lambda: ssl.create_default_context(cadata=pem),
        )
        settings = {"url": f"https://{HOST}:{port}/hook", "secret": SECRET}
        connector = make_connector("webhook", DestinationConfig("shop", settings), http)
        assert connector.check().ok
