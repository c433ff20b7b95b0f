"""What Mailchimp answers, as far as we read it; unknown fields are left alone."""

from __future__ import annotations

from typing import Any

from pydantic import Field, TypeAdapter

from preference_center.integrations.base.pydantic_types import Lenient, Moment


class Member(Lenient):
    """One address in the audience. `interests` has every group of the audience."""

    id: str = ""
    status: str
    interests: dict[str, bool] = Field(default_factory=dict)
    merge_fields: dict[str, Any] = Field(default_factory=dict)


class Listed(Lenient):
    """A member as the listing shows it; one who gets texts only has no email address."""

    email_address: str = ""
    status: str = ""
    interests: dict[str, bool] = Field(default_factory=dict)
    merge_fields: dict[str, Any] = Field(default_factory=dict)
    last_changed: Moment = None


class Named(Lenient):
    """A member, or a fault, as a batch shows it."""

    email_address: str = ""
    status: str = ""
    error_code: str = ""


class Batch(Lenient):
    """What became of a batch of members."""

    new_members: list[Named] = Field(default_factory=list)
    updated_members: list[Named] = Field(default_factory=list)
    errors: list[Named] = Field(default_factory=list)


class Problem(Lenient):
    """An error: `title` is its name in Mailchimp's glossary, never an address."""

    title: str = ""


class _Account(Lenient):
    role: str = ""


class _Thing(Lenient):
    id: str = ""
    name: str = ""


class _Categories(Lenient):
    categories: list[_Thing]


class _Interests(Lenient):
    interests: list[_Thing]


class _Field(Lenient):
    tag: str = ""
    type: str = ""


class _Fields(Lenient):
    merge_fields: list[_Field]


class _Members(Lenient):
    members: list[Listed]


MEMBER = TypeAdapter(Member)
BATCH = TypeAdapter(Batch)
PROBLEM = TypeAdapter(Problem)
ACCOUNT = TypeAdapter(_Account)
CATEGORIES = TypeAdapter(_Categories)
INTERESTS = TypeAdapter(_Interests)
FIELDS = TypeAdapter(_Fields)
MEMBERS = TypeAdapter(_Members)
