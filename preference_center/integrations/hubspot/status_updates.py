"""Changing statuses in HubSpot: 100 a call, or one a call where the key allows no more."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from preference_center.integrations.base import runtime
from preference_center.integrations.base.batching import ensure_some_accepted
from preference_center.integrations.base.bisecting import send_bisecting
from preference_center.integrations.base.outcomes import CONTENT_ERROR_STATUSES
from preference_center.integrations.hubspot.client import (
    INPUTS_PER_CALL,
    UNSUBSCRIBED,
    HubSpotClient,
    MissingScopeError,
)
from preference_center.integrations.hubspot.models import (
    InputError,
    StatusesResponse,
    SubscribersResponse,
)
from preference_center.integrations.hubspot.statuses import CallMode

MAX_SINGLE_CALLS_PER_PUSH = 100
"""Calls of one address each in a push: more might not end inside a lease."""
_ABSENT = runtime.absent()
_REFUSED = runtime.refused()


@dataclass(frozen=True, slots=True)
class StatusChange:
    """One subscription of one address, and its new state."""

    item: runtime.PushItem
    subscription_id: int
    state: str


class HubSpotStatusWriter:
    """The changes of one push."""

    def __init__(
        self, client: HubSpotClient, settings: Mapping[str, str], call_mode: CallMode
    ) -> None:
        self._client = client
        self._settings = settings
        self._call_mode = call_mode
        self._single_call_count = 0

    def status_steps(self, changes: Sequence[StatusChange]) -> list[runtime.PushStep]:
        """Set single subscriptions."""
        steps = []
        for start in range(0, len(changes), INPUTS_PER_CALL):
            part = changes[start : start + INPUTS_PER_CALL]
            refs = tuple(dict.fromkeys(i.item.ref for i in part))
            steps.append(runtime.PushStep(refs, partial(self._write_statuses, part)))
        return steps

    def unsubscribe_all_steps(self, items: Sequence[runtime.PushItem]) -> list[runtime.PushStep]:
        """Set HubSpot's own unsubscribe-all."""
        refs = tuple(item.ref for item in items)
        return [runtime.PushStep(refs, partial(self._unsubscribe_all, items))] if items else []

    def _write_statuses(self, changes: Sequence[StatusChange]) -> Mapping[int, runtime.PushOutcome]:
        if not self._call_mode.single_writes:
            try:
                return self._write_statuses_batch(changes)
            except MissingScopeError:
                self._call_mode.single_writes = True
        return self._run_single_calls([(i.item, partial(self._write_status, i)) for i in changes])

    def _write_statuses_batch(
        self, changes: Sequence[StatusChange]
    ) -> Mapping[int, runtime.PushOutcome]:
        def send(part: Sequence[StatusChange]) -> StatusesResponse:
            return self._client.update_statuses_batch([self._to_json(i) for i in part])

        by_change = dict.fromkeys(changes, _REFUSED)
        for part, written in send_bisecting(changes, send):
            by_change |= {i: _to_outcome(i, written) for i in part}
        outcomes: dict[int, runtime.PushOutcome] = {}
        for i, outcome in by_change.items():
            ref = i.item.ref
            outcomes[ref] = runtime.worst(outcomes[ref], outcome) if ref in outcomes else outcome
        return outcomes

    def _write_status(self, change: StatusChange) -> runtime.PushOutcome:
        written = self._client.update_status(self._to_json(change))
        return _to_outcome(change, written) if written else _ABSENT

    def _unsubscribe_all(
        self, items: Sequence[runtime.PushItem]
    ) -> Mapping[int, runtime.PushOutcome]:
        if not self._call_mode.single_writes:
            try:
                return self._unsubscribe_all_batch(items)
            except MissingScopeError:
                self._call_mode.single_writes = True
        return self._run_single_calls(
            [(item, partial(self._unsubscribe_all_single, item)) for item in items]
        )

    def _unsubscribe_all_batch(
        self, items: Sequence[runtime.PushItem]
    ) -> Mapping[int, runtime.PushOutcome]:
        def send(part: Sequence[runtime.PushItem]) -> SubscribersResponse:
            return self._client.unsubscribe_all_batch([item.address for item in part])

        outcomes = dict.fromkeys((item.ref for item in items), _REFUSED)
        for part, response in send_bisecting(items, send):
            held = {s.subscriber_id_string.casefold() for s in response.results}
            for item in part:
                outcomes[item.ref] = (
                    runtime.reflected("unsubscribe-all")
                    if item.address.casefold() in held
                    else _error_outcome(item.address, response.errors)
                )
        return outcomes

    def _unsubscribe_all_single(self, item: runtime.PushItem) -> runtime.PushOutcome:
        written = self._client.unsubscribe_all(item.address)
        if written is None:
            return _ABSENT
        if any(
            _is_same_address(item, s.subscriber_id_string) and s.status == UNSUBSCRIBED
            for s in written.results
        ):
            return runtime.reflected("unsubscribe-all")
        return _error_outcome(item.address, written.errors)

    def _run_single_calls(
        self, call_mode: Sequence[tuple[runtime.PushItem, Callable[[], runtime.PushOutcome]]]
    ) -> Mapping[int, runtime.PushOutcome]:
        steps = [
            runtime.PushStep((item.ref,), partial(self._run_single_call, item, call))
            for item, call in call_mode
        ]
        outcomes = runtime.run_steps([item for item, _ in call_mode], steps)
        ensure_some_accepted(outcomes, _REFUSED.ack)
        return outcomes

    def _run_single_call(
        self, item: runtime.PushItem, call: Callable[[], runtime.PushOutcome]
    ) -> Mapping[int, runtime.PushOutcome]:
        if self._single_call_count >= MAX_SINGLE_CALLS_PER_PUSH:
            return {item.ref: runtime.deferred()}
        self._single_call_count += 1
        try:
            return {item.ref: call()}
        except runtime.RequestRejected as error:
            if error.status not in CONTENT_ERROR_STATUSES:
                raise
            return {item.ref: _REFUSED}

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


def _is_same_address(item: runtime.PushItem, subscriber: str) -> bool:
    return subscriber.casefold() == item.address.casefold()


def _to_outcome(change: StatusChange, response: StatusesResponse) -> runtime.PushOutcome:
    for status in response.results:
        asked = (status.subscription_id, status.status) == (change.subscription_id, change.state)
        if asked and _is_same_address(change.item, status.subscriber_id_string):
            return runtime.PushOutcome(
                runtime.PushResult.REFLECTED, status.set_status_success_reason or change.state
            )
    return _error_outcome(change.item.address, response.errors)


def _error_outcome(address: str, errors: Sequence[InputError]) -> runtime.PushOutcome:
    """Why an address is missing from the results, by the error that names it.

    How an error names its input is not documented, so any value in it counts; an address
    that no error names is tried again.
    """
    for fault in errors:
        if f'"{address.casefold()}"' in json.dumps(fault.context, ensure_ascii=False).casefold():
            result = {
                "OBJECT_NOT_FOUND": runtime.PushResult.ABSENT,
                "VALIDATION_ERROR": runtime.PushResult.REFUSED,
            }
            return runtime.PushOutcome(
                result.get(fault.category, runtime.PushResult.RETRY_LATER), fault.category
            )
    return runtime.retry_later()
