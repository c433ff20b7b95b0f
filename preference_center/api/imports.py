"""Lists from elsewhere: a file is uploaded, planned, and applied once the plan is confirmed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Response, request
from werkzeug.wsgi import get_input_stream

from preference_center.api.endpoint import Call, operation, reply
from preference_center.api.import_models import ImportRequest, ImportTold, PlanToApply, told
from preference_center.api.problems import (
    IMPORT_MOVED,
    NOT_FOUND,
    TOO_LARGE,
    UNKNOWN_TOPIC,
    Faults,
    Refused,
)
from preference_center.domain import sender_requests
from preference_center.domain.imports import Instructions, scope_map
from preference_center.errors import ImportMoved, InvalidInput, UnknownImport
from preference_center.extensions import services
from preference_center.imports import uploads
from preference_center.imports.read_rows import ENCODINGS
from preference_center.imports.undo import decide_undo
from preference_center.integrations.import_presets import preset
from preference_center.storage.access import audit
from preference_center.storage.access.api_keys import KeyScope
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection, run
from preference_center.storage.imports import import_jobs
from preference_center.storage.imports.import_jobs import Import, State

MAX_FILE = 4 * 1024**3
"""Octets; ten million rows are a tenth of it."""
_BLOCK = 1 << 16

_ANSWERS = (NOT_FOUND, IMPORT_MOVED)
_FILE = {
    "requestBody": {
        "required": True,
        "content": {
            media_type: {"schema": {"type": "string", "format": "binary"}}
            for media_type in ("text/csv", "application/octet-stream")
        },
    }
}


@operation(
    "POST",
    "/imports",
    KeyScope.WRITE,
    body=ImportRequest,
    answer=ImportTold,
    status=201,
    writes=True,
    refuses=(UNKNOWN_TOPIC,),
)
def post_imports(call: Call, body: ImportRequest) -> Response:
    """Begin an import: say how its file is to be read.

    Then upload the file. Nothing is recorded before a plan is confirmed.
    """
    instructions = _instructions(body, call.origin.now)
    import_id, now = services().new_id(), call.origin.now

    def work(connection: Connection) -> ImportTold:
        import_jobs.add(
            connection,
            import_id,
            state=State.AWAITING_FILE,
            actor=call.key.actor,
            name="",
            instructions=instructions.to_json(),
            now=now,
        )
        audit.append(connection, now, call.key.actor, "import.begun", {"import": str(import_id)})
        return told(import_jobs.by_id(connection, import_id))

    return call.write(work, 201)


@operation("GET", "/imports/<import_id>", KeyScope.WRITE, answer=ImportTold, refuses=_ANSWERS)
def get_import(call: Call, import_id: str) -> Response:
    """How far an import of this key has come: its plan, its progress, its figures."""
    return reply(told(_own(call, import_id)))


@operation(
    "PUT",
    "/imports/<import_id>",
    KeyScope.WRITE,
    body=ImportRequest,
    answer=ImportTold,
    writes=True,
    refuses=(*_ANSWERS, UNKNOWN_TOPIC),
)
def put_import(call: Call, import_id: str, body: ImportRequest) -> Response:
    """Replace how the file is to be read; what was uploaded is planned anew.

    For a plan that lacks scopes: `planned.groups` names the groups of the file.
    """
    own = _own(call, import_id).id
    instructions = _instructions(body, call.origin.now)

    def work(connection: Connection) -> ImportTold:
        uploads.instruct(connection, own, instructions)
        return told(import_jobs.by_id(connection, own))

    with _moved():
        response = call.write(work)
    services().queue.nudge_import(own)
    return response


@operation(
    "PUT",
    "/imports/<import_id>/file",
    KeyScope.WRITE,
    answer=ImportTold,
    refuses=(*_ANSWERS, TOO_LARGE),
    extensions=_FILE,
)
def put_import_file(call: Call, import_id: str) -> Response:
    """Upload the file: CSV, NDJSON or JSON, as it is or packed with gzip, up to 4 GiB.

    It is kept encrypted until it is applied, a week at most. Uploading again replaces it.
    """
    own = _own(call, import_id).id
    with _moved():
        return reply(told(uploads.receive(own, _blocks())))


@operation(
    "POST",
    "/imports/<import_id>/apply",
    KeyScope.WRITE,
    body=PlanToApply,
    answer=ImportTold,
    writes=True,
    refuses=_ANSWERS,
)
def post_import_apply(call: Call, import_id: str, body: PlanToApply) -> Response:
    """Apply the plan that was looked at."""
    own = _own(call, import_id).id

    def work(connection: Connection) -> ImportTold:
        uploads.confirm(connection, own, body.plan, call.key.actor)
        return told(import_jobs.by_id(connection, own))

    with _moved():
        response = call.write(work)
    services().queue.nudge_import(own)
    return response


@operation(
    "POST",
    "/imports/<import_id>/undo",
    KeyScope.WRITE,
    answer=ImportTold,
    writes=True,
    refuses=_ANSWERS,
)
def post_import_undo(call: Call, import_id: str) -> Response:
    """Take back exactly what this import added; what people did since stands."""
    own = _own(call, import_id).id
    with _moved():
        response = call.write(lambda connection: told(decide_undo(connection, own, call.key.actor)))
    services().queue.nudge_import(own)
    return response


def _instructions(body: ImportRequest, now: datetime) -> Instructions:
    faults = Faults()
    chosen = faults.attempt("/preset", preset, body.preset)
    scopes = faults.attempt("/scopes", scope_map, body.scopes.items())
    faults.attempt("/time_zone", _zone, body.time_zone)
    faults.attempt("/encoding", _encoding, body.encoding)
    received = body.received_at and faults.attempt(
        "/received_at", sender_requests.past, body.received_at, now
    )
    faults.refuse_any()
    assert scopes is not None
    assert chosen is not None
    found = Instructions(
        preset=chosen,
        scopes=scopes,
        only=body.only,
        channel=body.channel,
        source=body.source,
        wording=body.wording,
        language=body.language,
        legal_basis=body.legal_basis,
        zone=body.time_zone,
        encoding=body.encoding,
        received_at=received,
    )
    faults.attempt("/only", found.check)
    faults.attempt("/scopes", scopes.check, current_catalogue())
    faults.refuse_any()
    return found


def _zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput("write the time zone like Europe/Rome") from None


def _encoding(name: str) -> None:
    if name not in ENCODINGS:
        raise InvalidInput(f"the encoding is one of {', '.join(ENCODINGS)}")


def _own(call: Call, import_id: str) -> Import:
    """The import, if this key began it. Raises Refused."""
    try:
        found = run(lambda connection: import_jobs.by_id(connection, UUID(import_id)))
    except (UnknownImport, ValueError):
        found = None
    if found is None or found.actor != call.key.actor:
        raise Refused(NOT_FOUND, "This key has begun no import of this id.")
    return found


@contextmanager
def _moved() -> Iterator[None]:
    try:
        yield
    except ImportMoved as error:
        raise Refused(IMPORT_MOVED, str(error)) from None


def _blocks() -> Iterator[bytes]:
    stream = get_input_stream(request.environ, safe_fallback=False)
    left = MAX_FILE
    while block := stream.read(_BLOCK):
        left -= len(block)
        if left < 0:
            raise Refused(TOO_LARGE, "The file is larger than 4 GiB: send it in several imports.")
        yield block
