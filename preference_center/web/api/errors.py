"""The API responds with problem documents (RFC 9457), and with headers for a key's rate limit.

The headers are those of
https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from http import HTTPStatus
from typing import get_args

import structlog
from flask import Response, g, request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import HTTPException

from preference_center.core.errors import InvalidInput, ReplayPending, Unavailable
from preference_center.infra.context import Services
from preference_center.infra.redis import UNLIMITED, RateLimitStatus
from preference_center.web.api.keys import ApiKey, count_key_use
from preference_center.web.api.problems import (
    ERASURES_NOT_REPLAYED,
    INTERNAL_ERROR,
    NOT_FOUND,
    PROBLEM_BY_ERROR,
    PROBLEMS,
    RATE_LIMITED,
    RULE_VIOLATION,
    TOO_LARGE,
    UNAVAILABLE,
    WRONG_CONTENT_TYPE,
    WRONG_METHOD,
    ApiError,
    FieldError,
    InvalidRequest,
    ParameterError,
    Problem,
)


def consume_allowance(key: ApiKey, context: Services) -> RateLimitStatus | None:
    """Count this request; None if the key has no limit. Raises ApiError above the limit."""
    rate = key.rate or context.settings.api_rate
    if rate == UNLIMITED:
        return None
    allowance = context.limiter.acquire(rate, "api", key.name)
    if not allowance.allowed:
        count_key_use(key.name, context.now(), limited=1)
        set_problem_allowance(allowance)
        raise ApiError(
            RATE_LIMITED, RATE_LIMITED.remedy, {"Retry-After": str(allowance.reset_seconds)}
        )
    return allowance


def add_rate_limit_headers(response: Response, allowance: RateLimitStatus | None) -> Response:
    """Add what remains of the rate to the response."""
    if allowance:
        rate, left = allowance.rate, f'"key";r={allowance.remaining};t={allowance.reset_seconds}'
        response.headers.add("RateLimit-Policy", f'"key";q={rate.limit};w={rate.window_seconds}')
        response.headers.add("RateLimit", left)
    return response


def set_problem_allowance(allowance: RateLimitStatus | None) -> None:
    """Keep the status for the headers of this request's problem document, if it ends in one."""
    g.allowance = allowance


def problem_allowance() -> RateLimitStatus | None:
    """The status that `set_problem_allowance` kept."""
    allowance: RateLimitStatus | None = g.get("allowance")
    return allowance


log = structlog.get_logger()


MAX_ERRORS = 10_000
"""Enough for a whole batch; limits the response to a body made to produce a long one."""


MAX_REPEATED_CHARACTERS = 60
"""What is longer, say the topics of the catalogue, is said once and not for each of 10,000 rows."""


RETRY_AFTER_SECONDS = 5
"""A restarting database is usually available again by then."""


_PROBLEM_BY_STATUS = {
    problem.status: problem
    for problem in (NOT_FOUND, WRONG_METHOD, TOO_LARGE, WRONG_CONTENT_TYPE, INTERNAL_ERROR)
}


def problem_response(
    problem: Problem,
    detail: str,
    errors: Sequence[FieldError | ParameterError] = (),
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
    if errors:
        document["errors"] = list(_entries(errors[:MAX_ERRORS]))
    if len(errors) > MAX_ERRORS:
        document["errors_left_out"] = len(errors) - MAX_ERRORS
    response = Response(
        json.dumps(document),
        status,
        {**(headers or {}), "Cache-Control": "no-store"},
        mimetype="application/problem+json",
    )
    return add_rate_limit_headers(response, problem_allowance())


def _entries(errors: Iterable[FieldError | ParameterError]) -> Iterator[dict[str, str]]:
    """Each error as JSON; a long detail that an earlier one has refers to that one."""
    first: dict[str, str] = {}
    for error in errors:
        entry = asdict(error)
        if len(error.detail) > MAX_REPEATED_CHARACTERS:
            place = first.setdefault(error.detail, error.place)
            if place not in {"", error.place}:
                entry["detail"] = f"as at {place}"
        yield entry


def handle_api_error(error: ApiError) -> Response:
    """The response to an error that a view raised."""
    return problem_response(error.problem, str(error), headers=error.headers)


def handle_invalid_input(error: InvalidInput) -> Response:
    """The response to invalid input. If all errors have one code, that is the problem type."""
    if not isinstance(error, InvalidRequest):
        problem = PROBLEM_BY_ERROR.get(type(error), RULE_VIOLATION)
        return problem_response(problem, str(error))
    codes = {each.code for each in error.errors}
    problem = PROBLEMS.get(codes.pop(), error.problem) if len(codes) == 1 else error.problem
    count = len(error.errors)
    first = error.errors[0].message
    return problem_response(
        problem,
        first if count == 1 else f"There are {count} errors; the first: {first}",
        error.errors,
    )


def handle_unavailable(error: Exception) -> Response:
    """The response while the database is unavailable, or before a catalogue was applied."""
    fields = error.log_fields if isinstance(error, Unavailable) else {}
    log.warning("unavailable", endpoint=request.endpoint, error=type(error).__name__, **fields)
    problem = ERASURES_NOT_REPLAYED if isinstance(error, ReplayPending) else UNAVAILABLE
    return problem_response(problem, str(error), headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def handle_unexpected_error(error: Exception) -> Response:
    """Log an unexpected error, and return the response to it."""
    log.error("unexpected", endpoint=request.endpoint, exc_info=error)
    return problem_response(INTERNAL_ERROR, INTERNAL_ERROR.remedy)


def handle_http_exception(error: HTTPException) -> Response:
    """The response to an error of Flask or Werkzeug, with its headers."""
    status = error.code or 500
    problem = _PROBLEM_BY_STATUS.get(status)
    if problem is None:
        name = HTTPStatus(status).phrase
        problem = Problem(name.lower().replace(" ", "-"), status, name, "")
    headers = {name: value for name, value in error.get_headers() if name != "Content-Type"}
    return problem_response(problem, problem.remedy or problem.title, headers=headers)


def field_errors_from(error: ValidationError, model: type[BaseModel]) -> list[FieldError]:
    """The errors that pydantic found, each with its remedy and without the input."""
    return [
        FieldError(
            _json_pointer(each["loc"]),
            *_code_and_detail(each["type"], each["msg"], each["loc"], model),
        )
        for each in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def parameter_errors_from(error: ValidationError, model: type[BaseModel]) -> list[ParameterError]:
    """The same for the parameters of a URL."""
    return [
        ParameterError(each.pointer.removeprefix("/"), each.code, each.detail)
        for each in field_errors_from(error, model)
    ]


def _code_and_detail(
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
    """The models in an annotation: itself, or within `X | None` and `dict[str, X]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _json_pointer(path: Iterable[int | str]) -> str:
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)
