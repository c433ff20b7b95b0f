"""What a call may raise. No message holds an address, a key or a token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class PreferenceCenterError(Exception):
    """Base of all errors of this package."""


class Unavailable(PreferenceCenterError):
    """There was no usable response in time, after every retry.

    The service could not be reached, took too long, is overloaded (429, 503), failed (other 5xx)
    or sent something unreadable. What was asked is unknown, and unknown means no: do not send
    marketing. Send service mail all the same.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds after which the service asked to be tried again, if it did."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing to fix in a request."""

    pointer: str
    """Where it is in the body (RFC 6901); empty for the body as a whole."""
    code: str
    detail: str


class Rejected(PreferenceCenterError):
    """The service refused the request: repeating it unchanged does not help (RFC 9457).

    `type` is stable, for programs, e.g. `unknown-topic`; `detail` is for people.
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.type = str(problem.get("type", "")).rpartition("/")[2] or "about:blank"
        self.title = str(problem.get("title", ""))
        self.detail = str(problem.get("detail", ""))
        self.errors = tuple(
            FieldError(
                str(each.get("pointer", each.get("parameter", ""))),
                str(each.get("code", "")),
                str(each.get("detail", "")),
            )
            for each in problem.get("errors") or ()
        )
        super().__init__(f"{status} {self.type}: {self.detail or self.title}")


class Unauthenticated(Rejected):
    """401: the key is missing, unknown or revoked."""


class NotPermitted(Rejected):
    """403: the key lacks a scope or a message type; `detail` names it."""


class Conflict(Rejected):
    """409: not possible in the current state."""


class StaleWatermark(Rejected):
    """410: the database was restored; start again from a snapshot."""


class InvalidRequest(Rejected):
    """400, 413, 415 or 422: fix what `errors` lists."""


_BY_STATUS: Mapping[int, type[Rejected]] = {
    400: InvalidRequest,
    401: Unauthenticated,
    403: NotPermitted,
    409: Conflict,
    410: StaleWatermark,
    413: InvalidRequest,
    415: InvalidRequest,
    422: InvalidRequest,
}


def rejection(status: int, problem: object) -> Rejected:
    """The error for a 3xx or 4xx; `problem` is the parsed body, whatever it is."""
    fields = problem if isinstance(problem, Mapping) else {}
    return _BY_STATUS.get(status, Rejected)(status, fields)
