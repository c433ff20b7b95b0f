"""Request and response models of the import endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field, GetJsonSchemaHandler
from pydantic.config import JsonDict
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from preference_center.core.addresses import Channel
from preference_center.integrations.base.presets import MeaningFilter, RowMeaning
from preference_center.integrations.registry import load_presets
from preference_center.lists.imports.imports_read_rows import ENCODINGS
from preference_center.lists.imports.plan import DATE_QUESTION
from preference_center.lists.rules.date_formats import UnreadableDates
from preference_center.lists.rules.instructions import LegalBasis
from preference_center.lists.rules.stats import NOTHING_LIFTED
from preference_center.lists.store.import_jobs import Import, ImportState
from preference_center.web.api.bodies import ResponseBody, ScopeName, ShortName
from preference_center.web.api.parsing import PRINTABLE, RequestBody, validate_printable

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
