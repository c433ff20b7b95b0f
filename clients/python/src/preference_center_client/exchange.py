"""One call with its retries, without I/O: the sync and the async client both drive this."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from uuid import uuid4

import httpx

from preference_center_client.connection import Connection, TimeLimits
from preference_center_client.errors import Unavailable, rejection
from preference_center_client.retries import RETRIED_STATUSES, parse_retry_after

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


def new_idempotency_key() -> str:
    """A key for one write: the service executes it once, however often it is sent."""
    return str(uuid4())


@dataclass(frozen=True, slots=True)
class Call(Generic[T_co]):
    """One operation of the API, and how to read its response."""

    method: str
    path: str
    parse: Callable[[Any], T_co]
    """Makes the result of the parsed JSON. Raises KeyError, TypeError or ValueError if it can't."""
    body: Any = None
    params: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None
    lines: bool = False
    """Whether the response is a JSON value per line; `parse` gets the list of them."""
    patient: bool = False
    """Whether it may take as long as a write."""

    @property
    def headers(self) -> dict[str, str]:
        """Headers of this call alone."""
        return {"Idempotency-Key": self.idempotency_key} if self.idempotency_key else {}

    def limits(self, connection: Connection) -> TimeLimits:
        """Those of a write, which has an idempotency key, or of a read."""
        return connection.write if self.idempotency_key or self.patient else connection.read


@dataclass(frozen=True, slots=True)
class Wait:
    """A request to the driver: wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Send:
    """A request to the driver: send the call, and return the response or the transport error.

    `timeout` bounds the attempt, and ends with the time of the whole call.
    """

    timeout: httpx.Timeout


Outcome = httpx.Response | httpx.RequestError | None


def exchange(
    call: Call[T],
    connection: Connection,
    *,
    clock: Callable[[], float],
    draw: Callable[[], float],
) -> Generator[Send | Wait, Outcome, T]:
    """Send the call until it succeeds, is rejected, or no time or attempt is left.

    Raises Unavailable or a Rejected. `clock` returns seconds, `draw` a number from 0 to 1.
    """
    limits = call.limits(connection)
    end = clock() + limits.call
    attempt = 0
    while True:
        attempt += 1
        outcome = yield Send(limits.to_httpx(end - clock()))
        try:
            return _read(call, outcome)
        except Unavailable as failure:
            left = end - clock()
            wait = connection.retries.delay(attempt, left, failure.retry_after, draw)
            if wait is None:
                raise
        yield Wait(wait)


def _describe(call: Call[Any], outcome: Outcome) -> Unavailable:
    """The error of a failed attempt. Transport errors are named by their class, not their text."""
    where = f"{call.method} {call.path}"
    if isinstance(outcome, httpx.Response):
        wait = parse_retry_after(outcome.headers.get("Retry-After"), datetime.now(UTC))
        return Unavailable(f"{where} was answered with {outcome.status_code}", wait)
    if isinstance(outcome, httpx.TimeoutException):
        return Unavailable(f"{where} took too long ({type(outcome).__name__})")
    return Unavailable(f"{where} could not be sent ({type(outcome).__name__})")


def _read(call: Call[T], response: Outcome) -> T:
    if not isinstance(response, httpx.Response) or response.status_code in RETRIED_STATUSES:
        raise _describe(call, response)
    try:
        body = _parse(response, lines=call.lines and response.is_success)
    except ValueError:
        body = None
    if not response.is_success:
        raise rejection(response.status_code, body)
    try:
        return call.parse(body)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unavailable(
            f"{call.method} {call.path}: the response can't be read ({type(error).__name__});"
            " is the URL that of the service?"
        ) from None


def _parse(response: httpx.Response, *, lines: bool) -> Any:
    if lines:
        return [json.loads(line) for line in response.content.splitlines()]
    return response.json() if response.content else None
