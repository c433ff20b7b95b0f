"""What senders say of a list, and what they are told of its import."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field
from pydantic.config import JsonDict

from preference_center.api.parsing import READABLE, Body, readable
from preference_center.api.requests import Name, ScopeName
from preference_center.api.responses import Answer
from preference_center.domain.addresses import Channel
from preference_center.domain.imports import NOTHING_LIFTED, LegalBasis, Meaning, Only
from preference_center.imports.read_rows import ENCODINGS
from preference_center.integrations.import_presets import PRESETS
from preference_center.storage.imports.import_jobs import Import, State

Group = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(readable), READABLE]
Evidence = Annotated[str, Field(max_length=4000), AfterValidator(readable), READABLE]
_ONLY_GROUPS: JsonDict = {
    "additionalProperties": False,
    "propertyNames": {"minLength": 1, "maxLength": 300},
}


class ImportRequest(Body):
    """How to read the file, and what it does not say itself."""

    preset: Name = Field(description="Whose export it is", json_schema_extra={"enum": [*PRESETS]})
    scopes: Annotated[dict[Group, ScopeName], Field(max_length=1_000)] = Field(
        default={},
        description="Group or list of the file -> topic, all_marketing or leave_out",
        json_schema_extra=_ONLY_GROUPS,
    )
    only: Only | None = None
    channel: Channel = Channel.EMAIL
    source: Annotated[Evidence, Field(max_length=300)] = ""
    wording: Evidence = ""
    language: Annotated[Evidence, Field(max_length=35)] = ""
    legal_basis: LegalBasis | None = None
    time_zone: Name = "UTC"
    encoding: Name = Field(default=ENCODINGS[0], json_schema_extra={"enum": [*ENCODINGS]})
    received_at: AwareDatetime | None = None


class PlanToApply(Body):
    """Which plan is confirmed."""

    plan: Name


class CountTold(Answer):
    """How many rows say this of that scope."""

    says: Meaning
    scope: str
    count: int


class GroupTold(Answer):
    """A group that the file names; `unmapped` if `scopes` does not."""

    says: Meaning
    group: str
    count: int
    unmapped: bool


class FiguresTold(Answer):
    """What was counted; see `flask imports plan`."""

    rows: int
    silent: int
    left_out: int
    refused: int
    undated: int
    unproven: int
    stays_off: int
    new: list[CountTold]
    already_there: list[CountTold]
    groups: list[GroupTold] | None = None


class RefusalTold(Answer):
    """Why a line was refused."""

    line: int
    reason: str


class ImportTold(Answer):
    """One import as it stands."""

    id: UUID
    state: State
    preset: str
    created_at: datetime
    begun_at: datetime | None = None
    finished_at: datetime | None = None
    octets: int | None = None
    sha256: str | None = None
    rows_done: int
    plan: str | None = Field(default=None, description="To be confirmed by `apply`")
    planned: FiguresTold | None = None
    applied: FiguresTold | None = None
    taken_back: int | None = None
    refusals: list[RefusalTold] | None = Field(default=None, description="The first 1,000")
    problem: str | None = None
    note: str


def told(found: Import) -> ImportTold:
    """The import as its sender may see it."""
    is_planned = found.state not in {State.AWAITING_FILE, State.UPLOADED}
    return ImportTold(
        id=found.id,
        state=found.state,
        preset=found.instructions["preset"],
        created_at=found.created_at,
        begun_at=found.begun_at,
        finished_at=found.finished_at,
        octets=found.octets if found.digest else None,
        sha256=found.digest.hex() if found.digest else None,
        rows_done=found.position,
        plan=found.plan or None,
        planned=_figures(found.planned) if is_planned else None,
        applied=_figures(found.tally),
        taken_back=found.undone or None,
        refusals=[RefusalTold(**refusal) for refusal in found.refusals] if is_planned else None,
        problem=found.problem or None,
        note=NOTHING_LIFTED,
    )


def _figures(stored: Mapping[str, Any]) -> FiguresTold | None:
    return FiguresTold.model_validate(stored) if stored else None
