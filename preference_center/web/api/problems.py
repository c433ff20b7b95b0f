"""The API responds with these problem types (RFC 9457), which a view raises as errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, ParamSpec, TypeVar

from preference_center.core.channels import CHANNEL_CHOICE
from preference_center.core.errors import (
    AddressConflict,
    ExternalIdConflict,
    ForbiddenTransition,
    InvalidAddress,
    InvalidInput,
    PreferenceCenterError,
    StaleWatermark,
    UnderHold,
    UnknownContact,
    UnknownErasure,
    UnknownRequest,
    UnknownTopic,
    UnreadableBody,
    WrongChannel,
)
from preference_center.infra.context import services

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem type; `slug` is the last segment of its stable `type` URI."""

    slug: str
    status: int
    title: str
    remedy: str

    @property
    def type(self) -> str:
        """The URI. A GET of it returns the remedy."""
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
    "No resource has this path",
    "`/v1/docs` lists all paths.",
)
WRONG_METHOD = Problem(
    "wrong-method", 405, "This method is not supported here", "`Allow` lists the supported methods."
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
    "unsupported-list-format",
    415,
    "The body is not a list of recipients",
    "Send `Content-Type: application/x-ndjson` or `text/csv`, in UTF-8, as it is or with"
    " `Content-Encoding: gzip`.",
)
MALFORMED_JSON = Problem(
    "malformed-json", 400, "The body is not valid JSON", "Fix the position given in `detail`."
)
INVALID_BODY = Problem(
    "invalid-body",
    422,
    "The body has errors; nothing was written",
    "Fix the fields listed in `errors`: `pointer` (RFC 6901) locates each error.",
)
RULE_VIOLATION = Problem(
    "rule-violation",
    422,
    "A rule forbids this; nothing was written",
    "`detail` names the rule, e.g. a time in the future or a retired topic.",
)
UNKNOWN_TOPIC = Problem(
    "unknown-topic",
    422,
    "The catalogue has no such topic; nothing was written",
    "Use a topic of the catalogue, or `all_marketing` where a scope is asked for.",
)
INVALID_ADDRESS = Problem(
    "invalid-address",
    422,
    "An address is invalid; nothing was written",
    f"Fix the address, or set `channel` to the one it belongs to: {CHANNEL_CHOICE}.",
)
WRONG_CHANNEL = Problem(
    "wrong-channel",
    422,
    "The topic is sent by another channel; nothing was written",
    "Use a topic of the address's channel, or the address that the topic is sent to.",
)
SCOPE_PROBLEMS = (INVALID_ADDRESS, UNKNOWN_TOPIC, WRONG_CHANNEL)
"""Of a row with an address and what it may be sent."""
UNKNOWN_CONTACT = Problem(
    "unknown-contact",
    422,
    "There is no such contact; nothing was written",
    "Select it by an external id or address that was sent to `/v1/contacts`, or by the `contact`"
    " of a response.",
)
ADDRESS_CONFLICT = Problem(
    "address-conflict",
    422,
    "An address belongs to another contact; nothing was written",
    "If both contacts are one person, merge them: `/v1/contacts/merge`. Else omit the address.",
)
EXTERNAL_ID_CONFLICT = Problem(
    "external-id-conflict",
    422,
    "The addresses belong to a contact with another external id; nothing was written",
    "If both are one person, send that external id and merge them: `/v1/contacts/merge`.",
)
INVALID_QUERY = Problem(
    "invalid-query",
    422,
    "The parameters of the URL have errors",
    "Fix the parameters listed in `errors`.",
)
INVALID_CURSOR = Problem(
    "invalid-cursor",
    422,
    "This cursor is invalid, or belongs to another list",
    "Pass `next` of the previous page unchanged, with the same other parameters, or start again"
    " without a cursor.",
)
STALE_WATERMARK = Problem(
    "stale-watermark",
    410,
    "This watermark belongs to another epoch of the database",
    "Start again from a snapshot: changes that you received after the last backup may be lost.",
)
IMPORT_CONFLICT = Problem(
    "import-conflict",
    409,
    "The import is in another state, or is being processed; nothing was changed",
    "Read the import again: `state` has its current state, `detail` the reason.",
)
REQUEST_CONFLICT = Problem(
    "request-conflict",
    409,
    "The data-subject request is in another state; nothing was changed",
    "Read the request again: `detail` states what has to come first.",
)
UNDER_HOLD = Problem(
    "under-hold",
    409,
    "A legal hold forbids this; nothing was erased",
    "`detail` names its ground. Tell the person; erase them when the hold has ended.",
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
    "Create a new key for each request, and repeat a key only with the same body.",
)
RATE_LIMITED = Problem(
    "rate-limited",
    429,
    "The API key has exceeded its rate limit",
    "Try again after `Retry-After` seconds. Until then do not send: unknown means deny.",
)
INTERNAL_ERROR = Problem(
    "internal-error",
    500,
    "Internal server error",
    "Try again; if it persists, contact the operator.",
)
UNAVAILABLE = Problem(
    "unavailable",
    503,
    "The service is temporarily unavailable; nothing was written",
    "Try again after `Retry-After` seconds. Until then do not send: unknown means deny.",
)

ERASURES_NOT_REPLAYED = Problem(
    "erasures-not-replayed",
    503,
    "The database was restored and lacks what was recorded since its backup, or the erasure journal"
    " is not there to compare",
    "An operator does what `detail` says: docs/backup.md#after-a-restore."
    " Until then do not send: unknown means deny.",
)

PROBLEMS: Mapping[str, Problem] = {
    problem.slug: problem for problem in list(globals().values()) if isinstance(problem, Problem)
}

PROBLEM_BY_ERROR: Mapping[type[InvalidInput], Problem] = {
    InvalidAddress: INVALID_ADDRESS,
    StaleWatermark: STALE_WATERMARK,
    AddressConflict: ADDRESS_CONFLICT,
    ExternalIdConflict: EXTERNAL_ID_CONFLICT,
    ForbiddenTransition: REQUEST_CONFLICT,
    UnknownContact: UNKNOWN_CONTACT,
    UnderHold: UNDER_HOLD,
    UnknownErasure: NOT_FOUND,
    UnknownRequest: NOT_FOUND,
    UnknownTopic: UNKNOWN_TOPIC,
    UnreadableBody: INVALID_BODY,
    WrongChannel: WRONG_CHANNEL,
}
"""Domain errors that have their own problem type."""


class ApiError(PreferenceCenterError):
    """Ends the request with this problem."""

    def __init__(
        self, problem: Problem, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.problem = problem
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class FieldError:
    """One error in a body. `pointer` is a JSON pointer (RFC 6901); `code` is stable."""

    pointer: str
    code: str
    detail: str

    @property
    def place(self) -> str:
        """Where it is."""
        return self.pointer

    @property
    def message(self) -> str:
        """Pointer and detail, for `detail`; the pointer of the whole body is empty."""
        return f"{self.pointer}: {self.detail}" if self.pointer else self.detail


@dataclass(frozen=True, slots=True)
class ParameterError:
    """One error in a URL's query."""

    parameter: str
    code: str
    detail: str

    @property
    def place(self) -> str:
        """Where it is."""
        return self.parameter

    @property
    def message(self) -> str:
        """Parameter and detail, for `detail`."""
        return f"{self.parameter}: {self.detail}"


class InvalidRequest(InvalidInput):
    """The request was parsed but is invalid; lists every error."""

    problem: ClassVar[Problem]

    def __init__(self, errors: Sequence[FieldError | ParameterError]) -> None:
        super().__init__(f"{len(errors)} errors in the request")
        self.errors = tuple(errors)


class InvalidBody(InvalidRequest):
    """The body is invalid."""

    problem = INVALID_BODY


class InvalidQuery(InvalidRequest):
    """The URL's query is invalid."""

    problem = INVALID_QUERY


@dataclass(slots=True)
class FieldErrors:
    """Collects the errors of all rows of a body, so that one response reports all of them."""

    errors: list[FieldError] = field(default_factory=list)

    def collect(
        self, pointer: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T | None:
        """Call `function`. If it raises InvalidInput, record that at `pointer` and return None."""
        try:
            return function(*args, **kwargs)
        except InvalidInput as error:
            problem = PROBLEM_BY_ERROR.get(type(error), RULE_VIOLATION)
            self.errors.append(FieldError(pointer, problem.slug, str(error)))
            return None

    def raise_if_any(self) -> None:
        """Raises InvalidBody if any error was recorded."""
        if self.errors:
            raise InvalidBody(self.errors)
