"""Imports: a file is uploaded, planned, and applied once its plan is confirmed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from flask import Response, request
from werkzeug.wsgi import get_input_stream

from preference_center.catalogue.store import current_catalogue
from preference_center.core.errors import ImportConflict, UnknownImport
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.integrations.registry import get_preset
from preference_center.ledger.rules import clamp_to_now
from preference_center.lists.api.import_models import (
    ApplyPlanRequest,
    ImportRequest,
    ImportResponse,
    import_response,
)
from preference_center.lists.imports import uploads
from preference_center.lists.imports.instructions import validate_encoding, validate_time_zone
from preference_center.lists.imports.undo import start_undo_in_transaction
from preference_center.lists.rules.date_formats import DateFormat, parse_date_format
from preference_center.lists.rules.instructions import ImportInstructions
from preference_center.lists.rules.scopes import build_scope_map
from preference_center.lists.store import import_jobs
from preference_center.lists.store.import_jobs import Import
from preference_center.web.api.endpoint import ApiCall, endpoint, json_response
from preference_center.web.api.keys import KeyScope
from preference_center.web.api.problems import (
    IMPORT_CONFLICT,
    NOT_FOUND,
    TOO_LARGE,
    UNKNOWN_TOPIC,
    ApiError,
    FieldErrors,
)

_BLOCK_SIZE = 1 << 16

_IMPORT_PROBLEMS = (NOT_FOUND, IMPORT_CONFLICT)
_FILE_REQUEST_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            media_type: {"schema": {"type": "string", "format": "binary"}}
            for media_type in ("text/csv", "application/octet-stream")
        },
    }
}


@endpoint(
    "POST",
    "/imports",
    KeyScope.WRITE,
    body=ImportRequest,
    response=ImportResponse,
    status=201,
    writes=True,
    errors=(UNKNOWN_TOPIC,),
)
def post_imports(call: ApiCall, body: ImportRequest) -> Response:
    """Create an import, with instructions for reading its file.

    Then upload the file. Nothing is recorded before the plan is confirmed.
    """
    instructions = _parse_instructions(body, call.origin.now)
    import_id, now = services().new_id(), call.origin.now

    def write(connection: Connection) -> ImportResponse:
        uploads.create_upload(connection, import_id, instructions, call.key.actor, now)
        return import_response(import_jobs.get_import(connection, import_id))

    return call.write(write, 201)


@endpoint(
    "GET", "/imports/<import_id>", KeyScope.WRITE, response=ImportResponse, errors=_IMPORT_PROBLEMS
)
def get_import(call: ApiCall, import_id: str) -> Response:
    """Get the state of an import of this key: its plan, progress and counts."""
    return json_response(import_response(_load_own_import(call, import_id)))


@endpoint(
    "PUT",
    "/imports/<import_id>",
    KeyScope.WRITE,
    body=ImportRequest,
    response=ImportResponse,
    writes=True,
    errors=(*_IMPORT_PROBLEMS, UNKNOWN_TOPIC),
)
def put_import(call: ApiCall, import_id: str, body: ImportRequest) -> Response:
    """Replace the instructions; an uploaded file is planned again.

    Use it for a plan that lacks scopes: `planned.groups` lists the groups in the file.
    """
    own = _load_own_import(call, import_id).id
    instructions = _parse_instructions(body, call.origin.now)

    def write(connection: Connection) -> ImportResponse:
        uploads.replace_instructions(connection, own, instructions)
        return import_response(import_jobs.get_import(connection, own))

    with _conflict_as_api_error():
        response = call.write(write)
    services().queue.nudge_import(own)
    return response


@endpoint(
    "PUT",
    "/imports/<import_id>/file",
    KeyScope.WRITE,
    response=ImportResponse,
    errors=(*_IMPORT_PROBLEMS, TOO_LARGE),
    extensions=_FILE_REQUEST_BODY,
)
def put_import_file(call: ApiCall, import_id: str) -> Response:
    """Upload the file: CSV, NDJSON or JSON, plain or gzipped, up to 4 GiB.

    It is stored encrypted until it is applied, a week at most. A new upload replaces it.
    """
    own = _load_own_import(call, import_id).id
    with _conflict_as_api_error():
        return json_response(import_response(uploads.receive_upload(own, _read_blocks())))


@endpoint(
    "POST",
    "/imports/<import_id>/apply",
    KeyScope.WRITE,
    body=ApplyPlanRequest,
    response=ImportResponse,
    writes=True,
    errors=_IMPORT_PROBLEMS,
)
def post_import_apply(call: ApiCall, import_id: str, body: ApplyPlanRequest) -> Response:
    """Confirm the plan and apply it."""
    own = _load_own_import(call, import_id).id

    def write(connection: Connection) -> ImportResponse:
        uploads.confirm_plan(connection, own, body.plan, call.key.actor)
        return import_response(import_jobs.get_import(connection, own))

    with _conflict_as_api_error():
        response = call.write(write)
    services().queue.nudge_import(own)
    return response


@endpoint(
    "POST",
    "/imports/<import_id>/undo",
    KeyScope.WRITE,
    response=ImportResponse,
    writes=True,
    errors=_IMPORT_PROBLEMS,
)
def post_import_undo(call: ApiCall, import_id: str) -> Response:
    """Retract exactly what this import added; later events of the same people are kept."""
    own = _load_own_import(call, import_id).id
    with _conflict_as_api_error():
        response = call.write(
            lambda connection: import_response(
                start_undo_in_transaction(connection, own, call.key.actor)
            )
        )
    services().queue.nudge_import(own)
    return response


def _parse_instructions(body: ImportRequest, now: datetime) -> ImportInstructions:
    errors = FieldErrors()
    chosen = errors.collect("/preset", get_preset, body.preset)
    scopes = errors.collect("/scopes", build_scope_map, body.scopes.items())
    errors.collect("/time_zone", validate_time_zone, body.time_zone)
    errors.collect("/encoding", validate_encoding, body.encoding)
    received = body.received_at and errors.collect(
        "/received_at", clamp_to_now, body.received_at, now
    )
    formats = errors.collect("/date_formats", _parse_date_formats, body.date_formats)
    errors.raise_if_any()
    assert scopes is not None
    assert formats is not None
    assert chosen is not None
    instructions = ImportInstructions(
        preset=chosen,
        scopes=scopes,
        meaning_filter=body.only,
        channel=body.channel,
        source=body.source,
        wording=body.wording,
        language=body.language,
        legal_basis=body.legal_basis,
        zone=body.time_zone,
        encoding=body.encoding,
        received_at=received,
        address_column=body.column or "",
        date_column=body.date_column or "",
        date_formats=formats,
        unreadable_dates=body.unreadable_dates,
    )
    errors.collect("/only", instructions.check)
    errors.collect("/scopes", scopes.validate, current_catalogue())
    errors.raise_if_any()
    return instructions


def _parse_date_formats(patterns: Sequence[str]) -> tuple[DateFormat, ...]:
    return tuple(map(parse_date_format, patterns))


def _load_own_import(call: ApiCall, import_id: str) -> Import:
    """The import, if this key created it. Raises ApiError."""
    try:
        found = run_in_transaction(
            lambda connection: import_jobs.get_import(connection, UUID(import_id))
        )
    except (UnknownImport, ValueError):
        found = None
    if found is None or found.actor != call.key.actor:
        raise ApiError(NOT_FOUND, "This key has created no import with this id.")
    return found


@contextmanager
def _conflict_as_api_error() -> Iterator[None]:
    try:
        yield
    except ImportConflict as error:
        raise ApiError(IMPORT_CONFLICT, str(error)) from None


def _read_blocks() -> Iterator[bytes]:
    stream = get_input_stream(request.environ, safe_fallback=False)
    left = uploads.MAX_FILE_BYTES
    while block := stream.read(_BLOCK_SIZE):
        left -= len(block)
        if left < 0:
            raise ApiError(TOO_LARGE, "The file is larger than 4 GiB: send it in several imports.")
        yield block


ROUTES = (
    post_imports,
    get_import,
    put_import,
    put_import_file,
    post_import_apply,
    post_import_undo,
)
