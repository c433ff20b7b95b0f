"""What Mailchimp answers, as far as we read it; unknown fields are left alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, TypeAdapter


class Member(BaseModel):
    """One address in the audience. `interests` has every group of the audience."""

    id: str
    status: str
    interests: dict[str, bool] = {}
    merge_fields: dict[str, Any] = {}


class Listed(BaseModel):
    """A member as the listing shows it."""

    email_address: str
    status: str
    interests: dict[str, bool] = {}
    merge_fields: dict[str, Any] = {}
    last_changed: datetime


class Named(BaseModel):
    """A member, or a fault, as a batch shows it."""

    email_address: str = ""
    status: str = ""
    error_code: str = ""


class Batch(BaseModel):
    """What became of a batch of members."""

    new_members: list[Named]
    updated_members: list[Named]
    errors: list[Named]


class Problem(BaseModel):
    """An error: `title` is its name in Mailchimp's glossary, never an address."""

    title: str = ""


class _Account(BaseModel):
    role: str = ""


class _Thing(BaseModel):
    id: str
    name: str = ""


class _Categories(BaseModel):
    categories: list[_Thing]


class _Interests(BaseModel):
    interests: list[_Thing]


class _Field(BaseModel):
    tag: str
    type: str


class _Fields(BaseModel):
    merge_fields: list[_Field]


class _Members(BaseModel):
    members: list[Listed]


MEMBER = TypeAdapter(Member)
BATCH = TypeAdapter(Batch)
PROBLEM = TypeAdapter(Problem)
ACCOUNT = TypeAdapter(_Account)
CATEGORIES = TypeAdapter(_Categories)
INTERESTS = TypeAdapter(_Interests)
FIELDS = TypeAdapter(_Fields)
MEMBERS = TypeAdapter(_Members)
