"""The JSON of the feed, alike in the API, in a topic and in files (docs/feed.md)."""

from __future__ import annotations

from typing import Any

from preference_center.core.events import Event, ScopeState
from preference_center.ledger.feed.changes import FeedEntry, FeedScopeStatus


def change_json(change: FeedEntry) -> dict[str, Any]:
    """One event, and how its scope stands by now."""
    event: Event = change.event
    result = {
        "id": str(event.id),
        "kind": event.kind,
        "occurred_at": event.occurred_at.isoformat(),
        "recorded_at": event.recorded_at.isoformat(),
        "counts_at": event.counts_at.isoformat(),
        "source": event.source,
        **scope_status_json(change.scope_status),
    }
    if event.until:
        result["until"] = event.until.isoformat()
    if event.frequency:
        result["frequency"] = event.frequency.key
    if event.retracts:
        result["retracts"] = [str(retracted) for retracted in event.retracts]
    return result


def scope_status_json(status: FeedScopeStatus) -> dict[str, Any]:
    """How one scope of one address stands."""
    result = {
        "ref": str(status.address_id),
        "channel": status.channel,
        "address": status.address,
        "scope": status.scope,
        "status": scope_state_json(status.state),
    }
    if status.address is None:
        del result["address"]
    return result


def scope_state_json(state: ScopeState) -> dict[str, Any]:
    """The state; fields that do not apply are left out."""
    result: dict[str, Any] = {"off": state.is_suppressed}
    if state.opt_out:
        result |= {"out_at": state.opt_out.at.isoformat(), "out_reason": state.reason}
    if state.lift:
        result["lifted_at"] = state.lift.at.isoformat()
    if state.pause and state.pause_until:
        result["pause_at"] = state.pause.at.isoformat()
        result["pause_until"] = state.pause_until.isoformat()
    if state.consent:
        result["consent_at"] = state.consent.at.isoformat()
    if state.frequency:
        result["frequency"] = state.frequency.key
        result["frequency_at"] = state.frequency.at.isoformat()
    return result
