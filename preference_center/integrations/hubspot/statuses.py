"""Reading statuses in HubSpot: 100 addresses in one call, or one a call.

https://developers.hubspot.com/docs/api-reference/2026-03/communication-preferences/guide
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from preference_center.domain.vendor_events import News
from preference_center.integrations.base.http import Rejected
from preference_center.integrations.hubspot.client import OFF, MissingScope, Preferences
from preference_center.integrations.hubspot.models import Status, WideStatus

Found = TypeVar("Found")


@dataclass(slots=True)
class Calls:
    """What was found out about the key, for as long as its connector lives."""

    single_reads: bool = False
    single_writes: bool = False


def statuses(
    preferences: Preferences, calls: Calls, addresses: Sequence[str]
) -> Mapping[str, Sequence[Status] | None]:
    """Address in lower case -> its statuses, None if HubSpot doesn't know it.

    At most 100; one that could not be looked at is left out.
    """
    if not calls.single_reads:
        try:
            found = preferences.read(addresses)
        except MissingScope:
            calls.single_reads = True
        else:
            known = {each.subscriber_id_string.casefold(): each.statuses for each in found}
            return {address.casefold(): known.get(address.casefold()) for address in addresses}
    return dict(_each(addresses, preferences.read_one))


def dated(preferences: Preferences, calls: Calls, news: Sequence[News]) -> tuple[News, ...]:
    """The same opt-outs, of at most 100 contacts, with the time of each where there is one.

    A contact's properties have no times. What can't be looked at stays without.
    """
    single = list(dict.fromkeys(n.address for n in news if n.thing is not None))
    whole = list(dict.fromkeys(n.address for n in news if n.thing is None))
    at: dict[tuple[str, str | None], datetime] = {}
    try:
        for address, found in statuses(preferences, calls, single).items() if single else ():
            for status in found or ():
                if status.status == OFF and status.timestamp:
                    at[address, str(status.subscription_id)] = status.timestamp
        for wide in _wide(preferences, calls, whole) if whole else ():
            if wide.status == OFF and wide.timestamp:
                key = (wide.subscriber_id_string.casefold(), None)
                at[key] = max(wide.timestamp, at.get(key, wide.timestamp))
    except (MissingScope, Rejected):
        return tuple(news)
    return tuple(replace(n, at=at.get((n.address.casefold(), n.thing))) for n in news)


def _wide(preferences: Preferences, calls: Calls, addresses: Sequence[str]) -> list[WideStatus]:
    if not calls.single_reads:
        try:
            return preferences.read_wide(addresses)
        except MissingScope:
            calls.single_reads = True
    found = _each(addresses, preferences.read_wide_one)
    return [status for _, those in found for status in those]


def _each(addresses: Sequence[str], look: Callable[[str], Found]) -> Iterator[tuple[str, Found]]:
    for address in addresses:
        try:
            yield address.casefold(), look(address)
        except Rejected:
            continue
