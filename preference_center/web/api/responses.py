"""What responses share. A field that does not apply is omitted, never null."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ResponseBody(BaseModel):
    """A JSON object with exactly these fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ErrorDetail(ResponseBody):
    """One error in the request."""

    code: str
    detail: str = Field(
        description="A long text that an earlier error has is given as `as at`, and where that is"
    )
    pointer: str | None = Field(default=None, description="JSON pointer (RFC 6901) into the body")
    parameter: str | None = Field(default=None, description="The parameter of the URL")


class ProblemDocument(ResponseBody):
    """Problem details (RFC 9457)."""

    type: str = Field(json_schema_extra={"format": "uri"})
    title: str
    status: int
    detail: str
    errors: list[ErrorDetail] | None = None
    errors_left_out: int | None = None
