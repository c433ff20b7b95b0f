"""What monitoring measures: the state of the whole service, and of one host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from preference_center.core.deadlines import DeadlineStage, RequestStage


@dataclass(frozen=True, slots=True)
class DestinationMeasurement:
    """What waits for one destination, up to a limit of the count.

    `state` is that of `sync.destination.status_label`.
    """

    name: str
    state: str
    pending: int = 0
    oldest_received_at: datetime | None = None
    """When the oldest pending opt-out was received."""
    late: Mapping[DeadlineStage, int] = field(default_factory=dict)
    """Pending opt-outs that are at risk or worse."""


@dataclass(frozen=True, slots=True)
class Measurements:
    """What the database knows. Counts have limits, so that measuring costs the same at any size."""

    at: datetime
    destinations: Sequence[DestinationMeasurement] = ()
    backlog: Mapping[tuple[str, DeadlineStage], int] = field(default_factory=dict)
    """What was acknowledged and not decided for 36 hours or more, by BacklogKind and stage."""
    waiting: Mapping[str, int] = field(default_factory=dict)
    """All that waits for a decision or to be processed, by BacklogKind."""
    rights: Mapping[RequestStage, int] = field(default_factory=dict)
    """Open requests of data subjects whose clock runs."""
    rights_webhooks_due: int = 0
    emails_due: int = 0
    oldest_email_due_at: datetime | None = None
    erasures_by_hand: int = 0
    erasures_not_in_journal: int = 0
    rotation_started_at: datetime | None = None
    """When the oldest unfinished change of keys began."""
    publishers: Mapping[str, datetime | None] = field(default_factory=dict)
    """When the oldest event was recorded that a publisher of the feed has not passed on."""


class Folder(StrEnum):
    """Where this service writes files."""

    SPOOL = "spool"
    TEMPORARY = "temporary"
    ERASURE_JOURNAL = "erasure_journal"


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk of a folder, in bytes. `free` is what this process may use."""

    free: int
    size: int


@dataclass(frozen=True, slots=True)
class HostMeasurements:
    """What one process sees of its host."""

    disks: Mapping[Folder, Disk] = field(default_factory=dict)
