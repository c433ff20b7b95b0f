"""Errors of the API as problem documents (RFC 9457)."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import ParamSpec, TypeVar, get_args

import structlog
from flask import Response, request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import HTTPException

from preference_center.errors import (
    InvalidAddress,
    InvalidInput,
    PreferenceCenterError,
    UnknownTopic,
    WrongChannel,
)
from preference_center.extensions import services

log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")

MAX_FAULTS = 10_000
"""A whole batch may be wrong; a body made to be answered at length may not."""

RETRY_AFTER = 5
"""Seconds; a database that restarts is back by then."""


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
    "not-found", 404, "There is nothing at this address", "Compare the path with docs/api.md."
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
MALFORMED_JSON = Problem(
    "malformed-json", 400, "The body can't be read as JSON", "Mend the place named in `detail`."
)
INVALID_BODY = Problem(
    "invalid-body",
    422,
    "The body has faults; nothing was written",
    "Mend what `errors` lists: `pointer` (RFC 6901) leads to each fault.",
)
UNKNOWN_TOPIC = Problem(
    "unknown-topic",
    422,
    "The catalogue has no such topic; nothing was written",
    "Use a topic of the catalogue, or `all_marketing` where a scope is asked for.",
)
UNUSABLE_ADDRESS = Problem(
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
FAULT = Problem(
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

_OF_STATUS = {
    problem.status: problem
    for problem in (NOT_FOUND, WRONG_METHOD, TOO_LARGE, WRONG_CONTENT_TYPE, FAULT)
}
_OF_ERROR: Mapping[type[InvalidInput], Problem] = {
    InvalidAddress: UNUSABLE_ADDRESS,
    UnknownTopic: UNKNOWN_TOPIC,
    WrongChannel: WRONG_CHANNEL,
}


class Refused(PreferenceCenterError):
    """The request ends here, with this problem."""

    def __init__(
        self, problem: Problem, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.problem = problem
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a body. `pointer` is a JSON pointer (RFC 6901), `code` stable."""

    pointer: str
    code: str
    detail: str


class InvalidBody(InvalidInput):
    """The body was read but can't be used; lists every fault."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(f"{len(faults)} faults in the body")
        self.faults = tuple(faults)


@dataclass(slots=True)
class Faults:
    """Collects what is wrong with the rows of a body, so that it can be told at once."""

    found: list[Fault] = field(default_factory=list)

    def attempt(
        self, pointer: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T | None:
        """What `work` returns; or None once its InvalidInput is noted under `pointer`."""
        try:
            return work(*args, **kwargs)
        except InvalidInput as error:
            problem = _OF_ERROR.get(type(error))
            code = problem.slug if problem else "invalid-value"
            self.found.append(Fault(pointer, code, str(error)))
            return None

    def refuse_any(self) -> None:
        """Raises InvalidBody if anything was wrong."""
        if self.found:
            raise InvalidBody(self.found)


def respond(
    problem: Problem,
    detail: str,
    faults: Sequence[Fault] = (),
    headers: Mapping[str, str] | None = None,
    status: int | None = None,
) -> Response:
    """The problem document."""
    status = status or problem.status
    document: dict[str, object] = {
        "type": problem.type,
        "title": problem.title,
        "status": status,
        "detail": detail,
    }
    if faults:
        document["errors"] = [asdict(fault) for fault in faults[:MAX_FAULTS]]
    if len(faults) > MAX_FAULTS:
        document["errors_left_out"] = len(faults) - MAX_FAULTS
    return Response(
        json.dumps(document),
        status,
        {**(headers or {}), "Cache-Control": "no-store"},
        mimetype="application/problem+json",
    )


def respond_to_refused(error: Refused) -> Response:
    """Answer what a view refused."""
    return respond(error.problem, str(error), headers=error.headers)


def respond_to_invalid(error: InvalidInput) -> Response:
    """Answer a body that can't be used; one kind of fault alone names the type."""
    if not isinstance(error, InvalidBody):
        problem = _OF_ERROR.get(type(error), INVALID_BODY)
        return respond(problem, str(error))
    codes = {fault.code for fault in error.faults}
    problem = PROBLEMS.get(codes.pop(), INVALID_BODY) if len(codes) == 1 else INVALID_BODY
    first = error.faults[0]
    count = len(error.faults)
    return respond(
        problem,
        first.detail if count == 1 else f"There are {count} faults; the first: {first.detail}",
        error.faults,
    )


def respond_to_unavailable(error: Exception) -> Response:
    """Answer while the database is away, or before there is a catalogue."""
    log.warning("unavailable", endpoint=request.endpoint, error=type(error).__name__)
    return respond(UNAVAILABLE, str(error), headers={"Retry-After": str(RETRY_AFTER)})


def respond_to_unexpected(error: Exception) -> Response:
    """Answer, and log, what should not have happened."""
    log.error("unexpected", endpoint=request.endpoint, exc_info=error)
    return respond(FAULT, FAULT.remedy)


def respond_to_http(error: HTTPException) -> Response:
    """Answer what Flask or Werkzeug refused, with the headers that it wanted sent."""
    status = error.code or 500
    problem = _OF_STATUS.get(status)
    if problem is None:
        name = HTTPStatus(status).phrase
        problem = Problem(name.lower().replace(" ", "-"), status, name, "")
    headers = {name: value for name, value in error.get_headers() if name != "Content-Type"}
    return respond(problem, problem.remedy or problem.title, headers=headers)


def faults_of(error: ValidationError, model: type[BaseModel]) -> list[Fault]:
    """The faults that pydantic found, each with what to mend, none with what was sent."""
    return [
        Fault(_pointer(fault["loc"]), *_told(fault["type"], fault["msg"], fault["loc"], model))
        for fault in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def _told(
    kind: str, message: str, path: Sequence[int | str], model: type[BaseModel]
) -> tuple[str, str]:
    if kind == "missing":
        return "missing-field", f"the field {path[-1]} is missing"
    if kind == "extra_forbidden":
        return "unknown-field", _unknown_field(path, model)
    code = "wrong-type" if kind.endswith("_type") else "invalid-value"
    return code, message.removeprefix("Value error, ")


def _unknown_field(path: Sequence[int | str], model: type[BaseModel]) -> str:
    for step in path[:-1]:
        known = model.model_fields.get(step) if isinstance(step, str) else None
        model = next(_models_in(known.annotation if known else None), model)
    near = difflib.get_close_matches(str(path[-1])[:100], model.model_fields, n=1, cutoff=0.6)
    if near:
        return f"there is no such field here: did you mean {near[0]}?"
    return f"there is no such field here: the fields are {', '.join(model.model_fields)}"


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The bodies that a field may hold: itself, or within `X | None` and `dict[str, X]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _pointer(path: Iterable[int | str]) -> str:
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)
