"""This module reads and changes statuses in HubSpot: 100 addresses a call, or one.

Where the key allows no more, a call is for one address.
https://developers.hubspot.com/docs/api-reference/2026-03/communication-preferences/guide
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from preference_center.integrations.base import runtime
from preference_center.integrations.base.push_results import (
    CONTENT_ERROR_STATUSES,
    ensure_some_accepted,
)
from preference_center.integrations.hubspot.client import (
    INPUTS_PER_CALL,
    UNSUBSCRIBED,
    HubSpotClient,
    InputError,
    MissingScopeError,
    StatusesResponse,
    SubscriptionStatus,
    UnsubscribeAllStatus,
)

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


MAX_SINGLE_CALLS_PER_PUSH = 100
"""Calls of one address each in a push: more might not end inside a lease."""


_REFUSED = runtime.refused()


@dataclass(frozen=True, slots=True)
class StatusChange:
    """The new state of one address in one subscription type."""

    item: runtime.PushItem
    state: str
    subscription_id: int | None = None
    """None for HubSpot's own unsubscribe-all."""


class HubSpotStatusWriter:
    """The changes of one push."""

    def __init__(
        self, client: HubSpotClient, settings: Mapping[str, str], call_mode: CallMode
    ) -> None:
        self._client = client
        self._settings = settings
        self._call_mode = call_mode
        self._single_call_count = 0

    def steps(self, changes: Sequence[StatusChange]) -> list[runtime.PushStep]:
        """One step for 100 changes, which are all of subscription types, or none is."""
        return [
            runtime.PushStep(
                tuple(dict.fromkeys(change.item.ref for change in part)), partial(self._write, part)
            )
            for part in runtime.chunked(changes, INPUTS_PER_CALL)
        ]

    def _write(self, changes: Sequence[StatusChange]) -> runtime.Outcomes:
        if not self._call_mode.single_writes:
            try:
                return self._write_batch(changes)
            except MissingScopeError:
                self._call_mode.single_writes = True
        outcomes = runtime.run_steps(
            (),
            [
                runtime.PushStep((change.item.ref,), partial(self._write_single, change))
                for change in changes
            ],
        )
        ensure_some_accepted(outcomes, _REFUSED.ack)
        return outcomes

    def _write_batch(self, changes: Sequence[StatusChange]) -> runtime.Outcomes:
        bisector = runtime.Bisector(self._send_batch)
        found = bisector.send(changes)
        bisector.ensure_some_accepted()
        by_change = dict.fromkeys(changes, runtime.retry_later())
        by_change |= {change: runtime.refused(error.status) for change, error in found.rejected}
        for _, accepted in found.accepted:
            by_change |= accepted
        outcomes: dict[int, runtime.PushOutcome] = {}
        for change, outcome in by_change.items():
            ref = change.item.ref
            outcomes[ref] = runtime.worst(outcomes.get(ref, outcome), outcome)
        return outcomes

    def _send_batch(
        self, changes: Sequence[StatusChange]
    ) -> dict[StatusChange, runtime.PushOutcome]:
        if changes[0].subscription_id is not None:
            body = [self._to_json(change) for change in changes]
            response = self._client.update_statuses_batch(body)
            return {change: _to_outcome(change, response) for change in changes}
        results = self._client.unsubscribe_all_batch([change.item.address for change in changes])
        done = {row.subscriber_id_string.casefold() for row in results.results}
        return {
            change: runtime.reflected("unsubscribe-all")
            if change.item.address.casefold() in done
            else _error_outcome(change.item.address, results.errors)
            for change in changes
        }

    def _write_single(self, change: StatusChange) -> runtime.Outcomes:
        ref = change.item.ref
        if self._single_call_count >= MAX_SINGLE_CALLS_PER_PUSH:
            return {ref: runtime.deferred()}
        self._single_call_count += 1
        try:
            if change.subscription_id is None:
                response = self._client.unsubscribe_all(change.item.address)
            else:
                response = self._client.update_status(self._to_json(change))
        except runtime.RequestRejected as error:
            if error.status not in CONTENT_ERROR_STATUSES:
                raise
            return {ref: _REFUSED}
        return {ref: _to_outcome(change, response) if response else runtime.absent()}

    def _to_json(self, change: StatusChange) -> dict[str, Any]:
        body: dict[str, Any] = {
            "channel": "EMAIL",
            "statusState": change.state,
            "subscriberIdString": change.item.address,
            "subscriptionId": change.subscription_id,
        }
        if basis := self._settings.get("legal_basis"):
            body["legalBasis"] = basis
            body["legalBasisExplanation"] = self._settings["legal_basis_explanation"]
        return body


def _to_outcome(change: StatusChange, response: StatusesResponse) -> runtime.PushOutcome:
    address = change.item.address
    for row in response.results:
        is_meant = change.subscription_id in {None, row.subscription_id}
        is_same = row.subscriber_id_string.casefold() == address.casefold()
        if is_meant and is_same and row.status == change.state:
            return runtime.reflected(row.set_status_success_reason or change.state)
    return _error_outcome(address, response.errors)


def _error_outcome(address: str, errors: Sequence[InputError]) -> runtime.PushOutcome:
    """Why an address is missing from the results, by the error that names it.

    How an error names its input is not documented, so any value in it counts; an address
    that no error names is tried again.
    """
    for error in errors:
        if f'"{address.casefold()}"' in json.dumps(error.context, ensure_ascii=False).casefold():
            result = {
                "OBJECT_NOT_FOUND": runtime.PushResult.ABSENT,
                "VALIDATION_ERROR": runtime.PushResult.REFUSED,
            }
            return runtime.PushOutcome(
                result.get(error.category, runtime.PushResult.RETRY_LATER), error.category
            )
    return runtime.retry_later()
