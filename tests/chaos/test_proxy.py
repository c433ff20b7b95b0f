"""The network before the database, on real sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from chaos.proxy import Mood, Proxy
from dev.server import free_port

LONG = 30.0


@pytest.fixture
def upstream() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(LONG)
        yield server


@pytest.fixture
def proxy(upstream: socket.socket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setattr("chaos.proxy.ANSWERED", 60.0)
    proxy = Proxy([(free_port(), upstream.getsockname()[1])])
    proxy.start()
    with closing(Stopping(proxy)):
        yield proxy


class Stopping:
    def __init__(self, proxy: Proxy) -> None:
        self.close = proxy.stop


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.routes[0][0]), LONG)


def pair(proxy: Proxy, upstream: socket.socket) -> tuple[socket.socket, socket.socket]:
    """A connection's ends, over which a byte went each way."""
    near = connect(proxy)
    far, _ = upstream.accept()
    far.settimeout(LONG)
    near.sendall(b"a")
    assert far.recv(10) == b"a"
    far.sendall(b"b")
    assert near.recv(10) == b"b"
    return near, far


def test_a_silent_connection_stays_open_while_a_new_one_works(
    proxy: Proxy, upstream: socket.socket
) -> None:
    near, far = pair(proxy, upstream)
    with near, far:
        proxy.behave(Mood.SILENCE_OLD)
        near.sendall(b"held")
        fresh, end = pair(proxy, upstream)
        with fresh, end:
            far.setblocking(False)
            with pytest.raises(BlockingIOError):
                far.recv(10)
        far.settimeout(LONG)
        proxy.behave(Mood.PASS)
        assert far.recv(10) == b"held"


def test_an_end_is_held_like_bytes(proxy: Proxy, upstream: socket.socket) -> None:
    near, far = pair(proxy, upstream)
    with far:
        proxy.behave(Mood.SILENCE_ALL)
        near.sendall(b"held")
        near.close()
        proxy.behave(Mood.PASS)
        assert far.recv(10) == b"held"
        assert far.recv(10) == b""


def test_no_new_connection_works_in_silence(proxy: Proxy, upstream: socket.socket) -> None:
    proxy.behave(Mood.SILENCE_ALL)
    upstream.setblocking(False)
    with connect(proxy) as near:
        near.sendall(b"a")
        with pytest.raises(BlockingIOError):
            upstream.accept()


def test_dropped_connections_are_reset(proxy: Proxy, upstream: socket.socket) -> None:
    near, far = pair(proxy, upstream)
    with near, far:
        proxy.behave(Mood.DROP)
        assert closed(near)
        assert closed(far)
        with connect(proxy) as fresh:
            assert closed(fresh)
        proxy.behave(Mood.PASS)
        for end in pair(proxy, upstream):
            end.close()


def closed(end: socket.socket) -> bool:
    try:
        return end.recv(10) == b""
    except ConnectionResetError:
        return True
