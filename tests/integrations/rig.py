"""A connector with a tool that can be looked into, and what the contracts say to it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from preference_center.core.addresses import Channel
from preference_center.integrations.base.contract import (
    Connector,
    DestinationConfig,
    PushItem,
    PushResult,
)
from preference_center.integrations.base.http import HttpContext, HttpTimeouts
from preference_center.integrations.registry import make_connector
from tests.integrations.tools.in_process import InProcess

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ANNA, BO, CY = "anna@example.com", "bo@example.com", "cy@example.com"
# A local part of RFC 6531, a slash that must not split a path, and a quote.
ODD = ("büro@exämple.com", "ελένη@example.gr", "a/b'c+d@example.com")

PATIENT = HttpTimeouts(connect=30, read=60, total=60)
"""For stand-ins on a busy machine: only tests of silence set a limit that is met."""


@dataclass(frozen=True, slots=True)
class Rig:
    """A connector's settings and a way to look into its tool."""

    kind: str
    setup: DestinationConfig
    tool: Tool
    http: HttpContext = field(
        default_factory=lambda: HttpContext(
            allow_private=True,
            file_root=Path("/"),
            timeouts=PATIENT,
            now=lambda: NOW,
            network=InProcess,
        )
    )
    requests_before_writing: int = 0
    """How many requests of a push come before the first that changes something."""
    requests_before_erasing: int = 0
    """The same of a deletion."""
    one_by_one: bool = False
    """Whether each address takes a request of its own: then a row of them is shorter here,
    unless the environment asks for it whole (TEST_ROW=10000)."""

    def make(self, **http: Any) -> Connector:
        return make_connector(self.kind, self.setup, replace(self.http, **http))


class Tool(Protocol):
    """A tool that can be looked into."""

    def off(self, address: str) -> set[str]:
        """Our topics that are off there."""
        ...

    def turn_off(self, address: str, topic: str) -> None:
        """Turn `topic` off by another hand than ours."""
        ...

    def requests(self) -> int:
        """How many requests, or files, it has got."""
        ...


def off(ref: int, address: str, *topics: str, version: int = 1) -> PushItem:
    """An item that turns `topics` off."""
    channel = channel_of(address)
    return PushItem(ref, address, channel, off=frozenset(topics), version=version, since=NOW)


def lift(ref: int, address: str, *topics: str, version: int = 2) -> PushItem:
    """An item that turns `topics` back on."""
    channel = channel_of(address)
    return PushItem(ref, address, channel, lift=frozenset(topics), version=version, since=NOW)


def channel_of(address: str) -> Channel:
    """Numbers are texted."""
    return Channel.SMS if address.startswith("+") else Channel.EMAIL


def results(outcomes: Any) -> dict[int, PushResult]:
    """Only the results."""
    return {ref: outcome.result for ref, outcome in outcomes.items()}


def field_of(rig: Rig) -> str:
    """A field of contacts that its settings name."""
    return next(iter(rig.setup.contact_fields))
