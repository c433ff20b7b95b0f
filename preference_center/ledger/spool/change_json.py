"""A person's own opt-outs as JSON. What is parsed must satisfy the rules of `Change`, too."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from preference_center.core.addresses import Address, Channel
from preference_center.core.events import Change, EventKind
from preference_center.core.links.tokens import restore_address


def change_to_json(change: Change) -> dict[str, Any]:
    """The JSON. Raises ValueError for a change that is not an opt-out of an address."""
    if change.kind is not EventKind.OPTED_OUT or not isinstance(change.address, Address):
        raise ValueError("only a person's own opt-out may be spooled")
    return {
        "id": str(change.id),
        "channel": change.address.channel.value,
        "address": change.address.exact,
        "scope": change.scope,
        "occurred_at": change.occurred_at.isoformat(),
        "received_at": change.received_at.isoformat(),
        "source": change.source,
        "actor": change.actor,
        "evidence": dict(change.evidence),
        "once": change.own_act,
    }


def change_from_json(data: Mapping[str, Any]) -> Change:
    """Parse the output of `change_to_json`. Raises KeyError, TypeError or ValueError."""
    return Change(
        id=UUID(data["id"]),
        kind=EventKind.OPTED_OUT,
        address=restore_address(data["address"], Channel(data["channel"])),
        scope=data["scope"],
        occurred_at=datetime.fromisoformat(data["occurred_at"]),
        received_at=datetime.fromisoformat(data["received_at"]),
        source=data["source"],
        actor=data["actor"],
        evidence=data["evidence"],
        own_act=data["once"],
    )
