"""Reading statuses in HubSpot: 100 addresses a call, or one.

https://developers.hubspot.com/docs/api-reference/2026-03/communication-preferences/guide
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from preference_center.integrations.base import runtime
from preference_center.integrations.hubspot.client import (
    UNSUBSCRIBED,
    HubSpotClient,
    MissingScopeError,
)
from preference_center.integrations.hubspot.models import SubscriptionStatus, UnsubscribeAllStatus

T = TypeVar("T")


@dataclass(slots=True)
class CallMode:
    """What is known about the key's scopes, for the life of its connector."""

    single_reads: bool = False
    single_writes: bool = False


def find_statuses(
    client: HubSpotClient, call_mode: CallMode, addresses: Sequence[str]
) -> Mapping[str, Sequence[SubscriptionStatus] | None]:
    """Casefolded address -> its statuses, None if HubSpot does not know it.

    At most 100; an address that could not be looked up is left out.
    """
    if not call_mode.single_reads:
        try:
            found = client.read_statuses_batch(addresses)
        except MissingScopeError:
            call_mode.single_reads = True
        else:
            known = {each.subscriber_id_string.casefold(): each.statuses for each in found}
            return {address.casefold(): known.get(address.casefold()) for address in addresses}
    return dict(_read_each(addresses, client.read_statuses))


def with_timestamps(
    client: HubSpotClient, call_mode: CallMode, events: Sequence[runtime.VendorEvent]
) -> tuple[runtime.VendorEvent, ...]:
    """The same opt-outs, of at most 100 contacts, with the time of each where HubSpot has it.

    A contact's properties have no times. Opt-outs that can't be looked up stay without.
    """
    single = list(dict.fromkeys(n.address for n in events if n.target is not None))
    whole = list(dict.fromkeys(n.address for n in events if n.target is None))
    at: dict[tuple[str, str | None], datetime] = {}
    try:
        for address, found in find_statuses(client, call_mode, single).items() if single else ():
            for status in found or ():
                if status.status == UNSUBSCRIBED and status.timestamp:
                    at[address, str(status.subscription_id)] = status.timestamp
        for wide in _find_unsubscribe_all(client, call_mode, whole) if whole else ():
            if wide.status == UNSUBSCRIBED and wide.timestamp:
                key = (wide.subscriber_id_string.casefold(), None)
                at[key] = max(wide.timestamp, at.get(key, wide.timestamp))
    except (MissingScopeError, runtime.RequestRejected):
        return tuple(events)
    return tuple(replace(n, occurred_at=at.get((n.address.casefold(), n.target))) for n in events)


def _find_unsubscribe_all(
    client: HubSpotClient, call_mode: CallMode, addresses: Sequence[str]
) -> list[UnsubscribeAllStatus]:
    if not call_mode.single_reads:
        try:
            return client.read_unsubscribe_all_batch(addresses)
        except MissingScopeError:
            call_mode.single_reads = True
    found = _read_each(addresses, client.read_unsubscribe_all)
    return [status for _, those in found for status in those]


def _read_each(addresses: Sequence[str], read: Callable[[str], T]) -> Iterator[tuple[str, T]]:
    for address in addresses:
        try:
            yield address.casefold(), read(address)
        except runtime.RequestRejected:
            continue
