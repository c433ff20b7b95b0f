"""The timeline of a person as its page shows it: filters, entries, and whose it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from preference_center.catalogue import Catalogue
from preference_center.contacts.rules.timeline import TimelineKey
from preference_center.core.addresses import Address
from preference_center.core.events import Event
from preference_center.destinations.store.deliveries import AddressTool


@dataclass(frozen=True, slots=True)
class TimelineFilter:
    """What of it is wanted: of one destination, of one topic, of one day (UTC, without its end)."""

    tool: str = ""
    topic: str = ""
    period: tuple[datetime, datetime] | None = None

    @property
    def is_narrow(self) -> bool:
        """Whether entries are left out that are about no tool and no topic."""
        return bool(self.tool or self.topic)


@dataclass(frozen=True, slots=True)
class ToolLine:
    """How far one tool is with the event of an entry; `kind` is that of a badge."""

    title: str
    kind: str
    text: str
    ack: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the timeline, in words. `event_id` only of an event."""

    key: TimelineKey
    title: str
    origin: str = ""
    notes: Sequence[tuple[str, str]] = ()
    """Pairs of a term and a text: hostile ones, too."""
    tools: Sequence[ToolLine] = ()
    reference: str = ""
    event: Event | None = field(default=None, repr=False)
    is_retracted: bool = False
    can_retract: bool = False
    """Whether who is signed in recorded it just now, and may take it back."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """A page of it; `older` is where the next one begins, None on the last."""

    entries: Sequence[Entry]
    older: TimelineKey | None


@dataclass(frozen=True, slots=True)
class Person:
    """Whose timeline: `address_id` is None where nothing is stored of the address."""

    address: Address = field(repr=False)
    address_id: int | None
    tools: Sequence[AddressTool]
    active_events: frozenset[UUID]
    catalogue: Catalogue
    title_of: Callable[[str], str]
