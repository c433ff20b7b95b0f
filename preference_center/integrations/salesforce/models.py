"""The fields of Salesforce's responses that are read; others are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel, to_pascal

from preference_center.integrations.base.pydantic_types import LenientModel


class _SalesforceCamelModel(LenientModel):
    model_config = ConfigDict(alias_generator=to_camel)


class _TokenResponse(BaseModel):
    access_token: str


class _TokenError(LenientModel):
    error: str = Field(default="", pattern=r"^[a-z_]*$")


class _QueryError(_SalesforceCamelModel):
    """Only the code is read: messages quote the query, and so addresses (I12)."""

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


class _QueryResponse(_SalesforceCamelModel):
    done: bool
    next_records_url: str | None = None
    records: list[SalesforceRecord]


class _SaveError(_SalesforceCamelModel):
    status_code: str = ""


class SaveResult(LenientModel):
    """The result of changing one record."""

    success: bool
    errors: tuple[_SaveError, ...] = ()


class FieldDescription(_SalesforceCamelModel):
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


class ObjectDescription(LenientModel):
    """An object, as the app's user sees it."""

    field_list: tuple[FieldDescription, ...] = Field(default=(), alias="fields")
    updateable: bool = False
    """Whether the app's user may edit records of it."""

    @property
    def fields_by_name(self) -> dict[str, FieldDescription]:
        """Field name -> field."""
        return {row.name: row for row in self.field_list}


TOKEN = TypeAdapter(_TokenResponse)
TOKEN_ERROR = TypeAdapter(_TokenError)
QUERY_ERRORS = TypeAdapter(list[_QueryError])
QUERY_RESPONSE = TypeAdapter(_QueryResponse)
SAVE_RESULTS = TypeAdapter(list[SaveResult])
OBJECT_DESCRIPTION = TypeAdapter(ObjectDescription)
