"""A client that asks about any number of people, and reads the answers while it sends."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import h11

BLOCK_ROWS = 2_000
_TARGET = "/v1/decisions/stream?message_type=offers.weekly"
_PIECE = 1 << 17


def person(number: int) -> str:
    """Somebody on the list, by place from 0."""
    return f"person-{number}@example.com"


@dataclass(slots=True)
class LongAnswer:
    """What came back so far. Raises AssertionError where a row is missing, double or misplaced."""

    rows: int = 0
    denied: int = 0
    last: bytes = b""
    """The line that ends it, `#end` or `#error`."""
    is_cut: bool = False
    """Whether the connection ended before the response did."""
    _rest: bytes = b""

    def feed(self, data: bytes) -> None:
        """Take in a part of the response, CSV."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if lines and lines[0].startswith(b"recipient,"):
            del lines[0]
        if lines and lines[-1].startswith(b"#"):
            self.last = lines.pop()
        if lines:
            assert lines[0].startswith(b"person-%d@" % self.rows), (self.rows, lines[0])
            self.rows += len(lines)
            assert lines[-1].startswith(b"person-%d@" % (self.rows - 1)), (self.rows, lines[-1])
            self.denied += data.count(b",false,")


def ask(
    connection: ssl.SSLSocket | socket.socket,
    key: str,
    rows: int,
    on_progress: Callable[[LongAnswer], None],
) -> LongAnswer:
    """Ask about `rows` people over `connection`; `on_progress` is called after each part read."""
    protocol, answer = h11.Connection(h11.CLIENT), LongAnswer()
    pending, blocks = b"", _request(protocol, key, rows)
    connection.setblocking(False)
    while protocol.their_state is not h11.DONE:
        pending = pending or next(blocks, b"")
        is_buffered = isinstance(connection, ssl.SSLSocket) and connection.pending()
        if not is_buffered:
            select.select([connection], [connection] if pending else [], [])
        try:
            pending = pending[connection.send(pending) :] if pending else b""
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            pass
        except OSError:
            pending, blocks = b"", iter(())  # the response may say why
        try:
            protocol.receive_data(connection.recv(_PIECE))
            _read(protocol, answer)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            continue
        except (OSError, h11.RemoteProtocolError):
            answer.is_cut = True
            break
        on_progress(answer)
    return answer


def _request(protocol: h11.Connection, key: str, rows: int) -> Iterator[bytes]:
    headers = {
        "Host": "127.0.0.1",
        "Authorization": f"Bearer {key}",
        "Content-Type": "text/csv",
        "Transfer-Encoding": "chunked",
    }
    yield _send(protocol, h11.Request(method="POST", target=_TARGET, headers=[*headers.items()]))
    yield _send(protocol, h11.Data(data=b"email\n"))
    for first in range(0, rows, BLOCK_ROWS):
        people = range(first, min(first + BLOCK_ROWS, rows))
        yield _send(protocol, h11.Data(data="".join(f"{person(n)}\n" for n in people).encode()))
    yield _send(protocol, h11.EndOfMessage())


def _send(protocol: h11.Connection, event: h11.Event) -> bytes:
    sent = protocol.send(event)
    assert sent
    return sent


def _read(protocol: h11.Connection, answer: LongAnswer) -> None:
    while True:
        event = protocol.next_event()
        if isinstance(event, h11.Response):
            assert event.status_code == 200, event
        elif isinstance(event, h11.Data):
            answer.feed(bytes(event.data))
        else:  # the end, or no more for now
            return
