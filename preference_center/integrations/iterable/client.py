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

from preference_center.domain.sync.capabilities import RateLimit
from preference_center.integrations.base.http import HttpSession
from preference_center.integrations.base.rate_limit import EndpointRateLimit

CHANNEL, TYPE, LIST = "channel", "type", "list"
"""Kinds of targets, as the webhook's module names them, too."""
EXPORT_LIMIT = EndpointRateLimit("exports", RateLimit(4, 60))
MAX_EXPORT_BYTES = 100_000_000
"""Bytes of an export, which has no pages."""

IdList = Annotated[list[int], BeforeValidator(lambda ids: ids or [])]


class _IterableModel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class MessageChannel(_IterableModel):
    """A message channel."""

    id: int
    name: str | None = None
    channel_type: str | None = None
    message_medium: str | None = None

    @property
    def unusable_reason(self) -> str:
        """Why no topic may be mapped to it or its types."""
        if self.message_medium != "Email":
            return "is not sent by email: map one that is"
        if self.channel_type != "Marketing":
            return "is not for marketing, so that service mail may go through it: map one that is"
        return ""


class MessageType(_IterableModel):
    """A message type of a channel."""

    id: int
    name: str | None = None
    channel_id: int | None = None
    subscription_policy: str | None = None

    @property
    def is_opt_in(self) -> bool:
        """Whether it is only sent to who subscribed."""
        return self.subscription_policy == "OptIn"


class MailingList(_IterableModel):
    """A list."""

    id: int
    name: str | None = None
    list_type: str | None = None

    @property
    def unusable_reason(self) -> str:
        """Why no topic may be mapped to it."""
        return "" if self.list_type == "Standard" else "is no static list: map one that is"


class IterableUser(_IterableModel):
    """What a user is subscribed to and unsubscribed from."""

    unsubscribed_channel_ids: IdList = []
    unsubscribed_message_type_ids: IdList = []
    subscribed_message_type_ids: IdList = []
    email_list_ids: IdList = []


class _UserProfile(_IterableModel):
    email: str | None = None
    data_fields: IterableUser | None = None


class _UserResponse(_IterableModel):
    user: _UserProfile | None = None


class _ChannelsResponse(_IterableModel):
    channels: list[MessageChannel]


class _MessageTypesResponse(_IterableModel):
    message_types: list[MessageType]


class _IterableListsResponse(_IterableModel):
    lists: list[MailingList]


class _SubscriptionsResponse(_IterableModel):
    success_count: int
    fail_count: int = 0
    invalid_emails: list[str] | None = None
    valid_email_failures: list[str] | None = None


_USER_RESPONSE, _CHANNELS_RESPONSE = TypeAdapter(_UserResponse), TypeAdapter(_ChannelsResponse)
_MESSAGE_TYPES_RESPONSE, _LISTS_RESPONSE, _SUBSCRIPTIONS_RESPONSE = (
    TypeAdapter(_MessageTypesResponse),
    TypeAdapter(_IterableListsResponse),
    TypeAdapter(_SubscriptionsResponse),
)


@dataclass(frozen=True, slots=True)
class SubscriptionFailures:
    """Which of several addresses were not changed, casefolded."""

    invalid: frozenset[str]
    temporary: frozenset[str]
    unidentified_count: int
    """How many more failed."""


@dataclass
class IterableClient:
    """One project, for one push or listing."""

    session: HttpSession

    @cached_property
    def channels(self) -> Mapping[int, MessageChannel]:
        """Id -> channel, of any medium."""
        found = self.session.send("GET", "/api/channels").parse(_CHANNELS_RESPONSE)
        return {channel.id: channel for channel in found.channels}

    @cached_property
    def message_types(self) -> Mapping[int, MessageType]:
        """Id -> message type."""
        found = self.session.send("GET", "/api/messageTypes").parse(_MESSAGE_TYPES_RESPONSE)
        return {type_.id: type_ for type_ in found.message_types}

    def list_lists(self) -> Sequence[MailingList]:
        """All lists, of any kind."""
        return self.session.send("GET", "/api/lists").parse(_LISTS_RESPONSE).lists

    @property
    def opt_in_types(self) -> set[int]:
        """Ids of the message types that are only sent to who subscribed."""
        return {id_ for id_, type_ in self.message_types.items() if type_.is_opt_in}

    def get_user(self, address: str) -> IterableUser | None:
        """A user, None if there is none. Raises Rejected for what is no address."""
        answer = self.session.send(
            "GET",
            "/api/users/getByEmail",
            query={"email": address},
            allowed_statuses={HTTPStatus.NOT_FOUND},
        )
        profile = (
            None if answer.status == HTTPStatus.NOT_FOUND else answer.parse(_USER_RESPONSE).user
        )
        if profile is None or (profile.email or address).casefold() != address.casefold():
            return None
        return profile.data_fields or IterableUser()

    def update_subscriptions(
        self, requests: Sequence[Mapping[str, object]]
    ) -> SubscriptionFailures:
        """Replace what each request names, of at most 1,000 users."""
        body = {"updateSubscriptionsRequests": requests}
        answer = self.session.send("POST", "/api/users/bulkUpdateSubscriptions", body=body)
        found = answer.parse(_SUBSCRIPTIONS_RESPONSE)
        invalid = frozenset(address.casefold() for address in found.invalid_emails or ())
        for_now = frozenset(address.casefold() for address in found.valid_email_failures or ())
        return SubscriptionFailures(
            invalid, for_now, max(0, found.fail_count - len(invalid | for_now))
        )

    def export_unsubscribes(self, since: datetime, until: datetime) -> bytes:
        """Events of a span of time, one a line of JSON."""
        query = {
            "dataTypeName": "emailUnSubscribe",
            "startDateTime": f"{since:%Y-%m-%d %H:%M:%S} +00:00",
            "endDateTime": f"{until:%Y-%m-%d %H:%M:%S} +00:00",
        }
        answer = self.session.send(
            "GET",
            "/api/export/data.json",
            query=query,
            max_bytes=MAX_EXPORT_BYTES,
            limit=EXPORT_LIMIT,
        )
        return answer.body
