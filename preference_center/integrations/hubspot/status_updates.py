"""Changing statuses in HubSpot: 100 a call, or one a call where the key allows no more."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from preference_center.domain.sync.contract import PushItem, PushOutcome, PushResult
from preference_center.integrations.base.batching import (
    PushStep,
    deferred,
    ensure_some_accepted,
    run_steps,
)
from preference_center.integrations.base.bisecting import send_bisecting
from preference_center.integrations.base.contract import DestinationConfig
from preference_center.integrations.base.http import RequestRejected
from preference_center.integrations.base.outcomes import worst
from preference_center.integrations.hubspot.client import (
    INPUTS_PER_CALL,
    UNSUBSCRIBED,
    HubSpotPreferencesClient,
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
_ABSENT = PushOutcome(PushResult.ABSENT, "404")
_REFUSED = PushOutcome(PushResult.REFUSED, "400")


@dataclass(frozen=True, slots=True)
class StatusChange:
    """One subscription of one address, and its new state."""

    item: PushItem
    subscription_id: int
    state: str


class HubSpotStatusWriter:
    """The changes of one push."""

    def __init__(
        self, preferences: HubSpotPreferencesClient, config: DestinationConfig, call_mode: CallMode
    ) -> None:
        self._preferences = preferences
        self._settings = config.settings
        self._call_mode = call_mode
        self._single_call_count = 0

    def status_steps(self, changes: Sequence[StatusChange]) -> list[PushStep]:
        """Set single subscriptions."""
        steps = []
        for start in range(0, len(changes), INPUTS_PER_CALL):
            part = changes[start : start + INPUTS_PER_CALL]
            refs = tuple(dict.fromkeys(i.item.ref for i in part))
            steps.append(PushStep(refs, partial(self._write_statuses, part)))
        return steps

    def unsubscribe_all_steps(self, items: Sequence[PushItem]) -> list[PushStep]:
        """Set HubSpot's own unsubscribe-all."""
        refs = tuple(item.ref for item in items)
        return [PushStep(refs, partial(self._unsubscribe_all, items))] if items else []

    def _write_statuses(self, changes: Sequence[StatusChange]) -> Mapping[int, PushOutcome]:
        if not self._call_mode.single_writes:
            try:
                return self._write_statuses_batch(changes)
            except MissingScopeError:
                self._call_mode.single_writes = True
        return self._run_single_calls([(i.item, partial(self._write_status, i)) for i in changes])

    def _write_statuses_batch(self, changes: Sequence[StatusChange]) -> Mapping[int, PushOutcome]:
        def send(part: Sequence[StatusChange]) -> StatusesResponse:
            return self._preferences.update_statuses_batch([self._to_json(i) for i in part])

        by_change = dict.fromkeys(changes, _REFUSED)
        for part, written in send_bisecting(changes, send):
            by_change |= {i: _to_outcome(i, written) for i in part}
        outcomes: dict[int, PushOutcome] = {}
        for i, outcome in by_change.items():
            ref = i.item.ref
            outcomes[ref] = worst(outcomes[ref], outcome) if ref in outcomes else outcome
        return outcomes

    def _write_status(self, change: StatusChange) -> PushOutcome:
        written = self._preferences.update_status(self._to_json(change))
        return _to_outcome(change, written) if written else _ABSENT

    def _unsubscribe_all(self, items: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        if not self._call_mode.single_writes:
            try:
                return self._unsubscribe_all_batch(items)
            except MissingScopeError:
                self._call_mode.single_writes = True
        return self._run_single_calls(
            [(item, partial(self._unsubscribe_all_single, item)) for item in items]
        )

    def _unsubscribe_all_batch(self, items: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        def send(part: Sequence[PushItem]) -> SubscribersResponse:
            return self._preferences.unsubscribe_all_batch([item.address for item in part])

        outcomes = dict.fromkeys((item.ref for item in items), _REFUSED)
        for part, response in send_bisecting(items, send):
            held = {s.subscriber_id_string.casefold() for s in response.results}
            for item in part:
                outcomes[item.ref] = (
                    PushOutcome(PushResult.REFLECTED, "unsubscribe-all")
                    if item.address.casefold() in held
                    else _error_outcome(item.address, response.errors)
                )
        return outcomes

    def _unsubscribe_all_single(self, item: PushItem) -> PushOutcome:
        written = self._preferences.unsubscribe_all(item.address)
        if written is None:
            return _ABSENT
        if any(
            _is_same_address(item, s.subscriber_id_string) and s.status == UNSUBSCRIBED
            for s in written.results
        ):
            return PushOutcome(PushResult.REFLECTED, "unsubscribe-all")
        return _error_outcome(item.address, written.errors)

    def _run_single_calls(
        self, call_mode: Sequence[tuple[PushItem, Callable[[], PushOutcome]]]
    ) -> Mapping[int, PushOutcome]:
        steps = [
            PushStep((item.ref,), partial(self._run_single_call, item, call))
            for item, call in call_mode
        ]
        outcomes = run_steps([item for item, _ in call_mode], steps)
        ensure_some_accepted(outcomes, _REFUSED.ack)
        return outcomes

    def _run_single_call(
        self, item: PushItem, call: Callable[[], PushOutcome]
    ) -> Mapping[int, PushOutcome]:
        if self._single_call_count >= MAX_SINGLE_CALLS_PER_PUSH:
            return deferred(item)
        self._single_call_count += 1
        try:
            return {item.ref: call()}
        except RequestRejected as error:
            if error.status not in {400, 413, 422}:
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


def _is_same_address(item: PushItem, subscriber: str) -> bool:
    return subscriber.casefold() == item.address.casefold()


def _to_outcome(change: StatusChange, response: StatusesResponse) -> PushOutcome:
    for status in response.results:
        asked = (status.subscription_id, status.status) == (change.subscription_id, change.state)
        if asked and _is_same_address(change.item, status.subscriber_id_string):
            return PushOutcome(
                PushResult.REFLECTED, status.set_status_success_reason or change.state
            )
    return _error_outcome(change.item.address, response.errors)


def _error_outcome(address: str, errors: Sequence[InputError]) -> PushOutcome:
    """Why an address is missing from the results, by the error that names it.

    How an error names its input is not documented, so any value in it counts; an address
    that no error names is tried again.
    """
    for fault in errors:
        if f'"{address.casefold()}"' in json.dumps(fault.context, ensure_ascii=False).casefold():
            result = {"OBJECT_NOT_FOUND": PushResult.ABSENT, "VALIDATION_ERROR": PushResult.REFUSED}
            return PushOutcome(result.get(fault.category, PushResult.RETRY_LATER), fault.category)
    return PushOutcome(PushResult.RETRY_LATER, "not acknowledged")
