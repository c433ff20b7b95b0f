"""A list of any length in parts, without I/O: the sync and the async client both drive this.

Only what has no answer yet is sent again, so an answer that broke off costs nothing twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import httpx

from preference_center_client.connection import CONNECT_SECONDS
from preference_center_client.errors import Unavailable, rejection
from preference_center_client.models import Channel, Decision, read_decision
from preference_center_client.retries import RETRIED_STATUSES, RetryPolicy, parse_retry_after

PATH = "/v1/decisions/stream"
PART_ROWS = 20_000
"""Rows of one request: both it and the response are in memory. The service buffers 32 MiB of a
client that sends everything before it reads."""

PATIENCE_SECONDS = 900.0
"""For which a list waits for the next answer, from failure to failure."""

TIMEOUT = httpx.Timeout(240.0, connect=CONNECT_SECONDS)
"""Of one attempt, between two pieces: the service waits three minutes for its database."""

_ATTEMPTS = 1_000
"""More than there is time for."""


@dataclass(slots=True)
class Part:
    """Rows in their order, and the decisions about the first of them."""

    message_type: str
    channel: Channel
    rows: list[str]
    decisions: list[Decision] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether each row has its decision."""
        return len(self.decisions) == len(self.rows)

    def request(self) -> dict[str, Any]:
        """What httpx needs to ask about the rows without one."""
        left = self.rows[len(self.decisions) :]
        return {
            "method": "POST",
            "url": PATH,
            "params": {"message_type": self.message_type, "channel": self.channel},
            "headers": {"Content-Type": "application/x-ndjson"},
            "content": "".join(f"{json.dumps(row)}\n" for row in left).encode(),
            "timeout": TIMEOUT,
        }

    def read(self, line: str) -> None:
        """Take in a line of the response. Raises Unavailable or a Rejected where it ends early."""
        try:
            row = json.loads(line)
            if "end" not in row:
                self._add(read_decision(row))
                return
            problem = None if row["end"] else row["problem"]
            status = int(problem["status"]) if problem else 0
        except (KeyError, TypeError, ValueError) as error:
            raise Unavailable(
                f"POST {PATH}: the response can't be read ({type(error).__name__})"
            ) from None
        if problem:
            raise_failure(status, {}, problem)

    def _add(self, decision: Decision) -> None:
        if self.is_done:  # whose are they?
            self.decisions.clear()
            raise ValueError("there are more decisions than recipients")
        self.decisions.append(decision)

    def ensure_done(self) -> None:
        """Raise Unavailable unless each row has its decision."""
        if not self.is_done:
            raise Unavailable(f"the response to POST {PATH} broke off")


def raise_failure(status: int, headers: Mapping[str, str], problem: object) -> None:
    """Raise Unavailable for a status after which the rest may be sent again, else a Rejected."""
    if status in RETRIED_STATUSES:
        wait = parse_retry_after(headers.get("Retry-After"), datetime.now(UTC))
        raise Unavailable(f"POST {PATH} was answered with {status}", wait)
    raise rejection(status, problem)


def parse_problem(text: str) -> object:
    """The problem document of a response; None if it has none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def parts(message_type: str, recipients: Iterable[str], channel: Channel) -> Iterator[Part]:
    """The list in requests, read as far as needed."""
    rows = iter(recipients)
    while part := list(islice(rows, PART_ROWS)):
        yield Part(message_type, channel, part)


class Patience:
    """How long to wait after each failure of one part."""

    def __init__(
        self, policy: RetryPolicy, clock: Callable[[], float], draw: Callable[[], float]
    ) -> None:
        """`clock` returns seconds, `draw` a number from 0 to 1."""
        self._policy = replace(policy, attempts=_ATTEMPTS)
        self._clock, self._draw = clock, draw
        self._decided = -1
        self._attempt, self._end = 0, 0.0

    def begin(self, part: Part) -> None:
        """Before an attempt: the time begins again with each answer."""
        if len(part.decisions) > self._decided:
            self._decided = len(part.decisions)
            self._attempt, self._end = 0, self._clock() + PATIENCE_SECONDS

    def wait(self, part: Part, error: httpx.RequestError | Unavailable) -> float:
        """Seconds to wait after a failure. Raises Unavailable if that is too long."""
        self.begin(part)
        self._attempt += 1
        if isinstance(error, httpx.RequestError):
            error = Unavailable(f"POST {PATH} could not be sent ({type(error).__name__})")
        left = self._end - self._clock()
        seconds = self._policy.delay(self._attempt, left, error.retry_after, self._draw)
        if seconds is None:
            raise error
        return seconds
