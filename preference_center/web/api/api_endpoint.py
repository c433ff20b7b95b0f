"""`endpoint`: one decorator that makes a view an operation of the API, and documents it.

A request passes, in this order: authentication, rate limit, scopes, the stored response of an
earlier request with the same Idempotency-Key, parsing of the body or query, the view.
docs/api.md describes what senders see of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from types import MappingProxyType
from typing import Any

from apiflask.scaffold import APIScaffold
from flask import Blueprint, Response, request
from pydantic import BaseModel

from preference_center.core.events import Change, Retraction
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.infra.hooks import Hook
from preference_center.ledger import record
from preference_center.ledger.recording import RecordResult
from preference_center.ledger.rules import RequestOrigin
from preference_center.web.api import openapi, problems, rate_limit
from preference_center.web.api.api_keys import ApiKey, KeyScope
from preference_center.web.api.authentication import authenticate, require_scope
from preference_center.web.api.deprecation import Deprecation
from preference_center.web.api.idempotency import (
    IDEMPOTENCY_KEY_PARAMETER,
    ConcurrentRequest,
    IdempotentRequest,
)
from preference_center.web.api.key_usage import count_key_use
from preference_center.web.api.parsing import (
    QueryParameters,
    RequestBody,
    one_or_many,
    parse_body,
    read_query,
    read_rows,
)
from preference_center.web.api.problems import Problem

PREFIX = "/v1"
BLUEPRINT_NAME = "api"

DEPRECATIONS: dict[str, Deprecation] = {}
"""The deprecated operations, by Flask's name of the endpoint."""

JsonBody = bytes | str | BaseModel
View = Callable[..., Response]

_COMMON_PROBLEMS = (
    problems.UNAUTHENTICATED,
    problems.NOT_PERMITTED,
    problems.RATE_LIMITED,
    problems.INTERNAL_ERROR,
    problems.UNAVAILABLE,
    problems.ERASURES_NOT_REPLAYED,
)
_BODY_PROBLEMS = (
    problems.TOO_LARGE,
    problems.WRONG_CONTENT_TYPE,
    problems.MALFORMED_JSON,
    problems.INVALID_BODY,
    problems.RULE_VIOLATION,
)
_WRITE_PROBLEMS = (problems.INVALID_IDEMPOTENCY_KEY, problems.IDEMPOTENCY_KEY_REUSED)

_ANNOTATIONS = APIScaffold()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An operation of the API, as `endpoint` makes it. A module lists its own as ROUTES."""

    method: str
    path: str
    view: View

    def register(self, blueprint: Blueprint) -> None:
        """Add it to the blueprint, under the name of its view."""
        blueprint.add_url_rule(PREFIX + self.path, view_func=self.view, methods=[self.method])


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One call of an endpoint: its API key, and the two ways in which an endpoint may write."""

    key: ApiKey
    origin: RequestOrigin
    idempotent_request: IdempotentRequest | None = None

    def record(
        self,
        changes: Sequence[Change | Retraction],
        make_body: Callable[[RecordResult, Connection | None], JsonBody],
    ) -> Response:
        """Record `changes`, and respond with what `make_body(recorded, connection)` returns.

        With an Idempotency-Key, `make_body` is called inside the transaction, so that its
        response is stored for a repeated request; only then is there a connection, and only
        that connection sees what was just written. Raises Unavailable.
        """
        idempotent = self.idempotent_request
        if idempotent is None:
            return json_response(make_body(record(changes) if changes else RecordResult(), None))
        if not changes:
            return self.write(lambda connection: make_body(RecordResult(), connection))
        responses: list[Response] = []

        def in_transaction(connection: Connection, recorded: RecordResult) -> None:
            responses[:] = [json_response(make_body(recorded, connection))]
            idempotent.store_response(connection, responses[0])

        record(changes, in_transaction)
        return responses[0]

    def write(self, action: Callable[[Connection], JsonBody], status: int = 200) -> Response:
        """Run `action`, which records no event, in one transaction; respond with its result.

        `action` may be called again after a failure, so it must be safe to repeat. Raises
        Unavailable.
        """

        def execute(connection: Connection) -> Response:
            response = json_response(action(connection), status)
            if self.idempotent_request:
                self.idempotent_request.store_response(connection, response)
            return response

        return run_in_transaction(execute)


def json_response(body: JsonBody, status: int = 200) -> Response:
    """A JSON response. Fields of a model that are None are omitted."""
    if isinstance(body, BaseModel):
        body = body.model_dump_json(by_alias=True, exclude_none=True)
    response = Response(body, status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def add_deprecation_headers(response: Response) -> Response:
    """Say with each response of a deprecated operation that it is."""
    deprecation = DEPRECATIONS.get(request.endpoint or "")
    if deprecation is None:
        return response
    return deprecation.add_headers(response, f"{services().settings.public_url}{PREFIX}/docs")


def endpoint(  # noqa: PLR0913 - a declaration, by keyword
    method: str,
    path: str,
    *scopes: KeyScope,
    response: type[BaseModel],
    body: type[RequestBody] | None = None,
    rows: type[RequestBody] | None = None,
    query: type[QueryParameters] | None = None,
    status: int = 200,
    writes: bool = False,
    errors: Sequence[Problem] = (),
    extensions: Mapping[str, Any] = MappingProxyType({}),
    deprecation: Deprecation | None = None,
) -> Callable[[View], Endpoint]:
    """Make a view the operation `method` at `/v1` + `path`, for keys with all `scopes`.

    The view is called with an `ApiCall`, and by keyword with the parsed `body`, `rows` (one
    object or an array, as `RequestRows`) or `query`, and with the arguments of its path. It
    returns `json_response`, `ApiCall.record` or `ApiCall.write`. Its docstring becomes summary
    and description in the OpenAPI document.

    `response` is the model of the response: for `rows` that of one row, and that of one line if
    it has a `media_type` of its own. An endpoint with `writes` accepts an Idempotency-Key, so it
    must write by `ApiCall.record` or `ApiCall.write` only. `errors` are its problem types in
    addition to the common ones. `extensions` are merged into the document, e.g. the
    `requestBody` of a view that parses its own; their `responses` are added to the others. With
    `deprecation` every response carries its headers, and the document marks the operation.
    """
    input_model = body or query or (one_or_many(rows) if rows else None)
    common = (
        *_COMMON_PROBLEMS,
        *((problems.INVALID_QUERY,) if query else _BODY_PROBLEMS if input_model else ()),
    )
    common += _WRITE_PROBLEMS if writes else ()
    described = {**({"parameters": [IDEMPOTENCY_KEY_PARAMETER]} if writes else {}), **extensions}
    responses = described.pop("responses", {})

    def decorate(view: View) -> Endpoint:
        # Only the attributes that APIFlask sets on the view are used: its wrappers never run.
        annotated: View = _ANNOTATIONS.output(
            one_or_many(response) if rows else response,
            status,
            content_type=getattr(response, "media_type", "application/json"),
        )(view)
        if input_model:
            annotated = _ANNOTATIONS.input(input_model, "query" if query else "json")(annotated)
        annotated = _ANNOTATIONS.doc(
            description=_description(view, scopes),
            operation_id=view.__name__,
            security=[{openapi.SECURITY_SCHEME_NAME: [scope.value for scope in scopes]}],
            responses=openapi.problem_responses([*common, *errors]) | responses,
            deprecated=deprecation is not None,
            extensions=described,
        )(annotated)
        parsed = _parse_request(view, body, rows, query)
        authorized = _authorize(_idempotent(parsed) if writes else parsed, scopes)
        if deprecation:
            DEPRECATIONS[f"{BLUEPRINT_NAME}.{view.__name__}"] = deprecation
        return Endpoint(method, path, wraps(annotated)(authorized))

    return decorate


@Hook
def require_complete_database() -> None:
    """Raise ReplayPending if the database was restored, and lacks erasures since its backup."""


def _authorize(view: View, scopes: Sequence[KeyScope]) -> View:
    def wrapper(**arguments: Any) -> Response:
        require_complete_database()
        key, context = authenticate(), services()
        allowance = rate_limit.consume_allowance(key, context)
        count_key_use(key.name, context.now(), requests=1)
        try:
            for scope in scopes:
                require_scope(key, scope)
            call = ApiCall(key, RequestOrigin("senders", key.actor, context.now()))
            return rate_limit.add_rate_limit_headers(view(call, **arguments), allowance)
        except Exception:
            rate_limit.set_problem_allowance(allowance)
            raise

    return wrapper


def _idempotent(view: View) -> View:
    def wrapper(call: ApiCall, **arguments: Any) -> Response:
        idempotent = IdempotentRequest.from_request(call.key)
        if idempotent is None:
            return view(call, **arguments)
        try:
            return idempotent.stored_response() or view(
                replace(call, idempotent_request=idempotent), **arguments
            )
        except ConcurrentRequest:
            response = idempotent.stored_response()
            assert response  # the concurrent request has committed
            return response

    return wrapper


def _parse_request(
    view: View,
    body: type[RequestBody] | None,
    rows: type[RequestBody] | None,
    query: type[QueryParameters] | None,
) -> View:
    def wrapper(call: ApiCall, **arguments: Any) -> Response:
        if body:
            return view(call, body=parse_body(body), **arguments)
        if rows:
            return view(call, rows=read_rows(rows), **arguments)
        if query:
            return view(call, query=read_query(query), **arguments)
        return view(call, **arguments)

    return wrapper


def _description(view: View, scopes: Sequence[KeyScope]) -> str:
    _, _, more = (inspect.getdoc(view) or "").partition("\n\n")
    needed = " and ".join(f"`{scope}`" for scope in scopes)
    word = "scope" if len(scopes) == 1 else "scopes"
    return f"{more}\n\nThe key needs the {word} {needed}.".strip()
