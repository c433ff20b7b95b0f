"""The fields of Mailchimp's responses that are read; others are ignored."""

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
    """A member as listed; one who only has a phone number has no email address."""

    email_address: str = ""
    status: str = ""
    interests: dict[str, bool] = Field(default_factory=dict)
    merge_fields: dict[str, Any] = Field(default_factory=dict)
    last_changed: IsoDatetime = None


class BatchMember(LenientModel):
    """A member, or an error, in the response to a batch."""

    email_address: str = ""
    status: str = ""
    error_code: str = ""


class BatchResponse(LenientModel):
    """The result of a batch of members."""

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
