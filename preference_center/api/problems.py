"""The kinds of problems that the API answers with (RFC 9457), and how a view raises them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, ParamSpec, TypeVar

from preference_center.errors import (
    AddressConflict,
    ExternalIdConflict,
    InvalidAddress,
    InvalidInput,
    PreferenceCenterError,
    StaleWatermark,
    UnknownContact,
    UnknownTopic,
    UnreadableBody,
    WrongChannel,
)
from preference_center.extensions import services

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of problem; `slug` ends its stable `type` URI."""

    slug: str
    status: int
    title: str
    remedy: str

    @property
    def type(self) -> str:
        """The URI, which also answers with the remedy."""
        return f"{services().settings.public_url.rstrip('/')}/problems/{self.slug}"


UNAUTHENTICATED = Problem(
    "unauthenticated",
    401,
    "The API key is missing, unknown or revoked",
    "Send `Authorization: Bearer KEY`, with a key made by `flask keys add`.",
)
NOT_PERMITTED = Problem(
    "not-permitted",
    403,
    "The API key may not do this",
    "Use a key that has the scope and message type named in `detail`. The attempt was recorded.",
)
NOT_FOUND = Problem(
    "not-found",
    404,
    "There is nothing at this address",
    "`/v1/docs` lists the paths that there are.",
)
WRONG_METHOD = Problem(
    "wrong-method", 405, "This method is not offered here", "`Allow` names the methods that are."
)
TOO_LARGE = Problem(
    "too-large", 413, "The body is too large", "Send fewer rows per request: up to 10,000."
)
WRONG_CONTENT_TYPE = Problem(
    "wrong-content-type",
    415,
    "The body is not plain JSON",
    "Send `Content-Type: application/json`, in UTF-8, without Content-Encoding.",
)
UNSUPPORTED_LIST_FORMAT = Problem(
    "not-a-list",
    415,
    "The body is no list of recipients",
    "Send `Content-Type: application/x-ndjson` or `text/csv`, in UTF-8, as it is or with"
    " `Content-Encoding: gzip`.",
)
MALFORMED_JSON = Problem(
    "malformed-json", 400, "The body can't be read as JSON", "Mend the place named in `detail`."
)
INVALID_BODY = Problem(
    "invalid-body",
    422,
    "The body has faults; nothing was written",
    "Mend what `errors` lists: `pointer` (RFC 6901) leads to each fault.",
)
RULE_VIOLATION = Problem(
    "against-the-rules",
    422,
    "A rule forbids this; nothing was written",
    "`detail` names the rule, e.g. that a time lies in the future or a topic is retired.",
)
UNKNOWN_TOPIC = Problem(
    "unknown-topic",
    422,
    "The catalogue has no such topic; nothing was written",
    "Use a topic of the catalogue, or `all_marketing` where a scope is asked for.",
)
INVALID_ADDRESS = Problem(
    "unusable-address",
    422,
    "An address can't be read; nothing was written",
    "Mend the address, or name the channel it belongs to: email, sms or phone.",
)
WRONG_CHANNEL = Problem(
    "wrong-channel",
    422,
    "The topic is sent by another channel; nothing was written",
    "Use a topic of the address's channel, or the address that the topic is sent to.",
)
UNKNOWN_CONTACT = Problem(
    "unknown-contact",
    422,
    "There is no such contact; nothing was written",
    "Name it by an external id or address that was sent to `/v1/contacts`, or by `contact` of"
    " an answer.",
)
ADDRESS_CONFLICT = Problem(
    "taken-address",
    422,
    "An address belongs to another contact; nothing was written",
    "If the two are one person, merge them: `/v1/contacts/merge`. Else leave the address out.",
)
EXTERNAL_ID_CONFLICT = Problem(
    "taken-external-id",
    422,
    "The addresses belong to a contact with another external id; nothing was written",
    "If the two are one person, send the one external id and merge them: `/v1/contacts/merge`.",
)
INVALID_QUERY = Problem(
    "invalid-query",
    422,
    "The parameters of the URL have faults",
    "Mend what `errors` lists: `parameter` names each.",
)
INVALID_CURSOR = Problem(
    "invalid-cursor",
    422,
    "This cursor is none of ours, or belongs to another list",
    "Pass on `next` of the page before as it came, with the same other parameters; or begin"
    " anew without a cursor.",
)
STALE_WATERMARK = Problem(
    "stale-watermark",
    410,
    "The database is on another line of history than this watermark",
    "Start again from a snapshot: what you were told since the last backup may not be so any more.",
)
IMPORT_CONFLICT = Problem(
    "import-moved",
    409,
    "The import has moved on, or is at work; nothing was changed",
    "Look at the import again: `state` tells what it is, `detail` what is in the way.",
)
INVALID_IDEMPOTENCY_KEY = Problem(
    "invalid-idempotency-key",
    400,
    "The Idempotency-Key can't be used",
    "Send 1 to 255 visible ASCII characters, once; a UUID is best.",
)
IDEMPOTENCY_KEY_REUSED = Problem(
    "idempotency-key-reused",
    422,
    "This Idempotency-Key was used for another request; nothing was written",
    "Make a new key for each request, and repeat one only with the very same body.",
)
RATE_LIMITED = Problem(
    "rate-limited",
    429,
    "The API key has asked too often",
    "Try again after `Retry-After` seconds. Until then don't send: unknown means no.",
)
INTERNAL_ERROR = Problem(
    "fault", 500, "Something broke on our side", "Try again; if it stays, tell the operator."
)
UNAVAILABLE = Problem(
    "unavailable",
    503,
    "The service can't answer just now; nothing was written",
    "Try again after `Retry-After` seconds. Until then don't send: unknown means no.",
)

PROBLEMS: Mapping[str, Problem] = {
    problem.slug: problem for problem in list(globals().values()) if isinstance(problem, Problem)
}

PROBLEM_BY_ERROR: Mapping[type[InvalidInput], Problem] = {
    InvalidAddress: INVALID_ADDRESS,
    StaleWatermark: STALE_WATERMARK,
    AddressConflict: ADDRESS_CONFLICT,
    ExternalIdConflict: EXTERNAL_ID_CONFLICT,
    UnknownContact: UNKNOWN_CONTACT,
    UnknownTopic: UNKNOWN_TOPIC,
    UnreadableBody: INVALID_BODY,
    WrongChannel: WRONG_CHANNEL,
}
"""Errors of the rules that have a problem of their own."""


class ApiError(PreferenceCenterError):
    """The request ends here, with this problem."""

    def __init__(
        self, problem: Problem, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.problem = problem
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault of a body. `pointer` is a JSON pointer (RFC 6901), `code` stable."""

    pointer: str
    code: str
    detail: str

    @property
    def message(self) -> str:
        """Where and what, for who reads no `errors`; the whole body's pointer is empty."""
        return f"{self.pointer}: {self.detail}" if self.pointer else self.detail


@dataclass(frozen=True, slots=True)
class ParameterError:
    """One fault of a URL's query."""

    parameter: str
    code: str
    detail: str

    @property
    def message(self) -> str:
        """Where and what, for who reads no `errors`."""
        return f"{self.parameter}: {self.detail}"


class InvalidRequest(InvalidInput):
    """What was sent was read but can't be used; lists every fault."""

    problem: ClassVar[Problem]

    def __init__(self, errors: Sequence[FieldError | ParameterError]) -> None:
        super().__init__(f"{len(errors)} faults in what was sent")
        self.errors = tuple(errors)


class InvalidBody(InvalidRequest):
    """It is the body."""

    problem = INVALID_BODY


class InvalidQuery(InvalidRequest):
    """It is the URL's query."""

    problem = INVALID_QUERY


@dataclass(slots=True)
class FieldErrors:
    """Collects what is wrong with the rows of a body, so that it can be told at once."""

    errors: list[FieldError] = field(default_factory=list)

    def collect(
        self, pointer: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T | None:
        """What `work` returns; or None once its InvalidInput is noted under `pointer`."""
        try:
            return function(*args, **kwargs)
        except InvalidInput as error:
            problem = PROBLEM_BY_ERROR.get(type(error), RULE_VIOLATION)
            self.errors.append(FieldError(pointer, problem.slug, str(error)))
            return None

    def raise_if_any(self) -> None:
        """Raises InvalidBody if anything was wrong."""
        if self.errors:
            raise InvalidBody(self.errors)
