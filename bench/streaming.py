"""`POST /v1/decisions/stream`: a list sent and its answer read at once, over one connection."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Thread
from urllib.parse import urlsplit

from bench.decisions import ASKED, asked
from bench.ground import MESSAGE_TYPE
from bench.web import resident

_BLOCK = 1 << 20
_PATH = f"/v1/decisions/stream?message_type={MESSAGE_TYPE}"
_KIND = {"ndjson": "application/x-ndjson", "csv": "text/csv"}
_MARK = {"ndjson": b'"allow": ', "csv": b"@example.com,"}
"""What each answer has once."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Lines a second, and what the server's processes had in memory (MiB) on the way."""

    per_second: float
    at_tenth: float
    at_end: float


def stream(base: str, key: str, lines: int, form: str) -> Stream:
    """Ask about so many people in `form`, "ndjson" or "csv".

    Raises RuntimeError unless each got an answer and the answer its end.
    """
    where = urlsplit(base)
    tenth = 0.0
    with socket.create_connection((where.hostname, where.port), timeout=60) as client:
        begin = time.perf_counter()
        client.sendall(
            f"POST {_PATH} HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: {_KIND[form]}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        sender = Thread(target=_send, args=(client, form, lines), daemon=True)
        sender.start()
        count, rest = 0, b""
        while not rest.endswith(b"\r\n0\r\n\r\n"):
            received = client.recv(_BLOCK)
            if not received:
                raise RuntimeError(f"the answer was cut off after {count:,} lines")
            found = rest[-20:] + received
            count += found.count(_MARK[form]) - rest[-20:].count(_MARK[form])
            rest = (rest + received)[-500:]
            if not tenth and count >= lines / 10:
                tenth = resident(base)
        took = time.perf_counter() - begin
        sender.join()
    if count != lines or b"end" not in rest or f"{lines}".encode() not in rest:
        raise RuntimeError(f"{count:,} of {lines:,} lines were answered: {rest!r}")
    return Stream(lines / took, tenth, resident(base))


def _send(client: socket.socket, form: str, lines: int) -> None:
    for block in _blocks(form, lines):
        client.sendall(b"%x\r\n%b\r\n" % (len(block), block))
    client.sendall(b"0\r\n\r\n")


def _blocks(form: str, lines: int) -> Iterator[bytes]:
    if form == "csv":
        yield b"recipient,name\n"
    line = '"{}"\n' if form == "ndjson" else "{},Ada\n"
    everybody = [line.format(asked(number)).encode() for number in range(ASKED)]
    block = b"".join(everybody)
    for _ in range(lines // ASKED):
        yield block
    if lines % ASKED:
        yield b"".join(everybody[: lines % ASKED])
