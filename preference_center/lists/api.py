"""These endpoints import a list: upload, plan, and application once the plan is confirmed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from flask import Response, request
from pydantic import AfterValidator, AwareDatetime, Field, GetJsonSchemaHandler
from pydantic.config import JsonDict
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from werkzeug.wsgi import get_input_stream

from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Channel
from preference_center.core.errors import ImportConflict, UnknownImport
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.integrations.base.presets import MeaningFilter, RowMeaning
from preference_center.integrations.registry import load_presets
from preference_center.lists import store
from preference_center.lists.imports import uploads
from preference_center.lists.imports.apply import start_undo_in_transaction
from preference_center.lists.imports.plan import DATE_QUESTION, build_instructions
from preference_center.lists.rules.instructions import (
    ENCODINGS,
    NOTHING_LIFTED,
    ImportInstructions,
    LegalBasis,
    ScopeMap,
    build_scope_map,
)
from preference_center.lists.rules.rows import UnreadableDates
from preference_center.lists.store import Import, ImportState
from preference_center.web.api.bodies import ResponseBody, ScopeName, ShortName
from preference_center.web.api.endpoint import ApiCall, endpoint, json_response
from preference_center.web.api.keys import KeyScope
from preference_center.web.api.parsing import PRINTABLE, RequestBody, validate_printable
from preference_center.web.api.problems import (
    IMPORT_CONFLICT,
    NOT_FOUND,
    TOO_LARGE,
    UNKNOWN_TOPIC,
    ApiError,
    FieldErrors,
)

GroupName = Annotated[
    str, Field(min_length=1, max_length=300), AfterValidator(validate_printable), PRINTABLE
]


EvidenceText = Annotated[str, Field(max_length=4000), AfterValidator(validate_printable), PRINTABLE]


_GROUP_KEYS_ONLY: JsonDict = {
    "additionalProperties": False,
    "propertyNames": {"minLength": 1, "maxLength": 300},
}


class _PresetName:
    """Lists the presets in the JSON schema when that is generated, not on import."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(schema) | {"enum": [*load_presets()]}


class ImportRequest(RequestBody):
    """How to read the file, and what the file itself does not contain."""

    preset: Annotated[ShortName, _PresetName()] = Field(description="The format of the file")
    scopes: Annotated[dict[GroupName, ScopeName], Field(max_length=1_000)] = Field(
        default={},
        description="Group or list in the file -> topic, all_marketing or leave_out",
        json_schema_extra=_GROUP_KEYS_ONLY,
    )
    only: MeaningFilter | None = None
    channel: Channel = Channel.EMAIL
    source: Annotated[EvidenceText, Field(max_length=300)] = ""
    wording: EvidenceText = ""
    language: Annotated[EvidenceText, Field(max_length=35)] = ""
    legal_basis: LegalBasis | None = None
    time_zone: ShortName = "UTC"
    encoding: ShortName = Field(default=ENCODINGS[0], json_schema_extra={"enum": [*ENCODINGS]})
    received_at: AwareDatetime | None = None
    column: ShortName | None = Field(
        default=None, description="Column with the address; found by its usual names"
    )
    date_column: ShortName | None = Field(
        default=None, description="Column with the date of an opt-out; found by its usual names"
    )
    group_column: ShortName | None = Field(
        default=None,
        description="Column with the group or list; found by its usual names. - if all rows are of"
        " one",
    )
    date_formats: Annotated[list[ShortName], Field(max_length=10)] = Field(
        default=[],
        description="How the file writes dates, besides ISO 8601; as strptime, e.g. %d/%m/%Y",
    )
    unreadable_dates: UnreadableDates = Field(
        default=UnreadableDates.REFUSE,
        description="Whether a file with such dates is refused, or these opt-outs count from now",
    )


class ApplyPlanRequest(RequestBody):
    """Confirm a plan."""

    plan: ShortName


class MeaningCount(ResponseBody):
    """The number of rows with this meaning and scope."""

    meaning: RowMeaning
    scope: str
    count: int


class GroupCount(ResponseBody):
    """A group in the file; `unmapped` if `scopes` does not contain it."""

    meaning: RowMeaning
    group: str
    count: int
    unmapped: bool


class ImportStatsResponse(ResponseBody):
    """Counts of rows; see `flask imports plan`."""

    rows: int
    without_data: int
    excluded: int
    refused: int
    undated: int
    without_country_code: int
    other_readings: int
    without_evidence: int
    still_suppressed: int
    new: list[MeaningCount]
    already_present: list[MeaningCount]
    groups: list[GroupCount] | None = None


class RefusedLine(ResponseBody):
    """Why a line was refused."""

    line: int
    reason: str


class ImportResponse(ResponseBody):
    """One import in its current state."""

    id: UUID
    state: ImportState
    preset: str
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    rows_done: int
    plan: str | None = Field(default=None, description="Confirm it with `apply`")
    planned: ImportStatsResponse | None = None
    applied: ImportStatsResponse | None = None
    retracted: int | None = None
    refusals: list[RefusedLine] | None = Field(default=None, description="The first 1,000")
    problem: str | None = None
    note: str


def import_response(stored: Import) -> ImportResponse:
    """The import, as shown to its sender."""
    is_planned = stored.state not in {ImportState.AWAITING_FILE, ImportState.UPLOADED}
    return ImportResponse(
        id=stored.id,
        state=stored.state,
        preset=stored.instructions["preset"],
        created_at=stored.created_at,
        started_at=stored.started_at,
        finished_at=stored.finished_at,
        size_bytes=stored.size_bytes if stored.digest else None,
        sha256=stored.digest.hex() if stored.digest else None,
        rows_done=stored.position,
        plan=stored.plan or None,
        planned=_stats_response(stored.planned_stats) if is_planned else None,
        applied=_stats_response(stored.stats),
        retracted=stored.undone_count or None,
        refusals=[RefusedLine(**refusal) for refusal in stored.rejected_rows]
        if is_planned
        else None,
        problem=stored.problem or None,
        note=NOTHING_LIFTED,
    )


def _stats_response(stored: Mapping[str, Any]) -> ImportStatsResponse | None:
    counts = {name: value for name, value in stored.items() if name != DATE_QUESTION}
    return ImportStatsResponse.model_validate(counts) if stored else None


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
    instructions = _parse_instructions(body)
    import_id, now = services().new_id(), call.origin.now

    def write(connection: Connection) -> ImportResponse:
        uploads.create_upload(connection, import_id, instructions, call.key.actor, now)
        return import_response(store.get_import(connection, import_id))

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
    instructions = _parse_instructions(body)
    return _write_and_nudge(
        call, own, lambda connection: uploads.replace_instructions(connection, own, instructions)
    )


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
    return _write_and_nudge(
        call,
        own,
        lambda connection: uploads.confirm_plan(connection, own, body.plan, call.key.actor),
    )


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


def _parse_instructions(body: ImportRequest) -> ImportInstructions:
    errors = FieldErrors()
    scopes = errors.collect("/scopes", build_scope_map, body.scopes.items())

    def collect(name: str, parse: Callable[..., object], *given: object) -> object:
        return errors.collect(f"/{name}", parse, *given)

    instructions = build_instructions(body.model_dump(), scopes or ScopeMap({}), collect)
    if scopes:
        errors.collect("/scopes", scopes.validate, current_catalogue())
    errors.raise_if_any()
    assert instructions
    return instructions


def _load_own_import(call: ApiCall, import_id: str) -> Import:
    """The import, if this key created it. Raises ApiError."""
    try:
        found = run_in_transaction(lambda connection: store.get_import(connection, UUID(import_id)))
    except (UnknownImport, ValueError):
        found = None
    if found is None or found.actor != call.key.actor:
        raise ApiError(NOT_FOUND, "This key has created no import with this id.")
    return found


def _write_and_nudge(call: ApiCall, own: UUID, change: Callable[[Connection], object]) -> Response:
    """Make the change, respond with the import, and wake the worker that continues it."""

    def write(connection: Connection) -> ImportResponse:
        change(connection)
        return import_response(store.get_import(connection, own))

    with _conflict_as_api_error():
        response = call.write(write)
    services().queue.nudge_import(own)
    return response


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
