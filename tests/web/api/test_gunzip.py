"""From bytes to lines: any input, in bounded memory."""

from __future__ import annotations

import gzip
import io
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference_center.core.errors import UnreadableBody
from preference_center.web.api import streams
from preference_center.web.api.streams import MAX_LINE, RequestBuffer, gunzip, split_lines

if TYPE_CHECKING:
    from typing import Any


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def flat(blocks: Iterator[list[bytes]]) -> list[bytes]:
    return [line for block in blocks for line in block]


@given(st.binary(max_size=300), st.integers(1, 40))
def test_lines_are_the_same_however_the_bytes_arrive(data: bytes, size: int) -> None:
    expected = data.split(b"\n")
    assert (
        flat(split_lines(pieces(data, size)))
        == expected[:-1] + [expected[-1]][: bool(expected[-1])]
    )


def test_a_line_too_long_stays_too_long_and_costs_no_memory() -> None:
    tracemalloc.start()
    found = flat(split_lines(iter([b"x" * 65_536] * 500 + [b"\nnext\n"])))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert [len(line) > MAX_LINE for line in found] == [True, False]
    assert most < 2_000_000


@given(st.lists(st.binary(max_size=200), max_size=4), st.integers(1, 60), st.integers(0, 5))
def test_gzip_of_any_number_of_members_is_unpacked(
    members: list[bytes], size: int, padding: int
) -> None:
    packed = b"".join(gzip.compress(member) + bytes(padding) for member in members)
    assert b"".join(gunzip(pieces(packed, size))) == b"".join(members)


@pytest.mark.parametrize(
    "packed, what",
    [
        (b"ada@example.com\n", "not a gzip file"),
        (gzip.compress(b"ada@example.com\n" * 9, mtime=0)[:-4], "truncated"),
        (gzip.compress(b"ada@example.com\n", mtime=0) + gzip.compress(b"b")[:3], "truncated"),
        (gzip.compress(bytes(20_000_000), mtime=0), "200 times its size"),
    ],
    ids=["plain", "cut", "cut between", "bomb"],
)
def test_what_is_no_whole_gzip_file_is_reported(packed: bytes, what: str) -> None:
    with pytest.raises(UnreadableBody, match=what):
        list(gunzip(pieces(packed, 1000)))


class Trickle:
    """A client that sends the next piece only when the test asks for it."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.more = threading.Semaphore(0)

    def send(self, data: bytes) -> None:
        self.pieces.append(data)
        self.more.release()

    def read(self, _size: int, /) -> bytes:
        assert self.more.acquire(timeout=30)
        return self.pieces.pop(0)


def test_what_came_is_handed_on_while_the_client_still_sends() -> None:
    client = Trickle()
    with closing(RequestBuffer(client)) as incoming:
        blocks = iter(incoming)
        for data in (b"first", b"second"):
            client.send(data)
            assert next(blocks) == data
        client.send(b"")
        assert list(blocks) == []


@pytest.mark.parametrize("size", [0, 10, 3_000_000])
def test_a_client_that_sends_everything_first_is_served_too(size: int) -> None:
    data = bytes(range(256)) * (size // 256)
    with closing(RequestBuffer(io.BytesIO(data))) as incoming:
        with incoming._changed:  # nothing is answered until all has come
            assert incoming._changed.wait_for(lambda: incoming._at_end, 30)
        assert b"".join(incoming) == data


def test_only_so_much_is_taken_in_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_AHEAD", 10_000)
    monkeypatch.setattr(streams, "MAX_READ_SIZE", streams.MIN_READ_SIZE)
    source = io.BytesIO(bytes(1_000_000))
    with closing(RequestBuffer(source)) as incoming:
        answered = 0
        for block in incoming:
            answered += len(block)
            assert source.tell() <= answered + 10_000 + 2 * streams.MIN_READ_SIZE
        assert answered == 1_000_000


def test_a_body_shorter_than_announced_is_reported_after_what_came() -> None:
    with closing(RequestBuffer(io.BytesIO(b"half"), length=8)) as incoming:
        blocks = iter(incoming)
        assert next(blocks) == b"half"
        with pytest.raises(UnreadableBody, match="shorter than its Content-Length"):
            next(blocks)


def test_a_body_that_cant_be_read_is_reported() -> None:
    class Broken:
        def read(self, _size: int, /) -> Any:
            raise ConnectionResetError

    with (
        closing(RequestBuffer(Broken())) as incoming,
        pytest.raises(UnreadableBody, match="ConnectionResetError"),
    ):
        list(incoming)
