"""`operation`: one decorator makes a view an operation of the API, and documents it.

What happens, in this order: the key, its rate and its scopes, an earlier answer under the
same Idempotency-Key, the body or query, the view. docs/api.md says what senders see of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from types import MappingProxyType
from typing import Any

from apiflask import APIBlueprint
from flask import Response
from pydantic import BaseModel
from werkzeug.exceptions import HTTPException

from preference_center.api import error_handlers, openapi, problems, rate_limit
from preference_center.api.authentication import authenticate, require_scope
from preference_center.api.idempotency import (
    IDEMPOTENCY_KEY_PARAMETER,
    ConcurrentRequest,
    IdempotentRequest,
)
from preference_center.api.parsing import (
    QueryParameters,
    RequestBody,
    one_or_many,
    parse_body,
    read_query,
    read_rows,
)
from preference_center.api.problems import Problem
from preference_center.domain.events import Change, Retraction
from preference_center.domain.sender_requests import RequestOrigin
from preference_center.errors import CatalogueError, InvalidInput, Unavailable
from preference_center.extensions import csrf, services
from preference_center.ledger import record
from preference_center.ledger.recording import RecordResult
from preference_center.storage.access.api_keys import ApiKey, KeyScope
from preference_center.storage.db.database import Connection, run_in_transaction

PREFIX = "/v1"

blueprint = APIBlueprint("senders", __name__)
csrf.exempt(blueprint)  # a bearer key is never sent by a browser on its own

blueprint.register_error_handler(problems.ApiError, error_handlers.handle_api_error)
blueprint.register_error_handler(InvalidInput, error_handlers.handle_invalid_input)
blueprint.register_error_handler(CatalogueError, error_handlers.handle_unavailable)
blueprint.register_error_handler(Unavailable, error_handlers.handle_unavailable)
blueprint.register_error_handler(HTTPException, error_handlers.handle_http_exception)
blueprint.register_error_handler(Exception, error_handlers.handle_unexpected_error)

JsonBody = bytes | str | BaseModel
View = Callable[..., Response]

_COMMON_PROBLEMS = (
    problems.UNAUTHENTICATED,
    problems.NOT_PERMITTED,
    problems.RATE_LIMITED,
    problems.INTERNAL_ERROR,
    problems.UNAVAILABLE,
)
_BODY_PROBLEMS = (
    problems.TOO_LARGE,
    problems.WRONG_CONTENT_TYPE,
    problems.MALFORMED_JSON,
    problems.INVALID_BODY,
    problems.RULE_VIOLATION,
)
_WRITE_PROBLEMS = (problems.INVALID_IDEMPOTENCY_KEY, problems.IDEMPOTENCY_KEY_REUSED)


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One call of an operation: who asks, and the ways to write that an operation has."""

    key: ApiKey
    origin: RequestOrigin
    idempotent_request: IdempotentRequest | None = None

    def record(
        self,
        changes: Sequence[Change | Retraction],
        make_body: Callable[[RecordResult, Connection | None], JsonBody],
    ) -> Response:
        """Record `changes`, and answer what `answer(recorded, connection)` returns.

        It may be called inside the transaction, so that its answer is kept for a repeated
        request; then there is a connection, and only that sees what was just written.
        Raises Unavailable.
        """
        repeat = self.idempotent_request
        if repeat is None:
            return json_response(make_body(record(changes) if changes else RecordResult(), None))
        if not changes:
            return self.write(lambda connection: make_body(RecordResult(), connection))
        kept: list[Response] = []

        def in_transaction(connection: Connection, recorded: RecordResult) -> None:
            kept[:] = [json_response(make_body(recorded, connection))]
            repeat.store_response(connection, kept[0])

        record(changes, in_transaction)
        return kept[0]

    def write(self, action: Callable[[Connection], JsonBody], status: int = 200) -> Response:
        """Do a write that is no event, in one transaction, and answer what it returns.

        Like all work for `run` it must be safe to repeat. Raises Unavailable.
        """

        def execute(connection: Connection) -> Response:
            response = json_response(action(connection), status)
            if self.idempotent_request:
                self.idempotent_request.store_response(connection, response)
            return response

        return run_in_transaction(execute)


def json_response(body: JsonBody, status: int = 200) -> Response:
    """An answer as JSON. A model's fields that are None are left out."""
    if isinstance(body, BaseModel):
        body = body.model_dump_json(by_alias=True, exclude_none=True)
    response = Response(body, status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def endpoint(
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
) -> Callable[[View], View]:
    """Make a view the operation `method` at `/v1` + `path`, for keys with all `scopes`.

    The view is called with a `Call`, then by name with what was sent, `body`, `rows` (one
    object or an array, as `Rows`) or `query`, and with the arguments of its path. It answers
    with `reply`, `Call.record` or `Call.write`. Its docstring is the document's summary and
    description.

    `answer` is the model of its answer, for `rows` that of one row's, and that of a line where
    it has a `media_type` of its own. What `writes` takes an Idempotency-Key, so it must write
    by `Call.record` or `Call.write` only. `refuses` names the problems it may answer besides
    those that every operation has. `extensions` are taken into the document as they are, e.g.
    `requestBody` of a view that reads its own; its `responses` join those that are there.
    """
    sent = body or query or (one_or_many(rows) if rows else None)
    always = (
        *_COMMON_PROBLEMS,
        *((problems.INVALID_QUERY,) if query else _BODY_PROBLEMS if sent else ()),
    )
    always += _WRITE_PROBLEMS if writes else ()
    described = {**({"parameters": [IDEMPOTENCY_KEY_PARAMETER]} if writes else {}), **extensions}
    responses = described.pop("responses", {})

    def decorate(view: View) -> View:
        # Only what APIFlask notes on the view is wanted: its wrappers never run.
        noted: View = blueprint.output(
            one_or_many(response) if rows else response,
            status,
            content_type=getattr(response, "media_type", "application/json"),
        )(view)
        if sent:
            noted = blueprint.input(sent, "query" if query else "json")(noted)
        noted = blueprint.doc(
            description=_description(view, scopes),
            operation_id=view.__name__,
            security=[{openapi.SECURITY_SCHEME_NAME: [scope.value for scope in scopes]}],
            responses=openapi.problem_responses([*always, *errors]) | responses,
            extensions=described,
        )(noted)
        reading = _parse_request(view, body, rows, query)
        called = _authorize(_idempotent(reading) if writes else reading, scopes)
        blueprint.route(PREFIX + path, methods=[method])(wraps(noted)(called))
        return view

    return decorate


def _authorize(view: View, scopes: Sequence[KeyScope]) -> View:
    def wrapper(**arguments: Any) -> Response:
        key, context = authenticate(), services()
        allowance = rate_limit.consume_allowance(key, context)
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
        repeat = IdempotentRequest.from_request(call.key)
        if repeat is None:
            return view(call, **arguments)
        try:
            return repeat.stored_response() or view(
                replace(call, idempotent_request=repeat), **arguments
            )
        except ConcurrentRequest:
            answer = repeat.stored_response()
            assert answer  # what overtook us is committed
            return answer

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
