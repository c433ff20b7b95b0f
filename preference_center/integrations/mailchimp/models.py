"""What Mailchimp answers, as far as we read it; unknown fields are left alone."""

from __future__ import annotations

from typing import Any

from pydantic import Field, TypeAdapter

from preference_center.integrations.base.pydantic_types import IsoDatetime, LenientModel


class MailchimpMember(LenientModel):
    """One address in the audience. `interests` has every group of the audience."""

    id: str = ""
    status: str
    interests: dict[str, bool] = Field(default_factory=dict)
    merge_fields: dict[str, Any] = Field(default_factory=dict)


class ListedMember(LenientModel):
    """A member as the listing shows it; one who gets texts only has no email address."""

    email_address: str = ""
    status: str = ""
    interests: dict[str, bool] = Field(default_factory=dict)
    merge_fields: dict[str, Any] = Field(default_factory=dict)
    last_changed: IsoDatetime = None


class BatchMember(LenientModel):
    """A member, or a fault, as a batch shows it."""

    email_address: str = ""
    status: str = ""
    error_code: str = ""


class BatchResponse(LenientModel):
    """What became of a batch of members."""

    new_members: list[BatchMember] = Field(default_factory=list)
    updated_members: list[BatchMember] = Field(default_factory=list)
    errors: list[BatchMember] = Field(default_factory=list)


class MailchimpProblem(LenientModel):
    """An error: `title` is its name in Mailchimp's glossary, never an address."""

    title: str = ""


class _AccountInfo(LenientModel):
    role: str = ""


class _NamedObject(LenientModel):
    id: str = ""
    name: str = ""


class _Categories(LenientModel):
    categories: list[_NamedObject]


class _Interests(LenientModel):
    interests: list[_NamedObject]


class _MergeField(LenientModel):
    tag: str = ""
    type: str = ""


class _MergeFields(LenientModel):
    merge_fields: list[_MergeField]


class _Members(LenientModel):
    members: list[ListedMember]


MEMBER = TypeAdapter(MailchimpMember)
BATCH = TypeAdapter(BatchResponse)
PROBLEM = TypeAdapter(MailchimpProblem)
ACCOUNT = TypeAdapter(_AccountInfo)
CATEGORIES = TypeAdapter(_Categories)
INTERESTS = TypeAdapter(_Interests)
MERGE_FIELDS = TypeAdapter(_MergeFields)
MEMBERS = TypeAdapter(_Members)
