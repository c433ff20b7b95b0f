"""What is off for a user of Iterable's, and the request that changes it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from preference_center.integrations.base import runtime
from preference_center.integrations.iterable.client import (
    CHANNEL,
    LIST,
    TYPE,
    IterableClient,
    IterableUser,
)


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
