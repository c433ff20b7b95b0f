"""`IterableClient` calls Iterable's API to read what is off for a user, and to change it.

https://api.iterable.com/api/docs
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from preference_center.integrations.base import runtime

CHANNEL, TYPE, LIST = "channel", "type", "list"
"""Kinds of targets, as the webhook's module names them, too."""


EXPORT_LIMIT = runtime.EndpointRateLimit("exports", runtime.RateLimit(4, 60))


BULK_UPDATE_LIMIT = runtime.EndpointRateLimit("bulk updates", runtime.RateLimit(5, 1))


IDENTITY_FIELDS = frozenset({"email", "phoneNumber", "userId"})
"""Text fields that say who a user is."""


FORGET_LIMIT = runtime.EndpointRateLimit("forget", runtime.RateLimit(3, 1))


MAX_EXPORT_BYTES = 100_000_000
"""Bytes of an export, which has no pages."""


class MessageChannel(runtime.CamelModel):
    """A message channel."""

    id: int
    name: str = ""
    channel_type: str = ""
    message_medium: str = ""

    @property
    def unusable_reason(self) -> str:
        """Why no topic may be mapped to it or its types."""
        if self.message_medium != "Email":
            return "is not sent by email: map one that is"
        if self.channel_type != "Marketing":
            return "is not for marketing, so that service mail may go through it: map one that is"
        return ""


class MessageType(runtime.CamelModel):
    """A message type of a channel."""

    id: int
    name: str = ""
    channel_id: int = 0
    subscription_policy: str = ""

    @property
    def is_opt_in(self) -> bool:
        """Whether it is only sent to who subscribed."""
        return self.subscription_policy == "OptIn"


class MailingList(runtime.CamelModel):
    """A list."""

    id: int
    name: str = ""
    list_type: str = ""

    @property
    def unusable_reason(self) -> str:
        """Why no topic may be mapped to it."""
        return "" if self.list_type == "Standard" else "is no static list: map one that is"


class IterableUser(runtime.CamelModel):
    """What a user is subscribed to and unsubscribed from."""

    unsubscribed_channel_ids: tuple[int, ...] = ()
    unsubscribed_message_type_ids: tuple[int, ...] = ()
    subscribed_message_type_ids: tuple[int, ...] = ()
    email_list_ids: tuple[int, ...] = ()


class _UserProfile(runtime.CamelModel):
    email: str = ""
    data_fields: IterableUser = IterableUser()


class _UserResponse(runtime.CamelModel):
    user: _UserProfile | None = None


class _SubscriptionsResponse(runtime.CamelModel):
    success_count: int
    fail_count: int = 0
    invalid_emails: tuple[str, ...] = ()
    valid_email_failures: tuple[str, ...] = ()


class _FailedUpdates(runtime.CamelModel):
    invalid_emails: tuple[str, ...] = ()
    invalid_data_emails: tuple[str, ...] = ()
    forgotten_emails: tuple[str, ...] = ()


class _UpdateResponse(runtime.CamelModel):
    success_count: int
    fail_count: int = 0
    filtered_out_fields: tuple[str, ...] = ()
    failed_updates: _FailedUpdates = _FailedUpdates()


@dataclass(frozen=True, slots=True)
class UpdateFailures:
    """Which of several addresses were not changed, casefolded."""

    invalid: frozenset[str]
    temporary: frozenset[str]
    unidentified_count: int
    """How many more failed."""


@dataclass
class IterableClient:
    """One project, for one push or listing."""

    session: runtime.Session

    @cached_property
    def channels(self) -> Mapping[int, MessageChannel]:
        """Id -> channel, of any medium."""
        answer = self.session.send("GET", "/api/channels")
        return {each.id: each for each in answer.parse_member(list[MessageChannel], "channels")}

    @cached_property
    def message_types(self) -> Mapping[int, MessageType]:
        """Id -> message type."""
        answer = self.session.send("GET", "/api/messageTypes")
        return {each.id: each for each in answer.parse_member(list[MessageType], "messageTypes")}

    def list_lists(self) -> Sequence[MailingList]:
        """All lists, of any kind."""
        return self.session.send("GET", "/api/lists").parse_member(list[MailingList], "lists")

    @property
    def opt_in_types(self) -> set[int]:
        """Ids of the message types that are only sent to who subscribed."""
        return {id_ for id_, type_ in self.message_types.items() if type_.is_opt_in}

    def get_user(self, address: str) -> IterableUser | None:
        """A user, None if there is none. Raises RequestRejected for an invalid address."""
        answer = self.session.find("GET", "/api/users/getByEmail", query={"email": address})
        if answer is None:
            return None
        profile = answer.parse(_UserResponse).user
        if profile is None or (profile.email or address).casefold() != address.casefold():
            return None
        return profile.data_fields

    def forget_user(self, address: str) -> None:
        """Have a user deleted, and never taken again. Raises RequestRejected as `get_user`."""
        answer = self.session.send(
            "POST", "/api/users/forget", body={"email": address}, limit=FORGET_LIMIT
        )
        if answer.parse_member(str, "code") != "Success":
            raise runtime.UnexpectedResponse("Iterable answered without success")

    def update_subscriptions(self, requests: Sequence[Mapping[str, object]]) -> UpdateFailures:
        """Replace what each request names, of at most 1,000 users."""
        body = {"updateSubscriptionsRequests": requests}
        answer = self.session.send("POST", "/api/users/bulkUpdateSubscriptions", body=body)
        found = answer.parse(_SubscriptionsResponse)
        invalid = frozenset(address.casefold() for address in found.invalid_emails)
        temporary = frozenset(address.casefold() for address in found.valid_email_failures)
        unidentified = max(0, found.fail_count - len(invalid | temporary))
        return UpdateFailures(invalid, temporary, unidentified)

    def list_text_fields(self) -> set[str]:
        """Names of the project's fields of users that hold a text."""
        answer = self.session.send("GET", "/api/users/getFields")
        types = answer.parse_member(dict[str, str], "fields")
        return {name for name, type_ in types.items() if type_ == "string"} - IDENTITY_FIELDS

    def update_field(self, field: str, values: Mapping[str, str]) -> UpdateFailures:
        """Set a field of users by their addresses, at most 4 MB. Creates unknown users.

        Not by the calls for one user: Iterable may apply those and bulk ones in another order.
        Raises DeliveryError where the project has no such field.
        """
        users = [{"email": each, "dataFields": {field: value}} for each, value in values.items()]
        answer = self.session.send(
            "POST",
            "/api/users/bulkUpdate",
            body={"users": users, "createNewFields": False},
            limit=BULK_UPDATE_LIMIT,
        )
        found = answer.parse(_UpdateResponse)
        if field in found.filtered_out_fields:
            raise runtime.DeliveryError(f"the project has no field {field}: add it there")
        failed = found.failed_updates
        invalid = frozenset(
            address.casefold()
            for address in (
                *failed.invalid_emails, *failed.invalid_data_emails, *failed.forgotten_emails,
            )
        )  # fmt: skip
        return UpdateFailures(invalid, frozenset(), max(0, found.fail_count - len(invalid)))

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


@dataclass(frozen=True)
class IterableContact(runtime.RemoteContact):
    """A user with the arrays that a change replaces."""

    user: IterableUser = field(default_factory=IterableUser)


def to_contact(
    client: IterableClient, user: IterableUser | None, target_ids: Collection[str]
) -> IterableContact | None:
    """What is off for a user, of these targets; None without one."""
    if user is None:
        return None
    off = {}
    for target in target_ids:
        kind, _, number = target.partition(":")
        if number.isdigit() and (state := _off_state(client, user, kind, int(number))):
            off[target] = state
    return IterableContact(off, user)


def _off_state(
    client: IterableClient, user: IterableUser, kind: str, id_: int
) -> runtime.OffState | None:
    """Why one target is off for `user`."""
    if kind == CHANNEL:
        return runtime.OffState("unsubscribed") if id_ in user.unsubscribed_channel_ids else None
    if kind == LIST:
        # An address that is not on a list may never have been.
        return (
            None if id_ in user.email_list_ids else runtime.OffState("not on it", is_opt_out=False)
        )
    type_ = client.message_types.get(id_)
    if id_ in user.unsubscribed_message_type_ids:
        return runtime.OffState("unsubscribed")
    if type_ and type_.is_opt_in and id_ not in user.subscribed_message_type_ids:
        return runtime.OffState("not subscribed", is_opt_out=False)
    if type_ and type_.channel_id in user.unsubscribed_channel_ids:
        return runtime.OffState("its channel is unsubscribed", is_exact=False)
    return None


def to_request(client: IterableClient, change: runtime.TargetChange) -> Mapping[str, object]:
    """The whole of each array that changes; arrays that are not named stay as they are."""
    assert isinstance(change.contact, IterableContact)
    user, opt_in = change.contact.user, client.opt_in_types
    channels_off, channels_on = _target_numbers(change, CHANNEL)
    types_off, types_on = _target_numbers(change, TYPE)
    lists_off, lists_on = _target_numbers(change, LIST)
    request: dict[str, object] = {"email": change.address}

    def replace_array(array: str, ids: Iterable[int], added: set[int], removed: set[int]) -> None:
        if added or removed:
            request[array] = sorted((set(ids) | added) - removed)

    replace_array(
        "unsubscribedChannelIds", user.unsubscribed_channel_ids, channels_off, channels_on
    )
    unsubscribed = user.unsubscribed_message_type_ids
    replace_array("unsubscribedMessageTypeIds", unsubscribed, types_off - opt_in, types_on - opt_in)
    subscribed = user.subscribed_message_type_ids
    replace_array("subscribedMessageTypeIds", subscribed, types_on & opt_in, types_off & opt_in)
    replace_array("emailListIds", user.email_list_ids, lists_on, lists_off)
    if types_on & opt_in:
        # Else rejected while the user is unsubscribed from the channel, which stops it anyway.
        request["validateChannelAlignment"] = False
    return request


def _target_numbers(change: runtime.TargetChange, kind: str) -> tuple[set[int], set[int]]:
    """Ids of one kind of target that are to be off, and on."""

    def numbers_of(target_ids: frozenset[str]) -> set[int]:
        return {int(t.partition(":")[2]) for t in target_ids if t.startswith(f"{kind}:")}

    return numbers_of(change.off), numbers_of(change.on)
