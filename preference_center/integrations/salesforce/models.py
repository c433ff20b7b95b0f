"""What Salesforce answers, as far as we read it; unknown fields are left alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel, to_pascal

from preference_center.integrations.base.pydantic_types import Lenient


class _Camel(Lenient):
    model_config = ConfigDict(alias_generator=to_camel)


class _Token(BaseModel):
    access_token: str


class _Refusal(Lenient):
    error: str = Field(default="", pattern=r"^[a-z_]*$")


class _Fault(_Camel):
    """Only the code is read: messages quote the query, and so addresses (I12)."""

    error_code: str = Field(pattern=r"^[A-Z_]+$")


class _Attributes(BaseModel):
    type: str


class Record(BaseModel):
    """One contact or lead, with the fields that were asked for."""

    model_config = ConfigDict(alias_generator=to_pascal, extra="allow")

    attributes: _Attributes = Field(alias="attributes")
    id: str
    email: str | None
    system_modstamp: datetime

    @property
    def object(self) -> str:
        """What kind of record it is."""
        return self.attributes.type

    @property
    def fields(self) -> Mapping[str, Any]:
        """Field name -> value, of the other fields."""
        return self.model_extra or {}


class _Rows(_Camel):
    done: bool
    next_records_url: str | None = None
    records: list[Record]


class _RowFault(_Camel):
    status_code: str = ""


class Saved(Lenient):
    """What became of one record that was to be changed."""

    success: bool
    errors: tuple[_RowFault, ...] = ()


class Column(_Camel):
    """A field of an object, as our user sees it; who may not see it is not told of it."""

    name: str
    label: str = ""
    type: str
    custom: bool = False
    updateable: bool = False
    """Whether our user may edit it."""
    length: int = 0

    @property
    def is_custom_switch(self) -> bool:
        """Whether it is a checkbox that the org made itself."""
        return self.custom and self.type == "boolean"


class Described(Lenient):
    """An object, as our user sees it."""

    columns_: tuple[Column, ...] = Field(default=(), alias="fields")
    updateable: bool = False
    """Whether our user may edit records of it."""

    @property
    def columns(self) -> dict[str, Column]:
        """Field name -> field."""
        return {row.name: row for row in self.columns_}


TOKEN = TypeAdapter(_Token)
REFUSAL = TypeAdapter(_Refusal)
FAULTS = TypeAdapter(list[_Fault])
ROWS = TypeAdapter(_Rows)
SAVED = TypeAdapter(list[Saved])
DESCRIBED = TypeAdapter(Described)
