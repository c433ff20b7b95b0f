"""The fields of Salesforce's responses that are read; others are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_pascal

from preference_center.integrations.base import runtime


class TokenError(runtime.LenientModel):
    """Why no token was issued."""

    error: str = Field(default="", pattern=r"^[a-z_]*$")


class QueryError(runtime.CamelModel):
    """Why a request failed: only the code, since messages quote the query and addresses (I12)."""

    error_code: str = Field(pattern=r"^[A-Z_]+$")


class _RecordAttributes(BaseModel):
    type: str


class SalesforceRecord(BaseModel):
    """One contact or lead, with the requested fields."""

    model_config = ConfigDict(alias_generator=to_pascal, extra="allow")

    attributes: _RecordAttributes = Field(alias="attributes")
    id: str
    email: str | None
    system_modstamp: datetime

    @property
    def object_type(self) -> str:
        """The name of its object: Contact or Lead."""
        return self.attributes.type

    @property
    def fields(self) -> Mapping[str, Any]:
        """Field name -> value, of the requested fields."""
        return self.model_extra or {}


class QueryResponse(runtime.CamelModel):
    """A page of the records of a query."""

    done: bool
    next_records_url: str | None = None
    records: list[SalesforceRecord]


class _SaveError(runtime.CamelModel):
    status_code: str = ""


class SaveResult(runtime.LenientModel):
    """The result of changing one record."""

    success: bool
    errors: tuple[_SaveError, ...] = ()


class FieldDescription(runtime.CamelModel):
    """A field of an object that the app's user may see; others are not described."""

    name: str
    label: str = ""
    type: str
    custom: bool = False
    updateable: bool = False
    """Whether the app's user may edit it."""
    length: int = 0

    @property
    def is_custom_checkbox(self) -> bool:
        """Whether it is a checkbox that the org added."""
        return self.custom and self.type == "boolean"


class ObjectDescription(runtime.LenientModel):
    """An object, as the app's user sees it."""

    field_list: tuple[FieldDescription, ...] = Field(default=(), alias="fields")
    updateable: bool = False
    """Whether the app's user may edit records of it."""
    deletable: bool = False
    """Whether the app's user may delete records of it."""

    @property
    def fields_by_name(self) -> dict[str, FieldDescription]:
        """Field name -> field."""
        return {row.name: row for row in self.field_list}
