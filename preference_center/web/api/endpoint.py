"""`endpoint` is one decorator that makes a view an operation of the API, and documents it.

A request passes, in this order: authentication, rate limit, scopes, the stored response of an
earlier request with the same Idempotency-Key, parsing of the body or query, the view.
docs/api.md describes what senders see of it.

An API key authenticates a request; its scopes and message types authorize it.

An operation that will go says so: `Deprecation`, `Sunset` and a link. docs/upgrading.md has the
policy. No operation is deprecated at present.

Pages have authenticated cursors. A cursor identifies the last row that was returned, so rows that
are added or removed between two pages do not shift the others.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import wraps
from ipaddress import ip_address, ip_network
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, cast
from urllib.parse import urlencode

from apiflask.scaffold import APIScaffold
from flask import Blueprint, Response, request
from pydantic import BaseModel, Field

from preference_center.catalogue import Catalogue
from preference_center.core.events import Change, Retraction
from preference_center.core.occurrences import Occurrence
from preference_center.infra import audit, occurrences
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.recording import RecordResult
from preference_center.ledger.restore_gate import require_complete_database
from preference_center.ledger.rules import RequestOrigin
from preference_center.ledger.spool import attempt_to_record
from preference_center.web.api import bodies, errors, keys, problems
from preference_center.web.api.idempotency import (
    IDEMPOTENCY_KEY_PARAMETER,
    ConcurrentRequest,
    IdempotentRequest,
)
from preference_center.web.api.keys import ApiKey, KeyScope, count_key_use
from preference_center.web.api.parsing import (
    QueryParameters,
    RequestBody,
    one_or_many,
    parse_body,
    read_query,
    read_rows,
)
from preference_center.web.api.problems import (
    INVALID_CURSOR,
    NOT_PERMITTED,
    RATE_LIMITED,
    UNAUTHENTICATED,
    ApiError,
    Problem,
)

_IPV4 = 4


_TOO_MANY_ATTEMPTS = (
    "Too many requests without a valid key came from this network: try again in a minute."
)


_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="api"'}  # RFC 6750 3


INVALID_KEY_RATE = "300 per minute"
"""Requests without a valid key that a client's network may send."""


def authenticate() -> ApiKey:
    """The key of this request. Raises ApiError if there is no valid one.

    A network that sent too many invalid keys is rejected without a database query. A key that
    this process has found before is still looked up, so that nobody can lock out valid senders
    of the same network.
    """
    limiter = services().limiter
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    text = token.strip() if scheme.lower() == "bearer" else ""
    cached = keys.is_cached(text)  # first: the network's digest costs as much as the query
    if not cached and limiter.is_exhausted(INVALID_KEY_RATE, "unknown-key", _network_digest()):
        raise ApiError(RATE_LIMITED, _TOO_MANY_ATTEMPTS, {"Retry-After": "60"})
    key = keys.find_key(text) if text else None
    if key is None:
        limiter.acquire(INVALID_KEY_RATE, "unknown-key", _network_digest())
        detail = "This key is unknown or was revoked." if text else UNAUTHENTICATED.remedy
        raise ApiError(UNAUTHENTICATED, detail, _CHALLENGE)
    return key


def require_scope(key: ApiKey, scope: KeyScope) -> None:
    """Raises ApiError, and records the refusal, if the key lacks the scope."""
    if scope not in key.scopes:
        _record_refusal(key, f"scope:{scope}")
        raise ApiError(NOT_PERMITTED, f"This key lacks the scope {scope}.")


def require_message_type(key: ApiKey, message_type: str, catalogue: Catalogue) -> None:
    """Raises ApiError, and records the refusal, if the key may not check this type (I4)."""
    if key.may_check(message_type):
        return
    # An unknown type is not recorded: it could be any text, even an address (I12).
    known = message_type if message_type in catalogue.message_types else "(unknown)"
    _record_refusal(key, f"message_type:{known}")
    raise ApiError(NOT_PERMITTED, f"This key may not check the message type {message_type}.")


def _network_digest() -> str:
    """A keyed digest of the client's network (/24, or /64 in IPv6); no IP is stored (I12)."""
    try:
        address = ip_address(request.remote_addr or "")
        network = str(ip_network((address, 24 if address.version == _IPV4 else 64), strict=False))
    except ValueError:
        network = "unknown"
    return services().keys.evidence_hmac(network)


def _record_refusal(key: ApiKey, needed: str) -> None:
    """Record the first refusal of its kind in an hour, the tenth, the hundredth, and so on."""
    now, endpoint = services().now(), request.endpoint or ""
    occurrences.note(Occurrence.KEY_REFUSED, key.name)
    count_key_use(key.name, now, refused=1)
    count = str(services().limiter.increment("hour", "refused", key.name, needed, endpoint))
    if count.strip("0") != "1":
        return
    detail = {"needed": needed, "endpoint": endpoint, "count_in_hour": count}
    run_in_transaction(
        lambda connection: audit.insert_audit_entry(
            connection, now, key.actor, "api.refused", detail
        )
    )


NOTICE = timedelta(days=180)
"""How long a deprecated operation works on, at least."""


@dataclass(frozen=True, slots=True)
class Deprecation:
    """An operation that nobody should begin to use, from `since` on; it ends at `sunset` (UTC)."""

    since: datetime
    sunset: datetime

    def __post_init__(self) -> None:
        """Raise ValueError for a date without its zone, and for too short a notice."""
        if self.since.tzinfo is None or self.sunset.tzinfo is None:
            raise ValueError("since and sunset need a time zone")
        if self.sunset - self.since < NOTICE:
            raise ValueError(f"the sunset is at least {NOTICE.days} days after the deprecation")

    def add_headers(self, response: Response, documentation: str) -> Response:
        """Add the headers; `documentation` is the URL of what to use instead.

        `Deprecation` is a Date of structured fields (RFC 9745 2.1), `Sunset` an HTTP date
        (RFC 8594 3), and the link's relation is that of RFC 9745 3.
        """
        response.headers["Deprecation"] = f"@{int(self.since.timestamp())}"
        response.headers["Sunset"] = format_datetime(self.sunset.astimezone(UTC), usegmt=True)
        response.headers.add("Link", f'<{documentation}>; rel="deprecation"; type="text/html"')
        return response


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
        that connection sees what was just written. Raises Unavailable, at once while somebody
        holds a lock on a table: else such requests hold all threads, and none makes decisions.
        """
        idempotent = self.idempotent_request
        if not changes and idempotent is None:
            return json_response(make_body(RecordResult(), None))
        if not changes:
            return self.write(lambda connection: make_body(RecordResult(), connection))
        if idempotent is None:
            with attempt_to_record():
                recorded = record(changes)
            return json_response(make_body(recorded, None))
        responses: list[Response] = []

        def in_transaction(connection: Connection, recorded: RecordResult) -> None:
            responses[:] = [json_response(make_body(recorded, connection))]
            idempotent.store_response(connection, responses[0])

        with attempt_to_record():
            record(changes, in_transaction)
        return responses[0]

    def count_rows_read(self, rows: int) -> None:
        """Count what a list about people answered, so that one knows what a leaked key has read."""
        count_key_use(self.key.name, self.origin.now, rows_read=rows)

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
    needs_complete_database: bool = True,
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
    Without `needs_complete_database` it works while erasures are missing after a restore, too:
    only for what can allow nothing and shows nothing.
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
            security=[{bodies.SECURITY_SCHEME_NAME: [scope.value for scope in scopes]}],
            responses=bodies.problem_responses([*common, *errors]) | responses,
            deprecated=deprecation is not None,
            extensions=described,
        )(annotated)
        parsed = _parse_request(view, body, rows, query)
        inner = _idempotent(parsed) if writes else parsed
        authorized = _authorize(inner, scopes, needs_complete_database=needs_complete_database)
        if deprecation:
            DEPRECATIONS[f"{BLUEPRINT_NAME}.{view.__name__}"] = deprecation
        return Endpoint(method, path, wraps(annotated)(authorized))

    return decorate


def _authorize(
    view: View, scopes: Sequence[KeyScope], *, needs_complete_database: bool = True
) -> View:
    def wrapper(**arguments: Any) -> Response:
        if needs_complete_database:
            require_complete_database()
        key, context = authenticate(), services()
        allowance = errors.consume_allowance(key, context)
        count_key_use(key.name, context.now(), requests=1)
        try:
            for scope in scopes:
                require_scope(key, scope)
            call = ApiCall(key, RequestOrigin("senders", key.actor, context.now()))
            return errors.add_rate_limit_headers(view(call, **arguments), allowance)
        except Exception:
            errors.set_problem_allowance(allowance)
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


T = TypeVar("T")


Position = list[str | int]
"""The sort key of one row. It is part of URLs: no personal data (I12)."""


_MAC_BYTES = 16


Limit = Annotated[int, Field(ge=1, le=1000, description="Maximum number of rows per page")]


Cursor = Annotated[str, Field(max_length=1000, description="`next` of the previous page")]


class PageQuery(QueryParameters):
    """A page of a list, for a GET; further fields filter the list."""

    limit: Limit = 100
    cursor: Cursor | None = None


class PageBody(RequestBody):
    """The same for a POST, where the filter may not be part of a URL (I12)."""

    limit: Limit = 100
    cursor: Cursor | None = None


def cursor_position(query: PageQuery | PageBody) -> Position | None:
    """The `Position` after which the page begins; None for the first. Raises ApiError."""
    if query.cursor is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(query.cursor.encode() + b"==")
    except (binascii.Error, ValueError):
        raw = b""
    mac, text = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(query, text)):
        raise ApiError(INVALID_CURSOR, INVALID_CURSOR.remedy)
    return cast("Position", json.loads(text))


def page_response(
    query: PageQuery | PageBody,
    rows: Sequence[T],
    position_of: Callable[[T], Position],
    make_body: Callable[[Sequence[T], str | None], BaseModel],
    resume_at: Position | None = None,
) -> Response:
    """One page: `make_body(rows, next)`, with a Link to the next page of a GET (RFC 8288).

    `rows` are those after `cursor_position(query)`, one more than `query.limit` if there are.
    `resume_at` is where to continue if the search stopped before it found that many.
    """
    shown = rows[: query.limit]
    following = None
    end = position_of(shown[-1]) if len(rows) > query.limit else resume_at
    if end:
        text = json.dumps(end).encode()
        following = base64.urlsafe_b64encode(_mac(query, text) + text).decode().rstrip("=")
    response = json_response(make_body(shown, following))
    if following and request.method == "GET":
        parameters = urlencode(request.args.to_dict() | {"cursor": following})
        root = services().settings.public_url.rstrip("/")
        response.headers["Link"] = f'<{root}{request.path}?{parameters}>; rel="next"'
    return response


def _mac(query: PageQuery | PageBody, text: bytes) -> bytes:
    """Binds a position to its list: the path and all filters."""
    filters = query.model_dump_json(exclude={"limit", "cursor"}).encode()
    message = b"\n".join((b"cursor", request.path.encode(), filters, text))
    return hmac.digest(services().settings.secret_key.encode(), message, "sha256")[:_MAC_BYTES]
