"""Pushes of the demo's past: by the real sync, into what the stand-in tools remember.

The tools themselves would refuse signatures of last week.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, cast

from dev.demo.clock import Clock
from dev.demo.files import TOOLS, Files
from dev.tools import State
from preference_center.destinations.connect import Lease, connect
from preference_center.destinations.push import sync
from preference_center.destinations.rules.states import Destination
from preference_center.destinations.store import destinations
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import (
    Connector,
    DeliveryError,
    PushItem,
    PushOutcome,
)
from preference_center.integrations.base.push_results import reflected
from preference_center.integrations.webhook.connector import WebhookConnector

_LIMIT = timedelta(minutes=5)


@dataclass
class Pushes:
    """Pushes to every destination, of which the tools that are `down` fail."""

    clock: Clock
    files: Files
    down: set[str] = field(default_factory=set)

    def push(self) -> None:
        """Push what is due now."""
        state, keys = State(self.files.tool_states), services().keys
        names = {tool.name for tool in TOOLS}

        def connect_tool(destination: Destination, lease: Lease) -> Connector:
            if destination.name not in names:
                return connect(destination, lease)
            is_down = destination.name in self.down
            return cast("Connector", _Tool(destination.name, state, is_down=is_down))

        for each in run_in_transaction(lambda c: destinations.list_destinations(c, keys)):
            sync(each.id, connect_tool, until=self.clock() + _LIMIT, stop=lambda: False)


@dataclass
class _Tool:
    """A webhook whose receiver is the file of the stand-in tools."""

    kind: ClassVar[str] = WebhookConnector.kind
    capabilities: ClassVar = WebhookConnector.capabilities
    name: str
    state: State
    is_down: bool

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See Connector."""
        if self.is_down:
            raise DeliveryError(f"{self.name}: 503 Service Unavailable")
        self.state.take(self.name, [_to_json(item) for item in batch])
        return {item.ref: reflected("204") for item in batch}


def _to_json(item: PushItem) -> dict[str, Any]:
    fields = asdict(item)
    return {key: fields[key] for key in ("address", "off", "lift", "version")}
