"""Iterable's API, as far as subscriptions go: https://api.iterable.com/api/docs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from http import HTTPStatus
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel

from preference_center.domain.sync.capabilities import Rate
from preference_center.integrations.base.http import Session
from preference_center.integrations.base.rate_limit import Limit

CHANNEL, TYPE, LIST = "channel", "type", "list"
"""Kinds of targets, as the webhook's module names them, too."""
EXPORTS = Limit("exports", Rate(4, 60))
MOST = 100_000_000
"""Bytes of an export, which has no pages."""

Ids = Annotated[list[int], BeforeValidator(lambda ids: ids or [])]


class _Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class MessageChannel(_Camel):
    """A message channel."""

    id: int
    name: str | None = None
    channel_type: str | None = None
    message_medium: str | None = None

    @property
    def fault(self) -> str:
        """Why no topic may be mapped to it or its types."""
        if self.message_medium != "Email":
            return "is not sent by email: map one that is"
        if self.channel_type != "Marketing":
            return "is not for marketing, so that service mail may go through it: map one that is"
        return ""


class MessageType(_Camel):
    """A message type of a channel."""

    id: int
    name: str | None = None
    channel_id: int | None = None
    subscription_policy: str | None = None

    @property
    def is_opt_in(self) -> bool:
        """Whether it is only sent to who subscribed."""
        return self.subscription_policy == "OptIn"


class MailingList(_Camel):
    """A list."""

    id: int
    name: str | None = None
    list_type: str | None = None

    @property
    def fault(self) -> str:
        """Why no topic may be mapped to it."""
        return "" if self.list_type == "Standard" else "is no static list: map one that is"


class User(_Camel):
    """What a user is subscribed to and unsubscribed from."""

    unsubscribed_channel_ids: Ids = []
    unsubscribed_message_type_ids: Ids = []
    subscribed_message_type_ids: Ids = []
    email_list_ids: Ids = []


class _Profile(_Camel):
    email: str | None = None
    data_fields: User | None = None


class _UserAnswer(_Camel):
    user: _Profile | None = None


class _Channels(_Camel):
    channels: list[MessageChannel]


class _Types(_Camel):
    message_types: list[MessageType]


class _Lists(_Camel):
    lists: list[MailingList]


class _Subscribed(_Camel):
    success_count: int
    fail_count: int = 0
    invalid_emails: list[str] | None = None
    valid_email_failures: list[str] | None = None


_USER, _CHANNELS = TypeAdapter(_UserAnswer), TypeAdapter(_Channels)
_TYPES, _LISTS, _SUBSCRIBED = TypeAdapter(_Types), TypeAdapter(_Lists), TypeAdapter(_Subscribed)


@dataclass(frozen=True, slots=True)
class Failed:
    """Which of several addresses were not changed, casefolded."""

    invalid: frozenset[str]
    for_now: frozenset[str]
    unnamed: int
    """How many more failed."""


@dataclass
class Project:
    """One project, for one push or listing."""

    session: Session

    @cached_property
    def channels(self) -> Mapping[int, MessageChannel]:
        """Id -> channel, of any medium."""
        found = self.session.send("GET", "/api/channels").parse(_CHANNELS)
        return {channel.id: channel for channel in found.channels}

    @cached_property
    def types(self) -> Mapping[int, MessageType]:
        """Id -> message type."""
        found = self.session.send("GET", "/api/messageTypes").parse(_TYPES)
        return {type_.id: type_ for type_ in found.message_types}

    def lists(self) -> Sequence[MailingList]:
        """All lists, of any kind."""
        return self.session.send("GET", "/api/lists").parse(_LISTS).lists

    @property
    def opt_in_types(self) -> set[int]:
        """Ids of the message types that are only sent to who subscribed."""
        return {id_ for id_, type_ in self.types.items() if type_.is_opt_in}

    def user(self, address: str) -> User | None:
        """A user, None if there is none. Raises Rejected for what is no address."""
        answer = self.session.send(
            "GET", "/api/users/getByEmail", query={"email": address}, allow={HTTPStatus.NOT_FOUND}
        )
        profile = None if answer.status == HTTPStatus.NOT_FOUND else answer.parse(_USER).user
        if profile is None or (profile.email or address).casefold() != address.casefold():
            return None
        return profile.data_fields or User()

    def subscribe(self, requests: Sequence[Mapping[str, object]]) -> Failed:
        """Replace what each request names, of at most 1,000 users."""
        body = {"updateSubscriptionsRequests": requests}
        answer = self.session.send("POST", "/api/users/bulkUpdateSubscriptions", body=body)
        found = answer.parse(_SUBSCRIBED)
        invalid = frozenset(address.casefold() for address in found.invalid_emails or ())
        for_now = frozenset(address.casefold() for address in found.valid_email_failures or ())
        return Failed(invalid, for_now, max(0, found.fail_count - len(invalid | for_now)))

    def unsubscribes(self, since: datetime, until: datetime) -> bytes:
        """Events of a span of time, one a line of JSON."""
        query = {
            "dataTypeName": "emailUnSubscribe",
            "startDateTime": f"{since:%Y-%m-%d %H:%M:%S} +00:00",
            "endDateTime": f"{until:%Y-%m-%d %H:%M:%S} +00:00",
        }
        answer = self.session.send(
            "GET", "/api/export/data.json", query=query, most=MOST, limit=EXPORTS
        )
        return answer.body
