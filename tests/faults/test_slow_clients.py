"""Clients that do not finish what they began take nothing from others (I1, I2)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from dev.processes import wait_until
from tests.faults.service import PATIENCE, Service

ENDPOINT = '"endpoint": "pages.unsubscribe"'


@contextmanager
def unfinished(service: Service, count: int, token: str) -> Iterator[list[socket.socket]]:
    """Connections that sent the header of a one-click, and less than its body."""
    begun = (
        f"POST /u/{token} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 26\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\nList-"
    )
    with ExitStack() as stack:
        sockets = []
        for _ in range(count):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", service.port)))
            client.settimeout(PATIENCE)
            client.sendall(begun.encode())
            sockets.append(client)
        yield sockets


@pytest.mark.parametrize("count", [40, 200])
def test_unfinished_posts_keep_nobody_else_waiting(service: Service, count: int) -> None:
    service.start("web")
    slow = service.token("slow@example.com")
    with unfinished(service, count, slow) as sockets:
        for number in range(10):
            answer = service.post(service.token(f"person-{number}@example.com"))
            assert answer.status_code == 200
        assert service.status("/healthz") == 200
        answers = [client.recv(1000) for client in sockets]
    assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in answers)
    assert "request_timed_out" in service.logs()
    assert ENDPOINT in service.logs()
    assert service.rows("SELECT count(*) FROM event") == [(10,)]  # I1


def test_a_client_that_goes_away_in_the_middle_leaves_a_line_that_names_the_route(
    service: Service,
) -> None:  # I12: the route, and neither path nor token
    service.start("web")
    with unfinished(service, 1, service.token("slow@example.com")):
        pass
    assert wait_until(lambda: "client_disconnected" in service.logs(), PATIENCE)
    assert ENDPOINT in service.logs()
