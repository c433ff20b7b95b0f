"""A list of any length: what has no answer yet is sent again, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from clients.python.tests.fake_service import FakeService, problem
from preference_center_client import NotPermitted, RetryPolicy, Unavailable
from preference_center_client.long_lists import PART_ROWS, Part

PEOPLE = [f"person-{number}@example.com" for number in range(10)]
DENIED = {PEOPLE[3], PEOPLE[8]}
END = '{"end": true, "count": 0, "as_of": "1.2.3"}\n'
TOO_LATE = {"type": "https://x.example/problems/unavailable", "title": "No", "status": 503}


def asked(request: httpx.Request) -> list[str]:
    return [json.loads(line) for line in request.content.splitlines()]


def line(person: str) -> str:
    rule = "no_consent" if person in DENIED else "not_opted_out"
    return json.dumps({"recipient": person, "allow": person not in DENIED, "rule": rule}) + "\n"


def answered(count: int | None = None, end: str = END) -> Callable[[httpx.Request], httpx.Response]:
    """Decide the first `count` rows, by default all, and end so."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text="".join(map(line, asked(request)[:count])) + end)

    return answer


def broken(count: int) -> Callable[[httpx.Request], httpx.Response]:
    """Break the connection after so many rows."""

    class Cut(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __init__(self, rows: list[str]) -> None:
            self._rows = rows

        def __iter__(self) -> Iterator[bytes]:
            yield "".join(map(line, self._rows)).encode()[:-5]
            raise httpx.ReadError("cut")

    return lambda request: httpx.Response(200, stream=Cut(asked(request)[: count + 1]))


FAILURES = {
    "the connection ends": broken(4),
    "it can't go on": answered(4, json.dumps({"end": False, "problem": TOO_LATE}) + "\n"),
    "the end is missing": answered(4, ""),
    "the line is half": answered(4, '{"recipient": "person-4@exa'),
    "rows are missing": answered(4),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_only_what_has_no_answer_is_sent_again(
    failure: Callable[[httpx.Request], httpx.Response],
) -> None:  # I11
    service = FakeService([problem(503), failure, httpx.ConnectError, answered()])
    with service.client() as client:
        found = list(client.decide_stream("offers.weekly", iter(PEOPLE)))
    assert [(who, decision.allow) for who, decision in found] == [
        (who, who not in DENIED) for who in PEOPLE
    ]
    assert [asked(request) for request in service.requests] == [
        PEOPLE, PEOPLE, PEOPLE[4:], PEOPLE[4:],
    ]  # fmt: skip


def test_a_long_list_is_read_part_by_part_as_far_as_needed() -> None:
    read = 0

    def people() -> Iterator[str]:
        nonlocal read
        for read in range(1, 3 * PART_ROWS):
            yield PEOPLE[read % 10]

    service = FakeService([answered()])
    with service.client() as client:
        pairs = client.decide_stream("offers.weekly", people())
        assert next(pairs)[0] == PEOPLE[1]
        assert (read, len(service.requests)) == (PART_ROWS, 1)
        assert sum(1 for _ in pairs) == 3 * PART_ROWS - 2


@pytest.mark.parametrize(
    "end",
    [pytest.param("", id="too little"), pytest.param(7 * line(PEOPLE[0]) + END, id="too much")],
)
def test_it_gives_up_where_no_usable_answer_comes(end: str) -> None:  # I11
    service = FakeService([answered(4, end)])
    with service.client(retries=RetryPolicy(first_delay=1000.0, longest_delay=1000.0)) as client:
        pairs = client.decide_stream("offers.weekly", PEOPLE)
        with pytest.raises(Unavailable):
            next(pairs)
    assert len(service.requests) == 1


def test_no_decision_stands_where_there_is_one_too_many() -> None:  # I11
    part = Part("offers.weekly", "email", PEOPLE[:2])
    part.read(line(PEOPLE[0]))
    part.read(line(PEOPLE[1]))
    with pytest.raises(Unavailable):
        part.read(line(PEOPLE[2]))
    assert part.decisions == []


def test_what_is_refused_is_not_tried_again() -> None:
    for refusal in (
        problem(403),
        answered(4, json.dumps({"end": False, "problem": {"status": 403}})),
    ):
        service = FakeService([refusal])
        with service.client() as client, pytest.raises(NotPermitted):
            list(client.decide_stream("offers.weekly", PEOPLE))
        assert len(service.requests) == 1


def test_the_async_client_does_the_same() -> None:
    async def work() -> list[str]:
        async with service.async_client() as client:
            stream = client.decide_stream("offers.weekly", PEOPLE)
            return [who async for who, decision in stream if decision.allow]

    service = FakeService([problem(503), answered(4, ""), answered()])
    with ThreadPoolExecutor(1) as thread:
        found = thread.submit(asyncio.run, work()).result()  # noqa: TID251 - in its own thread
    assert found == [who for who in PEOPLE if who not in DENIED]
    assert [len(asked(request)) for request in service.requests] == [10, 10, 6]
