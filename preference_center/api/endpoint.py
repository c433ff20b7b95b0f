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
from preference_center.api.authentication import require_scope, sender
from preference_center.api.idempotency import PARAMETER, Overtaken, Repeat
from preference_center.api.parsing import Body, Query, one_or_many, read_body, read_query, read_rows
from preference_center.api.problems import Problem
from preference_center.domain.events import Change, Retraction
from preference_center.domain.sender_requests import Origin
from preference_center.errors import CatalogueError, InvalidInput, Unavailable
from preference_center.extensions import csrf, services
from preference_center.ledger import record
from preference_center.ledger.recording import Recorded
from preference_center.storage.access.api_keys import ApiKey, KeyScope
from preference_center.storage.db.database import Connection, run

PREFIX = "/v1"

blueprint = APIBlueprint("senders", __name__)
csrf.exempt(blueprint)  # a bearer key is never sent by a browser on its own

blueprint.register_error_handler(problems.Refused, error_handlers.respond_to_refused)
blueprint.register_error_handler(InvalidInput, error_handlers.respond_to_invalid)
blueprint.register_error_handler(CatalogueError, error_handlers.respond_to_unavailable)
blueprint.register_error_handler(Unavailable, error_handlers.respond_to_unavailable)
blueprint.register_error_handler(HTTPException, error_handlers.respond_to_http)
blueprint.register_error_handler(Exception, error_handlers.respond_to_unexpected)

Json = bytes | str | BaseModel
View = Callable[..., Response]

_ALWAYS = (
    problems.UNAUTHENTICATED,
    problems.NOT_PERMITTED,
    problems.RATE_LIMITED,
    problems.FAULT,
    problems.UNAVAILABLE,
)
_OF_BODIES = (
    problems.TOO_LARGE,
    problems.WRONG_CONTENT_TYPE,
    problems.MALFORMED_JSON,
    problems.INVALID_BODY,
    problems.AGAINST_THE_RULES,
)
_OF_WRITES = (problems.INVALID_IDEMPOTENCY_KEY, problems.IDEMPOTENCY_KEY_REUSED)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation: who asks, and the ways to write that an operation has."""

    key: ApiKey
    origin: Origin
    repeat: Repeat | None = None

    def record(
        self,
        changes: Sequence[Change | Retraction],
        answer: Callable[[Recorded, Connection | None], Json],
    ) -> Response:
        """Record `changes`, and answer what `answer(recorded, connection)` returns.

        It may be called inside the transaction, so that its answer is kept for a repeated
        request; then there is a connection, and only that sees what was just written.
        Raises Unavailable.
        """
        repeat = self.repeat
        if repeat is None:
            return reply(answer(record(changes) if changes else Recorded(), None))
        if not changes:
            return self.write(lambda connection: answer(Recorded(), connection))
        kept: list[Response] = []

        def beside(connection: Connection, recorded: Recorded) -> None:
            kept[:] = [reply(answer(recorded, connection))]
            repeat.keep(connection, kept[0])

        record(changes, beside)
        return kept[0]

    def write(self, work: Callable[[Connection], Json], status: int = 200) -> Response:
        """Do a write that is no event, in one transaction, and answer what it returns.

        Like all work for `run` it must be safe to repeat. Raises Unavailable.
        """

        def answered(connection: Connection) -> Response:
            response = reply(work(connection), status)
            if self.repeat:
                self.repeat.keep(connection, response)
            return response

        return run(answered)


def reply(body: Json, status: int = 200) -> Response:
    """An answer as JSON. A model's fields that are None are left out."""
    if isinstance(body, BaseModel):
        body = body.model_dump_json(by_alias=True, exclude_none=True)
    response = Response(body, status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def operation(
    method: str,
    path: str,
    *scopes: KeyScope,
    answer: type[BaseModel],
    body: type[Body] | None = None,
    rows: type[Body] | None = None,
    query: type[Query] | None = None,
    status: int = 200,
    writes: bool = False,
    refuses: Sequence[Problem] = (),
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
    always = (*_ALWAYS, *((problems.INVALID_QUERY,) if query else _OF_BODIES if sent else ()))
    always += _OF_WRITES if writes else ()
    described = {**({"parameters": [PARAMETER]} if writes else {}), **extensions}
    responses = described.pop("responses", {})

    def decorate(view: View) -> View:
        # Only what APIFlask notes on the view is wanted: its wrappers never run.
        noted: View = blueprint.output(
            one_or_many(answer) if rows else answer,
            status,
            content_type=getattr(answer, "media_type", "application/json"),
        )(view)
        if sent:
            noted = blueprint.input(sent, "query" if query else "json")(noted)
        noted = blueprint.doc(
            description=_description(view, scopes),
            operation_id=view.__name__,
            security=[{openapi.SECURITY: [scope.value for scope in scopes]}],
            responses=openapi.problem_answers([*always, *refuses]) | responses,
            extensions=described,
        )(noted)
        reading = _reading(view, body, rows, query)
        called = _admitted(_once(reading) if writes else reading, scopes)
        blueprint.route(PREFIX + path, methods=[method])(wraps(noted)(called))
        return view

    return decorate


def _admitted(view: View, scopes: Sequence[KeyScope]) -> View:
    def called(**arguments: Any) -> Response:
        key, context = sender(), services()
        allowance = rate_limit.count(key, context)
        try:
            for scope in scopes:
                require_scope(key, scope)
            call = Call(key, Origin("senders", key.actor, context.now()))
            return rate_limit.tell(view(call, **arguments), allowance)
        except Exception:
            rate_limit.tell_problem(allowance)
            raise

    return called


def _once(view: View) -> View:
    def called(call: Call, **arguments: Any) -> Response:
        repeat = Repeat.asked(call.key)
        if repeat is None:
            return view(call, **arguments)
        try:
            return repeat.earlier() or view(replace(call, repeat=repeat), **arguments)
        except Overtaken:
            answer = repeat.earlier()
            assert answer  # what overtook us is committed
            return answer

    return called


def _reading(
    view: View, body: type[Body] | None, rows: type[Body] | None, query: type[Query] | None
) -> View:
    def called(call: Call, **arguments: Any) -> Response:
        if body:
            return view(call, body=read_body(body), **arguments)
        if rows:
            return view(call, rows=read_rows(rows), **arguments)
        if query:
            return view(call, query=read_query(query), **arguments)
        return view(call, **arguments)

    return called


def _description(view: View, scopes: Sequence[KeyScope]) -> str:
    _, _, more = (inspect.getdoc(view) or "").partition("\n\n")
    needed = " and ".join(f"`{scope}`" for scope in scopes)
    word = "scope" if len(scopes) == 1 else "scopes"
    return f"{more}\n\nThe key needs the {word} {needed}.".strip()
