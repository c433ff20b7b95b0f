"""Changing statuses in HubSpot: 100 in one call, or one a call where that is all there is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from preference_center.domain.sync.contract import Item, Outcome, Result
from preference_center.integrations.base.batching import (
    Step,
    carry_out,
    ensure_some_taken,
    not_yet,
    send_halving,
    worse,
)
from preference_center.integrations.base.contract import Setup
from preference_center.integrations.base.http import Rejected
from preference_center.integrations.hubspot.client import (
    INPUTS_PER_CALL,
    OFF,
    MissingScope,
    Preferences,
)
from preference_center.integrations.hubspot.models import Fault, Subscribers, Written
from preference_center.integrations.hubspot.statuses import Calls

SINGLES_PER_PUSH = 100
"""Calls for one address each: more might not end inside a lease."""
_ABSENT = Outcome(Result.ABSENT, "404")
_REFUSED = Outcome(Result.REFUSED, "400")


@dataclass(frozen=True, slots=True)
class Input:
    """One subscription of one address, and what it is to be."""

    item: Item
    subscription: int
    state: str


class Writer:
    """The changes of one push."""

    def __init__(self, preferences: Preferences, setup: Setup, calls: Calls) -> None:
        self._preferences = preferences
        self._settings = setup.settings
        self._calls = calls
        self._singles = 0

    def changes(self, inputs: Sequence[Input]) -> list[Step]:
        """Set single subscriptions."""
        steps = []
        for start in range(0, len(inputs), INPUTS_PER_CALL):
            part = inputs[start : start + INPUTS_PER_CALL]
            refs = tuple(dict.fromkeys(i.item.ref for i in part))
            steps.append(Step(refs, partial(self._change, part)))
        return steps

    def leaving(self, items: Sequence[Item]) -> list[Step]:
        """Set HubSpot's own unsubscribe-all."""
        refs = tuple(item.ref for item in items)
        return [Step(refs, partial(self._leave, items))] if items else []

    def _change(self, inputs: Sequence[Input]) -> Mapping[int, Outcome]:
        if not self._calls.single_writes:
            try:
                return self._change_batch(inputs)
            except MissingScope:
                self._calls.single_writes = True
        return self._one_by_one([(i.item, partial(self._change_one, i)) for i in inputs])

    def _change_batch(self, inputs: Sequence[Input]) -> Mapping[int, Outcome]:
        def send(part: Sequence[Input]) -> Written:
            return self._preferences.write([self._as_json(i) for i in part])

        verdicts = dict.fromkeys(inputs, _REFUSED)
        for part, written in send_halving(inputs, send):
            verdicts |= {i: _verdict(i, written) for i in part}
        outcomes: dict[int, Outcome] = {}
        for i, outcome in verdicts.items():
            ref = i.item.ref
            outcomes[ref] = worse(outcomes[ref], outcome) if ref in outcomes else outcome
        return outcomes

    def _change_one(self, i: Input) -> Outcome:
        written = self._preferences.write_one(self._as_json(i))
        return _verdict(i, written) if written else _ABSENT

    def _leave(self, items: Sequence[Item]) -> Mapping[int, Outcome]:
        if not self._calls.single_writes:
            try:
                return self._leave_batch(items)
            except MissingScope:
                self._calls.single_writes = True
        return self._one_by_one([(item, partial(self._leave_one, item)) for item in items])

    def _leave_batch(self, items: Sequence[Item]) -> Mapping[int, Outcome]:
        def send(part: Sequence[Item]) -> Subscribers:
            return self._preferences.leave_all([item.address for item in part])

        outcomes = dict.fromkeys((item.ref for item in items), _REFUSED)
        for part, answer in send_halving(items, send):
            held = {s.subscriber_id_string.casefold() for s in answer.results}
            for item in part:
                outcomes[item.ref] = (
                    Outcome(Result.REFLECTED, "unsubscribe-all")
                    if item.address.casefold() in held
                    else _explain(item.address, answer.errors)
                )
        return outcomes

    def _leave_one(self, item: Item) -> Outcome:
        written = self._preferences.leave_all_one(item.address)
        if written is None:
            return _ABSENT
        if any(_is_of(item, s.subscriber_id_string) and s.status == OFF for s in written.results):
            return Outcome(Result.REFLECTED, "unsubscribe-all")
        return _explain(item.address, written.errors)

    def _one_by_one(
        self, calls: Sequence[tuple[Item, Callable[[], Outcome]]]
    ) -> Mapping[int, Outcome]:
        steps = [Step((item.ref,), partial(self._take, item, call)) for item, call in calls]
        outcomes = carry_out([item for item, _ in calls], steps)
        ensure_some_taken(outcomes, _REFUSED.ack)
        return outcomes

    def _take(self, item: Item, call: Callable[[], Outcome]) -> Mapping[int, Outcome]:
        if self._singles >= SINGLES_PER_PUSH:
            return not_yet(item)
        self._singles += 1
        try:
            return {item.ref: call()}
        except Rejected as error:
            if error.status not in {400, 413, 422}:
                raise
            return {item.ref: _REFUSED}

    def _as_json(self, i: Input) -> dict[str, Any]:
        body: dict[str, Any] = {
            "channel": "EMAIL",
            "statusState": i.state,
            "subscriberIdString": i.item.address,
            "subscriptionId": i.subscription,
        }
        if basis := self._settings.get("legal_basis"):
            body["legalBasis"] = basis
            body["legalBasisExplanation"] = self._settings["legal_basis_explanation"]
        return body


def _is_of(item: Item, subscriber: str) -> bool:
    return subscriber.casefold() == item.address.casefold()


def _verdict(i: Input, written: Written) -> Outcome:
    for status in written.results:
        asked = (status.subscription_id, status.status) == (i.subscription, i.state)
        if asked and _is_of(i.item, status.subscriber_id_string):
            return Outcome(Result.REFLECTED, status.set_status_success_reason or i.state)
    return _explain(i.item.address, written.errors)


def _explain(address: str, faults: Sequence[Fault]) -> Outcome:
    """Why an address is missing from the results, by the error that names it.

    The documentation doesn't say how an error names its input, so any value will do; one
    that no error names is tried again.
    """
    for fault in faults:
        if f'"{address.casefold()}"' in json.dumps(fault.context, ensure_ascii=False).casefold():
            result = {"OBJECT_NOT_FOUND": Result.ABSENT, "VALIDATION_ERROR": Result.REFUSED}
            return Outcome(result.get(fault.category, Result.LATER), fault.category)
    return Outcome(Result.LATER, "not acknowledged")
