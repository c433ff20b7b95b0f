"""How often a person wants a topic, as an event states it and as it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class FrequencyChoice:
    """One of a topic's frequencies. `rank` was its place in the catalogue then: 0 is most often."""

    key: str
    rank: int


@dataclass(frozen=True, slots=True, order=True)
class DatedFrequency:
    """A choice, when it was made, and its event.

    The newest counts; of two at the same time the less frequent one, and then the event's id
    decides, the same way everywhere.
    """

    at: datetime
    rank: int
    event: UUID
    key: str
